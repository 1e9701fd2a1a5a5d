"""A pull with a profile: everything arrives, and nothing personal is left anywhere; nor after a failure, nor a kill."""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app import profiles
from app.transfer.profiles import Profile, constant
from app.transfer.rows.snapshot import check
from tests.support.deployment import words
from tests.support.pages import take_lines
from tests.support.runs.commands import Place, until
from tests.support.site import ROOT, Result, Site
from tests.support.sources.sites import assert_refused, flask, ledger, report

from .personal import MARK, marked

HOOKS = "tests.scenarios.anonymise.hooks"
PROFILE = ("--profile", "anonymous", "--yes")
KEY = {"FLASK_FERRY_PROFILE_KEY": "sixteen characters and more"}


def pull(site: Site, *source: str, **environ: str) -> Result:
    done = flask(site, "db-migrate-data", *source, *PROFILE, **environ)
    assert done.status == 0, done.stderr
    assert MARK not in done.stdout + done.stderr
    return done


@pytest.fixture
def sources(request: pytest.FixtureRequest, old: Path) -> Callable[[str], tuple[tuple[str, ...], dict[str, str]]]:
    """The arguments and the environment that name a kind of source."""

    def named(kind: str) -> tuple[tuple[str, ...], dict[str, str]]:
        if kind in ("classic", "ferry"):
            return (), request.getfixturevalue(kind)
        raw: Site = request.getfixturevalue("raw")
        return (str({"old": old, "head": raw.database, "snapshot": raw.snapshot}[kind]),), {}

    return named


@pytest.mark.parametrize("kind", ["classic", "ferry", "old", "head", "snapshot"])
def test_nothing_personal_is_left(kind: str, site: Site, raw: Site, sources: Any) -> None:
    arguments, environ = sources(kind)
    done = pull(site, *arguments, **environ)
    assert done.last_line.endswith("They are anonymised with the profile 'anonymous'.")
    assert marked(site.directory) == []
    # What is there is everything: the same rows, ids, times and scores.
    for sql in (
        "SELECT id, role = 'Admin', kasm_server_needed FROM users ORDER BY id",
        "SELECT id, user_id, parent_id, length(content), created_at, page_path IS NULL FROM posts ORDER BY id",
        "SELECT user_id, persona_id, weight FROM user_personas ORDER BY 1, 2",
        "SELECT id, page_key, page_title FROM topics ORDER BY id",
        "SELECT id, user_id, coding_ability FROM skill_snapshots ORDER BY id",
    ):
        assert site.query(sql) == raw.query(sql)
    assert site.query("SELECT count(DISTINCT uid), count(*) FROM users")[0] == (60, 60)
    assert site.query("SELECT DISTINCT password FROM users") == [("!",)]
    assert all(mail.endswith("@example.org") for (mail,) in site.query("SELECT email FROM users WHERE email <> ''"))
    header, _ = check(site.snapshot)
    assert header.kind == "rows"
    assert header.profile
    assert header.profile.name == "anonymous"
    said = report(site)["anonymised"]
    counts = {item["column"].replace("._", "."): item["values"] for item in said["replaced"]}
    assert (said["profile"], counts["users.uid"], counts["posts.content"]) == ("anonymous", 60, 60)
    # It is proved again from what was kept, and there is nothing more to do.
    assert flask(site, "db-verify").status == 0
    assert pull(site, *arguments, **environ).stdout.startswith("Nothing to do")
    assert pull(site).stdout.startswith("Nothing to do")
    assert marked(site.directory) == []


def test_of_a_classic_file(site: Site, tmp_path: Path) -> None:
    file = classic_file(tmp_path)
    pull(site, str(file), "--accept-missing")
    assert marked(site.directory) == []
    assert site.query("SELECT count(*) FROM users") == [(1,)]
    # Without the profile the file is another source: what is live did not come from it.
    other = flask(site, "db-migrate-data", str(file), "--accept-missing")
    assert other.status == 130


