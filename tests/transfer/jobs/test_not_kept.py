"""What a rollback that keeps writes cannot keep is named by row or column, with its keys masked."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from app.dialects.model import Column, LogicalType, Table
from app.dialects.sqlite.names import url_of
from app.transfer.jobs.not_kept import COLUMN, ROW, NotKept
from app.transfer.proof.writes import find_writes
from app.transfer.schema.declarations import Declarations
from app.transfer.schema.statements import Rename
from app.transfer.set_aside.added_rows import without
from app.transfer.staging.changes import Changes, Touched
from tests.transfer.proof.databases import DIALECT

OLD = {
    "users": Table("users", tuple(Column(name, LogicalType.TEXT) for name in ("id", "name")), ("id",)),
    "notes": Table("notes", (Column("id", LogicalType.INT),), ("id",)),
}
NEW = (
    "CREATE TABLE people (id INTEGER PRIMARY KEY, full_name TEXT, bio TEXT);"
    "CREATE TABLE tags (id INTEGER PRIMARY KEY, word TEXT);"
)
DECLARED = Declarations(({"users": ("people",), "users.name": ("people.full_name",)},), {})


def database(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(script)
    return path


def find_not_kept(
    directory: Path, scripts: dict[str, str], declared: Declarations, renames: Sequence[Rename] = ()
) -> NotKept:
    """What was written between ``new`` and ``now`` and is not between ``before`` and ``after``."""
    urls = {name: url_of(database(directory / name, script)) for name, script in scripts.items()}
    with (
        Changes(directory) as changes,
        DIALECT.reader(urls["before"]) as before,
        DIALECT.reader(urls["after"]) as after,
        DIALECT.reader(urls["new"]) as new,
        DIALECT.reader(urls["now"]) as now,
    ):
        table = before.tables()["users"]
        changes.find(Touched(table, None, without(table, None)), before, after)
        not_kept = NotKept(changes, declared, OLD, directory / "not-kept.json", renames)
        not_kept.take(find_writes(new, now, directory))
    return not_kept


def test_rows_and_columns_without_a_place_in_the_old_schema(tmp_path: Path) -> None:
    old = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);"
    paths = {
        "new": NEW + "INSERT INTO people VALUES (1, 'a', NULL), (2, 'b', NULL)",
        "now": NEW
        + "INSERT INTO people VALUES (1, 'A', 'x'), (2, 'b', 'y'), (3, 'c', NULL); INSERT INTO tags VALUES (7, 'w')",
        "before": old + "INSERT INTO users VALUES (1, 'a'), (2, 'b')",
        "after": old + "INSERT INTO users VALUES (1, 'A'), (2, 'b'), (3, 'c')",
    }
    not_kept = find_not_kept(tmp_path, paths, DECLARED)
    assert sorted(not_kept.items, key=str) == [
        # Row 2 came along in nothing: only its bio was written.
        {"what": "people", "why": ROW, "rows": 1, "keys": ["2"]},
        {"what": "people.bio", "why": COLUMN, "rows": 1, "keys": ["1"]},
        {"what": "tags", "why": ROW, "rows": 1, "keys": ["7"]},
    ]
    assert not_kept.rows == 3
    assert "Not kept:  tags: 1 row (7)" in not_kept.lines()
    assert [one["keys"] for one in not_kept.all_keys()] == [one["keys"] for one in not_kept.items]


def test_what_a_downgrade_renames_has_a_place(tmp_path: Path) -> None:
    old = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT);"
    paths = {
        "new": NEW,
        "now": NEW + "INSERT INTO people VALUES (1, 'A', 'x')",
        "before": old,
        "after": old + "INSERT INTO users VALUES (1, 'A')",
    }
    renames = [
        Rename("people", "full_name", "called"),
        Rename("", "people", "users"),
        Rename("users", "called", "name"),
    ]
    not_kept = find_not_kept(tmp_path, paths, Declarations((), {}), renames)
    assert [item["what"] for item in not_kept.items] == ["people.bio"]
