"""What an old deployment has besides its exports: sections without members, and pictures."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tests.support.deployment.runner import Deployment
from tests.support.deployment.settings import OLDER, Settings
from tests.support.site import Site
from tests.support.sources.sites import SMALL, Secrets, admit_teacher, flask, report

PICTURE = bytes(range(256)) * 300


def test_sections_and_pictures_of_an_older_deployment(site: Site, tmp_path: Path) -> None:
    home, directory = tmp_path / "older", tmp_path / "files"
    with Deployment(home, Settings(style=OLDER, cheap=True, lists_sections=True), shape=SMALL) as deployment:
        admit_teacher(deployment)
        deployment.execute("INSERT INTO sections (id, _name, _abbreviation) VALUES (77, 'Nobody', 'NB')")
        deployment.execute("UPDATE users SET _pfp = NULL")
        users = [row[0] for row in deployment.execute("SELECT id FROM users WHERE _uid != 'mira' ORDER BY id LIMIT 5")]
        names = ["a b.png.zst", "gone.png", "../../old.db", "", "c.png.gz"]
        for number, name in zip(users, names, strict=True):
            deployment.execute("UPDATE users SET _uid = ?, _pfp = ? WHERE id = ?", f"u&{number}?", name, number)
        (home / "uploads" / f"u&{users[0]}?").mkdir(parents=True)
        (home / "uploads" / f"u&{users[0]}?" / "a b.png.zst").write_bytes(PICTURE)
        # Flask says of such a file that it is a picture, compressed on the way.
        (home / "uploads" / f"u&{users[4]}?").mkdir(parents=True)
        (home / "uploads" / f"u&{users[4]}?" / "c.png.gz").write_bytes(PICTURE)
        source = Secrets.of(deployment).source
        done = flask(site, "db-migrate-data", "--yes", "--accept-missing", **source)
        assert done.status == 0, done.stderr
        assert site.query("SELECT name FROM sections WHERE id = 77") == [("Nobody",)]
        fetched, gone = f"uploads/u&{users[0]}?/a b.png.zst", f"uploads/u&{users[1]}?/gone.png"
        unreadable = f"uploads/u&{users[4]}?/c.png.gz"
        unusable = [f"uploads/u%26{users[2]}%3F/..%2F..%2Fold.db"]
        assert report(site)["files"] == {
            "not fetched, as FERRY_FILES names no directory": [fetched, gone, unreadable],
            "named so that no file can have the name": unusable,
        }
        assert "iles that records name" in done.stdout
        again = flask(
            site, "db-migrate-data", "--yes", "--accept-missing", "--rerun", FLASK_FERRY_FILES=str(directory), **source
        )
        assert again.status == 0, again.stderr
        assert report(site)["files"] == {
            "fetched": [fetched],
            "not there (404)": [gone],
            "could not be read": [unreadable],
            "named so that no file can have the name": unusable,
        }
    # What is made here is ignored by git.
    assert {path.name for path in directory.rglob("*") if path.is_file()} == {Path(fetched).name, ".gitignore"}
    assert (directory / fetched).read_bytes() == PICTURE
    assert (directory / fetched).stat().st_mode & 0o777 == 0o600


def test_a_run_that_goes_on_fetches_files_again_and_names_those_that_are_not_there(site: Site, tmp_path: Path) -> None:
    home, directory = tmp_path / "older", tmp_path / "files"
    with Deployment(home, Settings(style=OLDER, cheap=True, lists_sections=True), shape=SMALL) as deployment:
        admit_teacher(deployment)
        deployment.execute("UPDATE users SET _pfp = NULL")
        users = [row[0] for row in deployment.execute("SELECT id FROM users WHERE _uid != 'mira' ORDER BY id LIMIT 2")]
        for number, name in zip(users, ["a.png", "gone.png"], strict=True):
            deployment.execute("UPDATE users SET _uid = ?, _pfp = ? WHERE id = ?", f"u{number}", name, number)
        (home / "uploads" / f"u{users[0]}").mkdir(parents=True)
        (home / "uploads" / f"u{users[0]}" / "a.png").write_bytes(PICTURE)
        settings = {
            **Secrets.of(deployment).source,
            "FLASK_FERRY_FILES": str(directory),
            "FLASK_FERRY_HOOKS": f"{__name__}:die_before_the_proof",
        }
        command = ("db-migrate-data", "--yes", "--accept-missing")
        assert site.flask(*command, **settings, DIES="yes").status == -9
        picture = directory / "uploads" / f"u{users[0]}" / "a.png"
        assert picture.read_bytes() == PICTURE
        # As a machine that loses its power may leave it.
        picture.write_bytes(PICTURE[:100])
        done = site.flask(*command, **settings)
        assert done.status == 0, done.stderr
    assert report(site)["gone_on_with"]["run"]
    assert picture.read_bytes() == PICTURE
    assert report(site)["files"] == {
        "fetched": [f"uploads/u{users[0]}/a.png"],
        "not there (404)": [f"uploads/u{users[1]}/gone.png"],
    }


def die_before_the_proof(when: str, step: str, _about: object) -> None:
    """A hook: this process ends as by ``kill -9``."""
    if (when, step) == ("before", "verify") and "DIES" in os.environ:
        os.kill(os.getpid(), signal.SIGKILL)
