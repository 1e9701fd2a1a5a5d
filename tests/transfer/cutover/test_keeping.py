"""The rows of the new database are kept while the run reads it: all of them, as they were cut over."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import URL

from app.transfer.cutover.keeping import WORTH
from app.transfer.run.evidence_files import NAME
from tests.scenarios.small_host import DATABASE, SmallHost, host_on, host_on_file
from tests.support.places import connected, execute

CREATE = "CREATE TABLE letter (id INTEGER PRIMARY KEY, body VARCHAR(40) NOT NULL)"
UNMADE = "CREATE TABLE beside (id INTEGER PRIMARY KEY, body VARCHAR(40) NOT NULL)"
REPLY = "CREATE TABLE reply (id INTEGER PRIMARY KEY, letter_id INTEGER, FOREIGN KEY (letter_id) REFERENCES letter (id))"
LATER = "ALTER TABLE letter ADD COLUMN read_at VARCHAR(20)"
NOTES, REFUSE = "KEEPING_NOTES", "KEEPING_REFUSE"


def fill(url: URL, table: str, rows: int) -> None:
    with connected(url) as connection:
        connection.execute(
            sa.text(f"INSERT INTO {table} (id, body) VALUES (:id, :body)"),
            [{"id": n, "body": f"body of {n}"} for n in range(1, rows + 1)],
        )
        connection.commit()


@pytest.fixture(params=["sqlite", "mariadb", "postgresql"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> SmallHost:
    """A host at a revision, with a table that no revision made."""
    host = host_on(request, tmp_path, CREATE)
    host.done("db", "upgrade")
    execute(host.url, UNMADE)
    execute(host.url, "INSERT INTO beside VALUES (1, 'theirs')")
    return host


@pytest.fixture
def old(tmp_path: Path) -> SmallHost:
    return host_on_file(tmp_path / "old", CREATE)


def list_kept(url: URL) -> list[str]:
    """The databases, or schemas, that rows of a new one are kept in."""
    if url.drivername == "sqlite":
        return []
    with connected(url) as connection:
        names = [name for (name,) in connection.exec_driver_sql("SELECT schema_name FROM information_schema.schemata")]
    ours = names if url.drivername.startswith("postgresql") else [n for n in names if n.startswith(str(url.database))]
    return [name for name in ours if name.endswith("new")]


def note_kept(when: str, step: str, _about: object) -> None:
    """A hook: behind which steps the rows are kept already; it stops the run behind one."""
    if when == "after":
        if list_kept(sa.make_url(os.environ[DATABASE])):
            with Path(os.environ[NOTES]).open("a") as notes:
                print(step, file=notes)
        if step == os.environ.get(REFUSE):
            raise RuntimeError("enough")


def steps_behind(host: SmallHost) -> list[str]:
    """What :func:`note_kept` noted of the last command."""
    notes = host.directory / "notes"
    return notes.read_text().split() if notes.exists() else []


def hooked(host: SmallHost) -> dict[str, str]:
    return {"FLASK_FERRY_HOOKS": f"{note_kept.__module__}:note_kept", NOTES: str(host.directory / "notes")}


def told_of(host: SmallHost) -> str:
    """What a rollback says after three rows were written, and one more in the table beside."""
    for sql in (
        "UPDATE letter SET body = 'other' WHERE id = 7",
        "DELETE FROM letter WHERE id = 9",
        "INSERT INTO letter (id, body) VALUES (999999, 'more')",
        "INSERT INTO beside VALUES (2, 'theirs, too')",
    ):
        execute(host.url, sql)
    return host.done("db-rollback", "--yes")


@pytest.mark.parametrize("rows", [WORTH, 40])
def test_of_the_database_itself(new: SmallHost, rows: int) -> None:
    fill(new.url, "letter", rows)
    new.revise(LATER, name="r2", down="r1")
    new.done("db-migrate-data", "self", "--yes", **hooked(new))
    assert (steps_behind(new)[:1] == ["objects"]) is (rows == WORTH and new.url.drivername != "sqlite")
    assert "4 rows were written since the cut-over" in told_of(new)


@pytest.mark.parametrize("ahead", [False, True])
@pytest.mark.parametrize("rows", [WORTH, 40])
def test_of_a_source(new: SmallHost, old: SmallHost, rows: int, ahead: bool) -> None:
    """Kept behind the load, and once more, as a table that no revision made is brought behind that."""
    fill(old.url, "letter", rows)
    if ahead:
        new.revise(LATER, name="r2", down="r1")
    new.done(
        "db-migrate-data", "--yes", FLASK_FERRY_SOURCE=old.url.render_as_string(hide_password=False), **hooked(new)
    )
    beside = rows == WORTH and not ahead and new.url.drivername != "sqlite"
    assert (steps_behind(new)[:1] == ["verify"]) is beside
    assert "4 rows were written since the cut-over" in told_of(new)


def test_of_rows_that_were_set_aside(new: SmallHost, old: SmallHost) -> None:
    """They are added behind the look at all rules, and are none that were written since."""
    for host in (new, old):
        host.revise(REPLY, name="r2", down="r1")
        host.done("db", "upgrade")
    fill(old.url, "letter", WORTH)
    execute(old.url, "INSERT INTO reply VALUES (1, 5), (2, 999999)")
    assert new.migrate_from(old, "--set-aside").status == 0
    [file] = new.directory.rglob(NAME)
    aside = json.loads(file.read_text())
    [item] = aside["rows"]
    item["row"]["letter_id"] = 5
    file.write_text(json.dumps(aside))
    new.revise(LATER, name="r3", down="r2")
    new.done("db-migrate-data", "--set-aside-from", str(file), "--yes", **hooked(new))
    assert "4 rows were written since the cut-over" in told_of(new)


def test_a_rehearsal_keeps_nothing(new: SmallHost) -> None:
    fill(new.url, "letter", WORTH)
    new.revise(LATER, name="r2", down="r1")
    new.done("db-migrate-data", "self", "--yes", "--rehearse", **hooked(new))
    assert steps_behind(new) == []


def test_what_was_kept_goes_with_staging(new: SmallHost) -> None:
    fill(new.url, "letter", WORTH)
    new.revise(LATER, name="r2", down="r1")
    new.done("db-status")
    ended = new.flask("db-migrate-data", "self", "--yes", **hooked(new), **{REFUSE: "objects"})
    assert ended.status == 1, ended.stderr
    assert "enough" in ended.stderr
    assert list_kept(new.url) == []