def classic_file(directory: Path, **more: Any) -> Path:
    user = {
        "id": 1, "uid": f"{MARK}uid", "name": f"{MARK}name", "email": f"{MARK}@mail.example", "role": "User",
        "pfp": None, "kasm_server_needed": None, "sections": [], "personas": [], **more,
    }  # fmt: skip
    file = directory / "classic.json"
    file.write_text(json.dumps([user]))
    return file


def test_the_same_key_gives_the_same_values(site: Site, tmp_path: Path, old: Path, raw: Site) -> None:
    pull(site, str(old), **KEY)
    first = site.content()
    pull(site, str(old), "--rerun", **KEY)
    assert site.content() == first
    assert not (site.area / "profile.key").exists()
    other = Site(tmp_path)
    pull(other, str(raw.snapshot), **KEY)
    uids = "SELECT id, uid, name, email, sid, school FROM users ORDER BY id"
    assert other.query(uids) == site.query(uids)
    own = Site(tmp_path / "own")
    own.directory.mkdir()
    pull(own, str(old))
    assert own.query(uids) != site.query(uids)
    assert (own.area / "profile.key").stat().st_mode & 0o777 == 0o600
    values = own.query(uids)
    pull(own, str(old), "--rerun")
    assert own.query(uids) == values
    secret = KEY["FLASK_FERRY_PROFILE_KEY"]
    assert secret not in flask(site, "db-status", **KEY).stdout
    refused = flask(site, "db-migrate-data", str(old), *PROFILE, "--rerun", FLASK_FERRY_PROFILE_KEY="short")
    assert_refused(refused, 2, "FERRY_PROFILE_KEY")


@pytest.mark.executes("docs/anonymise.md", "--profile anonymous")
def test_the_line_of_the_page(tmp_path: Path) -> None:
    old, new = Site(tmp_path / "old"), Site(tmp_path / "new")
    for site in (old, new):
        site.directory.mkdir()
    assert flask(old, "db-init").status == 0
    [line] = take_lines("docs/anonymise.md", "--profile anonymous")
    done = flask(new, *line.replace("SOURCE", str(old.database)).split()[1:], "--yes")
    assert done.status == 0, done.stderr
    assert new.query("SELECT uid FROM users ORDER BY id") != old.query("SELECT uid FROM users ORDER BY id")


@pytest.mark.parametrize("revision", sorted(path.stem for path in (ROOT / "migrations" / "versions").glob("*.py")))
def test_the_profile_fits_every_revision(revision: str, tmp_path: Path) -> None:
    old, new = Site(tmp_path / "old"), Site(tmp_path / "new")
    old.directory.mkdir()
    new.directory.mkdir()
    assert flask(old, "db", "upgrade", revision).status == 0
    fits = flask(new, "db-migrate-data", str(old.database), *PROFILE, "--dry-run")
    assert fits.status == 0, fits.stderr


def test_of_the_environment(site: Site, old: Path) -> None:
    done = flask(site, "db-migrate-data", str(old), "--yes", FLASK_FERRY_PROFILE="anonymous")
    assert done.status == 0
    assert marked(site.directory) == []
    assert flask(site, "db-migrate-data", "self", "--yes", FLASK_FERRY_PROFILE="anonymous").status == 0


# Refused


def test_a_new_column_stops_the_run(site: Site, tmp_path: Path, old: Path) -> None:
    file = tmp_path / "newer.db"
    shutil.copyfile(old, file)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("ALTER TABLE users ADD COLUMN nickname TEXT")
        connection.execute(f"UPDATE users SET nickname = '{MARK}nick'")
        connection.execute("CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT)")
    refused = flask(site, "db-migrate-data", str(file), *PROFILE)
    assert_refused(refused, 2, "users.nickname (text) is neither replaced nor kept", "notes.body")
    assert not site.snapshot.exists()
    assert not site.database.exists()
    only = flask(site, "db-migrate-data", str(file), *PROFILE, "--exclude", "notes")
    assert "notes.body" not in only.stderr
    assert_refused(only, 2, "users.nickname")


