"""An app on SQLite that keeps numbers of its own in the file's header."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import flask_migrate
import pytest

from tests.scenarios.hosts.foreign import Foreign

FERR = 0x46455252


def change(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for sql in statements:
            connection.execute(sql)


def numbers(path: Path) -> tuple[int, int]:
    with closing(sqlite3.connect(path)) as connection:
        found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id")]
    return found[0], found[1]


@pytest.fixture
def host(tmp_path: Path) -> Foreign:
    made = Foreign(tmp_path)
    made.at("one")
    change(made.live, "PRAGMA user_version = 7", "PRAGMA application_id = 12")
    return made


def test_they_survive_every_command(host: Foreign) -> None:
    portable = host.directory / "p.json"
    assert host.ok("db-migrate-data", "self", "--yes", "--dry-run").status == 0
    host.ok("db-migrate-data", "self", "--yes")
    assert host.ok("db-migrate-data", "self", "--yes").last_line.startswith("Nothing to do")
    assert numbers(host.live) == (7, 12)
    host.ok("db-backup", "--portable", str(portable))
    host.ok("db-rollback", "--yes")
    assert numbers(host.live) == (7, 12)
    host.ok("db-init", "--yes")
    assert numbers(host.live) == (7, 12)
    change(host.live, "PRAGMA user_version = 8")
    host.ok("db-backup")
    change(host.live, "PRAGMA user_version = 9")
    host.ok("db-restore", "--yes")
    assert numbers(host.live) == (8, 12)
    host.ok("db-restore", str(portable), "--yes")
    assert numbers(host.live) == (7, 12)
    assert host.rows() == [(1, "kept", None)]
    host.ok("db-verify")


def test_a_revision_may_change_them(host: Foreign) -> None:
    host.add("three", "two", "op.execute('PRAGMA user_version = 30')")
    host.ok("db-migrate-data", "self", "--yes")
    assert numbers(host.live) == (30, 12)


@pytest.mark.parametrize("live", [True, False])
def test_those_of_a_source_file_come_along(host: Foreign, live: bool) -> None:
    old = Path(shutil.move(host.live, host.directory / "old.db"))
    if live:
        host.at("two")
        change(host.live, "PRAGMA user_version = 1", "PRAGMA application_id = 2")
    host.ok("db-migrate-data", str(old), "--yes")
    assert numbers(host.live) == (7, 12)


def test_a_snapshot_that_says_none_leaves_those_of_the_live_database(host: Foreign) -> None:
    snapshot = host.directory / "data.json"
    snapshot.write_text('{"thing": [], "_metadata": {}}')
    host.ok("db-init", "--yes")
    assert numbers(host.live) == (7, 12)


def test_a_database_of_an_older_version_is_known_and_gets_them_back(host: Foreign) -> None:
    host.ok("db-migrate-data", "self", "--yes")
    with closing(sqlite3.connect(host.live)) as connection:
        mark = connection.execute("SELECT mark FROM flask_ferry_generation").fetchone()[0]
    change(
        host.live,
        "DROP VIEW flask_ferry_generation",
        f"PRAGMA user_version = {int(mark, 16)}",
        f"PRAGMA application_id = {FERR}",
    )
    assert host.ok("db-migrate-data", "self", "--yes").last_line.startswith("Nothing to do")
    host.add("three", "two", "op.add_column('thing', sa.Column('x', sa.Integer))")
    host.ok("db-migrate-data", "self", "--yes")
    assert numbers(host.live) == (0, 0)
    assert host.ok("db-migrate-data", "self", "--yes").last_line.startswith("Nothing to do")
    host.ok("db-rollback", "--yes")
    assert numbers(host.live) == (0, 0)


def test_the_mark_is_nothing_that_autogenerate_proposes_to_drop(host: Foreign) -> None:
    host.ok("db-migrate-data", "self", "--yes")
    app = host.app()
    with app.app_context():
        flask_migrate.check(directory=str(host.migrations))
        host.db.engine.dispose()
