"""Differences by row and column; secrets are masked."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from app.dialects.model import Column, LogicalType, Table, Values
from app.dialects.sqlite.names import url_of
from app.transfer.proof.compare import Difference, Numbers, compare_databases, differences, unequal

from .databases import DIALECT, USERS, Db, found

LOGS = Table("logs", (Column("what", LogicalType.TEXT), Column("doc", LogicalType.JSON)))


def kinds(items: Sequence[Difference]) -> list[tuple[str, Any]]:
    return sorted((item.kind, item.key) for item in items)


def test_rows_are_told_apart_by_key_and_column(tmp_path: Path) -> None:
    left: list[Values] = [[1, "a", "x", "{}"], [2, "b", "x", None], [3, "c", "x", None]]
    right: list[Values] = [[3, "C", "x", "null"], [4, "d", "x", None], [1, "a", "x", "{ }"]]
    result = found(USERS, left, right, tmp_path)
    assert kinds(result) == [("added", [4]), ("changed", [3]), ("missing", [2])]
    [changed] = [item for item in result if item.kind == "changed"]
    assert changed.columns == {"name": ("c", "C"), "doc": (None, "null")}
    assert str(changed) == 'users [3]: changed: name: "c" -> "C"; doc: null -> "null"'


def test_no_difference_whatever_the_order(tmp_path: Path) -> None:
    rows: list[Values] = [[n, str(n), "x", None] for n in range(50)]
    assert found(USERS, rows, rows[::-1], tmp_path) == []


def test_rows_that_come_in_step_need_no_file(tmp_path: Path) -> None:
    left: list[Values] = [[n, str(n), "x", '{"n": 1.0}'] for n in range(50)]
    right: list[Values] = [[n, str(n), "x", '{"n":1}' if n % 7 else "{}"] for n in range(50)]
    nowhere = tmp_path / "nowhere" / "scratch"
    assert [item.key for item in differences(USERS, left, right, nowhere)] == [[n] for n in range(0, 50, 7)]
    assert list(differences(USERS, [], [], nowhere)) == []


def test_rows_that_fall_out_of_step_are_told_apart_all_the_same(tmp_path: Path) -> None:
    left: list[Values] = [[n, str(n), "x", None] for n in range(20) if n != 9]
    right: list[Values] = [[n, "other" if n in (3, 15) else str(n), "x", None] for n in range(20) if n not in (6, 17)]
    wanted = [("added", [9]), ("changed", [3]), ("changed", [15]), ("missing", [6]), ("missing", [17])]
    assert kinds(found(USERS, left, right, tmp_path)) == wanted
    assert kinds(found(USERS, left[:3], left, tmp_path)) == [("added", [row[0]]) for row in left[3:]]
    assert kinds(found(USERS, left, left[:3], tmp_path)) == [("missing", [row[0]]) for row in left[3:]]


def test_values_that_python_takes_for_one_are_two(tmp_path: Path) -> None:
    numbers = Table("t", (Column("id", LogicalType.INT), Column("x", LogicalType.FLOAT)), ("id",))
    for one, other in ((0.0, -0.0), (1, True), (1, 1.0)):
        assert [item.kind for item in found(numbers, [[1, one]], [[1, other]], tmp_path)] == ["changed"]
        assert kinds(found(numbers, [[one, 5]], [[other, 5]], tmp_path)) == [("added", [other]), ("missing", [one])]


def test_null_in_a_key_is_no_key(tmp_path: Path) -> None:
    left: list[Values] = [[None, "a", "x", None], [None, "b", "x", None], [1, "c", "x", None]]
    assert found(USERS, left, left, tmp_path) == []
    result = found(USERS, left, [left[0], [None, "B", "x", None], left[2]], tmp_path)
    assert kinds(result) == [("changed", [None])]


def test_secrets_are_masked(tmp_path: Path) -> None:
    keyed = Table("t", (Column("api_key", LogicalType.TEXT), Column("x", LogicalType.INT)), ("api_key",))
    results = [
        *found(USERS, [[1, "a", "old hash", None]], [[1, "a", "new hash", None]], tmp_path),
        *found(keyed, [["s3cret", 1]], [["s3cret2", 1]], tmp_path),
    ]
    shown = "".join(f"{item} {item.to_json()}" for item in results)
    assert "password" in shown
    assert not any(word in shown for word in ("old hash", "new hash", "s3cret"))


def test_secrets_inside_json_are_masked(tmp_path: Path) -> None:
    """By the names of keys at any depth, in texts that are JSON again, and in what is no JSON at all."""
    docs = (
        '{"api_key":"s3cret","n":1}',
        '{"a":[{"nested":{"Token":["s3cret"]}}]}',
        json.dumps({"inner": '{"password":"s3cret"}'}),
        {"$text": 'password = "s3cret'},
    )
    for doc in docs:
        keyed = found(USERS, [[1, "a", "x", doc]], [[1, "a", "x", '{"n":1}']], tmp_path)
        # Rows without a key are shown as a whole.
        whole = found(LOGS, [["x", doc]], [["x", None]], tmp_path)
        shown = "".join(f"{item} {item.to_json()}" for item in [*keyed, *whole])
        assert "s3cret" not in shown
        assert "***" in shown
    [item] = found(USERS, [[1, "a", "x", docs[0]]], [[1, "a", "x", '{"hashtag":"h","n":2.50}']], tmp_path)
    assert item.columns["doc"] == ('{"api_key": "***", "n": 1}', '{"hashtag": "***", "n": 2.5}')


def test_what_holds_no_secret_is_shown_as_it_is_spelled(tmp_path: Path) -> None:
    [item] = found(USERS, [[1, "a", "x", '{ "n" :1.50}']], [[1, "a", "x", None]], tmp_path)
    assert item.columns == {"doc": ('{ "n" :1.50}', None)}


def test_rows_without_a_key_are_counted(tmp_path: Path) -> None:
    left: list[Values] = [["x", None], ["x", None], ["y", '{"a":1,"b":2}'], ["z", None]]
    right: list[Values] = [["x", None], ["y", '{"b":2,"a":1.0}'], ["z", None], ["z", None]]
    assert kinds(found(LOGS, left, right, tmp_path)) == [("added", ["z", None]), ("missing", ["x", None])]


def test_sqlite_allows_null_in_a_key_many_times(tmp_path: Path) -> None:
    table = Table("t", (Column("k", LogicalType.TEXT), Column("x", LogicalType.INT)), ("k",))
    assert found(table, [[None, 1], [None, 2], ["a", 3]], [[None, 1], [None, 2], ["a", 3]], tmp_path) == []
    assert kinds(found(table, [[None, 1], [None, 2]], [[None, 1]], tmp_path)) == [("missing", [None])]


def test_composite_keys(tmp_path: Path) -> None:
    table = Table("t", tuple(Column(name, LogicalType.INT) for name in "abx"), ("b", "a"))
    [item] = found(table, [[1, 2, 3], [2, 1, 3]], [[1, 2, 4], [2, 1, 3]], tmp_path)
    assert (item.key, item.columns) == ([2, 1], {"x": (3, 4)})


def test_long_values_are_cut_for_people_only() -> None:
    item = Difference("t", [1], "changed", {"x": ("a" * 500, "b")})
    assert len(str(item)) < 120
    assert item.to_json()["columns"]["x"] == ["a" * 500, "b"]


def compared(left: Path, right: Path) -> list[tuple[str, str]]:
    with DIALECT.reader(url_of(left)) as one, DIALECT.reader(url_of(right)) as other:
        items = list(compare_databases(one, other, left.parent))
    return sorted((item.table, item.kind) for item in items)


def test_databases_are_compared_by_tables_columns_and_rows(db: Db) -> None:
    one = db(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT, gone TEXT)",
        "CREATE TABLE lost (x)",
        "CREATE TABLE alembic_version (version_num TEXT)",
        "INSERT INTO a VALUES (1, 'x', 'g'), (2, 'y', 'g')",
    )
    other = db(
        "CREATE TABLE a (new TEXT, x TEXT, id INTEGER PRIMARY KEY)",
        "CREATE TABLE more (x)",
        "INSERT INTO a VALUES ('n', 'x', 1), ('n', 'Y', 2)",
    )
    assert compared(one, other) == [
        ("a", "changed"),
        ("a.gone", "column missing"),
        ("a.new", "column added"),
        ("lost", "table missing"),
        ("more", "table added"),
    ]
    assert compared(one, one) == []


def test_a_key_that_only_one_side_has(db: Db) -> None:
    one = db("CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT)", "INSERT INTO a VALUES (1, 'x'), (2, 'x')")
    other = db("CREATE TABLE a (x TEXT)", "INSERT INTO a VALUES ('x'), ('y')")
    assert compared(one, other) == [("a", "added"), ("a", "missing"), ("a.id", "column missing")]


def test_rows_are_numbered_alike_however_many_equal_ones_stand_before_them(tmp_path: Path) -> None:
    """Who looks a row up by its key counts all rows; one that was counted otherwise would pass for another, and go."""
    table = Table("t", (Column("k", LogicalType.TEXT, nullable=True), Column("v", LogicalType.TEXT)), ("k",))
    was: list[Values] = [["z", "y"], [None, "a"], [None, "b"]]
    for becomes in (was, [*was, [None, "b"]], [*was[:2], [None, "c"]], was[:2], [*was, [None, "d"], ["zz", "e"]]):
        with Numbers(tmp_path) as numbers:
            left = [(key, row) for key, row in numbers.number(table, was)]
            right = [(key, row) for key, row in numbers.number(table, becomes)]
        expected = {key for key, row in [*left, *right] if ((key, row) in left) != ((key, row) in right)}
        assert {key for key, _, _ in unequal(table, was, becomes, tmp_path)} == expected