def test_an_excluded_table_is_not_even_in_the_snapshot(site: Site, old: Path) -> None:
    pull(site, str(old), "--exclude", "feedbacks")
    assert check(site.snapshot)[1].checksums["feedbacks"].rows == 0
    waived = [item for item in report(site)["waived"] if item["what"] == "table feedbacks"]
    assert waived == [{"what": "table feedbacks", "rows": 8, "reason": "--exclude"}]
    assert flask(site, "db-verify").status == 0


def test_who_is_refused(site: Site, old: Path) -> None:
    def run(*arguments: str, **environ: str) -> Result:
        return flask(site, "db-migrate-data", *arguments, "--yes", **environ)

    assert_refused(run(str(old), "--profile", "nobody"), 2, "'nobody'", "anonymous")
    assert_refused(run(str(old), *PROFILE, FLASK_FERRY_PROFILES="app.none"), 2, "app.none")
    assert_refused(run("self", *PROFILE), 2, "--profile")
    assert_refused(run(str(old), *PROFILE, FLASK_FERRY_ENVIRONMENT="production"), 20, "production")
    assert not site.database.exists()
    dry = flask(site, "db-migrate-data", str(old), *PROFILE, "--dry-run")
    assert (dry.status, site.area.exists()) == (0, False)
    assert "anonymised with the profile 'anonymous'" in dry.stdout


def test_the_question_says_so(site: Site, old: Path) -> None:
    assert flask(site, "db-init").status == 0
    asked = flask(site, "db-migrate-data", str(old), "--profile", "anonymous")
    assert asked.status == 130
    assert "anonymised with the profile 'anonymous'" in asked.stderr


def test_with_and_without_are_two_sources(site: Site, old: Path) -> None:
    pull(site, str(old))
    (entry,) = ledger(site)
    assert entry["options"]["profile"]["name"] == "anonymous"
    status = flask(site, "db-status").stdout
    assert f"from {old}, anonymised with the profile 'anonymous', 2" in status
    assert "(a snapshot, anonymised)" in status
    plain = flask(site, "db-migrate-data", str(old), "--yes", "--dry-run")
    assert "migrate from the source" in plain.stdout
    assert_refused(flask(site, "db-verify", "--against", str(old)), 20, "personal data")
    assert marked(site.directory) == []
    against = flask(site, "db-verify", "--against", str(old), "--profile", "anonymous")
    assert against.status == 0, against.stdout
    assert marked(site.directory) == []
    done = flask(site, "db-migrate-data", str(old), "--yes")
    assert done.status == 0
    assert "app.db" in marked(site.directory)
    # And back: what was kept of the other run is named.
    back = pull(site, str(old))
    assert "is not anonymised" in back.stderr


def test_a_snapshot_stands_in_only_for_the_same_profile(site: Site, tmp_path: Path, classic: dict[str, str]) -> None:
    dead = {**classic, "FLASK_FERRY_SOURCE": "http://127.0.0.1:9"}
    assert flask(site, "db-migrate-data", "--yes", **classic).status == 0
    refused = flask(site, "db-migrate-data", *PROFILE, "--fallback", "only", **classic)
    assert (refused.status, "with the profile 'anonymous'" in refused.stderr) == (3, True)
    other = Site(tmp_path / "other")
    other.directory.mkdir()
    # The raw one holds records; it is a source as well.
    pull(other, str(site.snapshot))
    assert marked(other.directory) == []
    pull(other, "--rerun", **classic)
    text = other.snapshot.read_bytes()
    done = flask(other, "db-migrate-data", *PROFILE, "--rerun", "--fallback", "only", **classic)
    assert done.status == 0, done.stderr
    assert "not from the source" in done.last_line
    assert other.snapshot.read_bytes() == text
    plain = flask(other, "db-migrate-data", "--yes", "--fallback", "only", **classic)
    assert (plain.status, "with the profile 'anonymous', not as it is" in plain.stderr) == (3, True)
    assert_refused(flask(other, "db-migrate-data", *PROFILE, "--rerun", **dead), 3, "127.0.0.1:9")
    shutil.copyfile(classic_file(tmp_path), other.snapshot)
    refused = flask(other, "db-migrate-data", *PROFILE, "--rerun", "--fallback", "only", **classic)
    assert (refused.status, "is not anonymised" in refused.stderr) == (3, True)


