"""What was written between two states of a database, as whole rows; what may be shown of them is masked."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dialects.sqlite.names import url_of
from app.transfer.proof.writes import find_schema_changes, find_writes

from .databases import DIALECT, Db

USERS = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, password TEXT)"


def writes(was: Path, is_now: Path) -> list[tuple[object, ...]]:
    with DIALECT.reader(url_of(was)) as left, DIALECT.reader(url_of(is_now)) as right:
        return [(w.table.name, w.kind, w.before, w.after) for w in find_writes(left, right, was.parent)]


def test_rows_that_were_added_changed_and_deleted(db: Db) -> None:
    was = db(USERS, "INSERT INTO users VALUES (1, 'a', 'x'), (2, 'b', 'x'), (3, 'c', 'x')")
    now = db(USERS, "INSERT INTO users VALUES (1, 'a', 'x'), (3, 'C', 'x'), (4, 'd', 'x')")
    assert sorted(writes(was, now), key=str) == [
        ("users", "added", None, [4, "d", "x"]),
        ("users", "changed", [3, "c", "x"], [3, "C", "x"]),
        ("users", "deleted", [2, "b", "x"], None),
    ]
    assert writes(was, was) == []


def test_a_column_of_one_side_is_null_on_the_other(db: Db) -> None:
    was = db(USERS, "INSERT INTO users VALUES (1, 'a', 'x'), (2, 'b', NULL)")
    now = db(
        "CREATE TABLE users (name TEXT, id INTEGER PRIMARY KEY, bio TEXT)",
        "INSERT INTO users VALUES ('a', 1, 'new')",
        "INSERT INTO users VALUES ('b', 2, NULL)",
    )
    assert writes(was, now) == [("users", "changed", ["a", 1, None, "x"], ["a", 1, "new", None])]


def test_all_rows_of_a_table_that_came_or_went(db: Db) -> None:
    was, now = db(USERS, "INSERT INTO users VALUES (1, 'a', 'x')"), db("CREATE TABLE posts (id INTEGER PRIMARY KEY)")
    assert writes(was, now) == [("users", "deleted", [1, "a", "x"], None)]
    assert writes(now, was) == [("users", "added", None, [1, "a", "x"])]
    with DIALECT.reader(url_of(was)) as left, DIALECT.reader(url_of(now)) as right:
        assert find_schema_changes(left, right) == ["table posts new", "table users gone"]


@pytest.mark.parametrize("keyed", [True, False])
def test_a_row_in_json_is_whole_and_its_difference_is_masked(db: Db, keyed: bool) -> None:
    made = USERS if keyed else USERS.replace(" PRIMARY KEY", "")
    was, now = db(made), db(made, "INSERT INTO users VALUES (1, 'a', 's3cret')")
    with DIALECT.reader(url_of(was)) as left, DIALECT.reader(url_of(now)) as right:
        [item] = find_writes(left, right, was.parent)
    assert item.to_json() == {
        "table": "users",
        "key": {"id": 1} if keyed else None,
        "kind": "added",
        "before": None,
        "after": {"id": 1, "name": "a", "password": "s3cret"},
    }
    assert "s3cret" not in str(item.difference)
    assert item.difference.key == ([1] if keyed else [1, "a", "***"])
