"""An app on SQLite whose schema needs functions and collations that only its own connections have."""

from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.scenarios.hosts.foreign import Foreign

SCHEMA = """
c = op.get_bind().exec_driver_sql
c("CREATE TABLE page (id INTEGER PRIMARY KEY, slug TEXT NOT NULL, CONSTRAINT ck CHECK (slug REGEXP '^[a-z-]+$'))")
c("CREATE TABLE tag (name VARCHAR(40) COLLATE unicase NOT NULL PRIMARY KEY, n INTEGER)")
c("CREATE TABLE flat (name TEXT COLLATE unicase NOT NULL PRIMARY KEY) WITHOUT ROWID")
c("CREATE TABLE word (id INTEGER PRIMARY KEY, t TEXT, s TEXT AS (slug(t)) STORED)")
c("CREATE INDEX word_slug ON word (slug(t))")
c("CREATE TRIGGER named AFTER INSERT ON tag BEGIN UPDATE tag SET n = length(slug(new.name)) WHERE name = new.name; END")
"""
ROWS = (
    "INSERT INTO page VALUES (1, 'about-us')",
    "INSERT INTO tag VALUES ('b', 0), ('Ä', 0), ('C', 0)",
    "INSERT INTO flat VALUES ('ß')",
    "INSERT INTO word (t) VALUES ('Rye')",
)
TABLES = ("page", "tag", "flat", "word")


def compare(left: str, right: str) -> int:
    return (left.casefold() > right.casefold()) - (left.casefold() < right.casefold())


def outfit(connection: Any, _record: Any = None) -> None:
    connection.create_collation("unicase", compare)
    connection.create_function("slug", 1, str.casefold, deterministic=True)
    connection.execute("PRAGMA foreign_keys = ON")


@pytest.fixture
def host(tmp_path: Path) -> Foreign:
    made = Foreign(tmp_path, on_connect=outfit)
    made.add("three", "two", SCHEMA)
    made.at("three")
    app = made.app()
    with app.app_context():
        for sql in ROWS:
            made.db.session.execute(sa.text(sql))
        made.db.session.commit()
        made.db.engine.dispose()
    return made


def rows(path: Path) -> dict[str, list[tuple[Any, ...]]]:
    with sqlite3.connect(path) as connection:
        outfit(connection)
        return {name: connection.execute(f"SELECT * FROM {name} ORDER BY 1").fetchall() for name in TABLES}


@pytest.mark.filterwarnings("ignore:Skipped unsupported reflection")
def test_every_command_works_for_the_apps_own_database(host: Foreign) -> None:
    before = rows(host.live)
    assert before["word"] == [(1, "Rye", "rye")]
    host.ok("db-status")
    host.ok("db-backup")
    portable = host.directory / "p.json"
    host.ok("db-backup", "--portable", str(portable))
    host.add("four", "three", "op.add_column('page', sa.Column('x', sa.Integer))")
    host.ok("db-migrate-data", "self", "--yes")
    assert rows(host.live) == before | {"page": [(1, "about-us", None)]}
    host.ok("db-rollback", "--yes")
    assert rows(host.live) == before
    host.ok("db-restore", "--yes")
    assert rows(host.live) == before
    host.ok("db-restore", str(portable), "--yes")
    assert rows(host.live) == before
    host.ok("db-verify")
    host.ok("db-init", "--schema", "migrations", "--yes")
    assert rows(host.live) == {name: [] for name in TABLES}


def test_from_a_file_of_such_an_app(host: Foreign) -> None:
    old = Path(shutil.move(host.live, host.directory / "old.db"))
    before = rows(old)
    host.ok("db-migrate-data", str(old), "--yes")
    assert rows(host.live) == before


def test_a_source_whose_functions_the_app_no_longer_registers_is_refused_by_name(host: Foreign) -> None:
    old = shutil.move(host.live, host.directory / "old.db")
    host.on_connect = None
    result = host.run("db-migrate-data", str(old))
    assert result.status == 20, result.stderr
    for words in ("table word needs the function slug", "table tag needs the collation unicase", "Register"):
        assert words in result.stderr
    assert "intact copy" not in result.stderr
    assert not host.live.exists()


@pytest.mark.parametrize("command", [("db-migrate-data", "self"), ("db-backup",), ("db-init",)])
def test_the_live_database_is_refused_before_the_question(host: Foreign, command: tuple[str, ...]) -> None:
    host.on_connect = None
    before = host.live.read_bytes()
    result = host.run(*command)
    assert result.status == 20, result.stderr
    assert "needs the collation unicase, which the app registers on none of its connections" in result.stderr
    assert host.live.read_bytes() == before