def test_a_snapshot_of_another_declaration_is_not_taken(site: Site, old: Path, monkeypatch: Any) -> None:
    pull(site, str(old))
    kept = site.snapshot.rename(site.directory / "kept.json")
    changed = {**profiles.CLASSIC, "users": {**profiles.CLASSIC["users"], "_school": constant("school")}}
    monkeypatch.setattr(profiles, "anonymous", Profile({"0001_classic": changed}))
    refused = flask(site, "db-migrate-data", str(kept), *PROFILE)
    assert_refused(refused, 2, "not as 'anonymous' is now")
    again = pull(site, str(old))
    assert not again.stdout.startswith("Nothing to do")
    assert site.query("SELECT DISTINCT school FROM users WHERE school <> ''") == [("school",)]


# Failures and kills


def test_a_failure_leaves_nothing_and_says_nothing(site: Site, tmp_path: Path) -> None:
    for more, words_ in (
        ({"phone": f"{MARK}phone"}, "no adapter reads or waives user.phone"),
        ({"sections": f"{MARK}sections"}, "it is not said what is wrong"),
        ({"role": None}, "users"),
    ):
        file = classic_file(tmp_path, **more)
        refused = flask(site, "db-migrate-data", str(file), "--accept-missing", *PROFILE)
        assert refused.status == 22, refused.stderr
        assert words_ in refused.stderr
        assert MARK not in refused.stdout + refused.stderr
        assert marked(site.directory) == []


def test_an_unforeseen_error_says_nothing(place: Place, classic: dict[str, str]) -> None:
    failed = place.run("db-migrate-data", *PROFILE, hooks=[(f"{HOOKS}:fail_with_all_read", {})], **classic)
    assert failed.status == 1
    assert "KeyError" in failed.stderr
    assert MARK not in failed.stderr
    assert marked(place.directory) == []


@pytest.mark.parametrize(
    "following", [("db-status",), ("db-migrate-data", *PROFILE), ("db-backup", "--list"), ("db-rollback", "--dry-run")]
)
def test_after_a_kill_the_next_command_removes_all(
    following: tuple[str, ...], place: Place, classic: dict[str, str]
) -> None:
    killed = place.run("db-migrate-data", *PROFILE, hooks=[(f"{HOOKS}:kill_with_all_read", {})], **classic)
    assert killed.status == -9
    left = marked(place.directory)
    # Only there, and for the owner's eyes alone.
    assert left
    assert all("/private/" in name for name in left)
    assert all((place.directory / name).stat().st_mode & 0o077 == 0 for name in left)
    place.run(*following, **classic)
    assert marked(place.directory) == []
    assert list(place.area.glob("runs/*/private*")) == []


def test_of_a_database_a_kill_leaves_nothing(place: Place, old: Path) -> None:
    hooks = [(f"{HOOKS}:kill_in", {"table": "posts"})]
    killed = place.run("db-migrate-data", str(old), *PROFILE, hooks=hooks)
    assert killed.status == -9
    # It was begun: what stands in for the users is on the disk.
    assert list(place.directory.glob(".data.json.*.tmp"))
    assert marked(place.directory) == []
    assert place.run("db-migrate-data", str(old), *PROFILE).status == 0
    assert marked(place.directory) == []


def test_a_run_that_lives_keeps_its_own(place: Place, classic: dict[str, str], tmp_path: Path) -> None:
    here = tmp_path / "here"
    running = place.launch(
        "db-migrate-data", *PROFILE, hooks=[(f"{HOOKS}:wait_with_all_read", {"here": str(here)})], **classic
    )
    until(here.exists)
    before = marked(place.directory)
    assert before
    assert place.run("db-status").status == 0
    assert marked(place.directory) == before
    here.unlink()
    assert running.wait().status == 0
    assert marked(place.directory) == []


def test_the_teacher_cannot_log_in(site: Site, old: Path) -> None:
    pull(site, str(old))
    assert site.query("SELECT count(*) FROM users WHERE uid = ?", words.TEACHER_UID) == [(0,)]
