"""A copy of a file lies as the file does, whatever its header counts; no other database does."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from app.dialects.sqlite.pages import digest_of_pages

TABLE = "CREATE TABLE t (x); INSERT INTO t VALUES (1), ('ä'), (x'ff'), (1.5)"


@pytest.fixture
def area(tmp_path: Path) -> Path:
    path = tmp_path / "live.db.ferry" / "generations"
    path.mkdir(parents=True)
    return path


@contextmanager
def writing(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        yield connection


def digest(path: Path) -> str | None:
    with writing(path) as connection:
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM sqlite_schema")
        return digest_of_pages(connection)


def fill(path: Path, *sql: str) -> Path:
    with writing(path) as connection:
        for statements in sql:
            connection.executescript(statements)
    return path


def test_a_copy_lies_as_what_it_is_a_copy_of(area: Path) -> None:
    first, second, third = (area / f"{n}.db" for n in range(3))
    fill(first, "PRAGMA user_version = 7", TABLE)
    fill(second, "CREATE TABLE other (y)")
    for one, other in ((first, second), (second, third)):
        with writing(one) as origin, writing(other) as copy:
            origin.backup(copy)
    assert digest(first) is not None
    assert digest(first) == digest(second) == digest(third)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE t SET x = 2 WHERE x = 1",
        "DELETE FROM t WHERE x = 1",
        "INSERT INTO t VALUES (1)",
        "CREATE VIEW v AS SELECT 1",
        "ALTER TABLE t RENAME COLUMN x TO y",
        "PRAGMA user_version = 1",
    ],
)
def test_anything_else_lies_otherwise(area: Path, change: str) -> None:
    before = digest(fill(area / "a.db", TABLE))
    assert digest(fill(area / "a.db", change)) != before


def test_of_a_file_that_others_may_have_locked_nothing_is_said(tmp_path: Path, area: Path) -> None:
    assert digest(fill(tmp_path / "live.db", TABLE)) is None
    assert digest(fill(area / "wal.db", "PRAGMA journal_mode = WAL", TABLE)) is None
    with writing(fill(area / "own.db", TABLE)) as connection:
        connection.execute("BEGIN")
        connection.execute("DELETE FROM t")
        assert digest_of_pages(connection) is None
    with closing(sqlite3.connect(":memory:")) as connection:
        assert digest_of_pages(connection) is None
