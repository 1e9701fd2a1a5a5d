"""Proof: what was loaded, and what an upgrade may change."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping
from contextlib import closing, nullcontext
from pathlib import Path
from typing import Any

import pytest

from app.dialects.model import Table, TableChecksum, Values
from app.dialects.reader import Reader
from app.dialects.sqlite.names import url_of
from app.errors import VerificationFailed
from app.transfer.proof.verify import Before, Upgraded, verify_loaded, verify_upgrade
from app.transfer.rows.canonical import checksum
from app.transfer.rows.encode import hash_rows, write_snapshot
from app.transfer.rows.header import Header
from app.transfer.rows.spelled import Spelled
from app.transfer.schema.declarations import Declarations
from app.transfer.schema.listen import Heard

from .databases import DIALECT, Db

# What was loaded


@pytest.fixture
def staged(db: Db) -> Path:
    return db("CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT)", "INSERT INTO a VALUES (1, 'x'), (2, 'y')")


def verify(staged: Path, rows: list[Values], *, counts_only: bool = False) -> None:
    with DIALECT.reader(url_of(staged)) as reader:
        table = reader.tables()["a"]
        verify_loaded(
            reader,
            {"a": table},
            {"a": checksum(table, rows)},
            lambda _name: iter(rows),
            staged.parent,
            counts_only=counts_only,
        )


def test_what_was_loaded_is_there(staged: Path) -> None:
    verify(staged, [[1, "x"], [2, "y"]])
    verify(staged, [[1, "x"], [2, "other"]], counts_only=True)


@pytest.mark.parametrize("counts_only", [False, True])
def test_a_missing_row_is_named(staged: Path, counts_only: bool) -> None:
    with pytest.raises(VerificationFailed, match=": a") as caught:
        verify(staged, [[1, "x"], [2, "y"], [3, "z"]], counts_only=counts_only)
    assert caught.value.details == ["a: 3 rows loaded, 2 found", "a [3]: missing"]


def test_a_changed_row_is_named_by_column(staged: Path) -> None:
    with pytest.raises(VerificationFailed) as caught:
        verify(staged, [[1, "x"], [2, "z"]])
    assert caught.value.details[1] == 'a [2]: changed: x: "z" -> "y"'


def test_only_the_first_differences_are_shown(staged: Path) -> None:
    with pytest.raises(VerificationFailed) as caught:
        verify(staged, [[n, "z"] for n in range(100)])
    assert caught.value.details[0] == "a: 100 rows loaded, 2 found"
    assert len(caught.value.details) == 1 + 10


def spell(table: Table, rows: list[Values], directory: Path) -> Spelled:
    header = Header("rows", "the source", "identity", "2024-01-01T00:00:00Z", "0001", (table,))
    file = write_snapshot(directory / "rows.json", header, [(table.name, hash_rows(table, rows))])
    return file.footer.spelled[table.name]


MANY: list[Values] = [[number, f"text {number}"] for number in range(1, 301)]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE a SET x = 'other' WHERE id = 1",
        "UPDATE a SET x = 'other' WHERE id = 250",
        "DELETE FROM a WHERE id = 300",
        "INSERT INTO a VALUES (301, 'more')",
        "UPDATE a SET id = 999 WHERE id = 5",
    ],
)
def test_what_is_not_as_the_file_spells_it(db: Db, tmp_path: Path, change: str) -> None:
    values = ", ".join(f"({number}, '{text}')" for number, text in MANY)
    same = db("CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT)", f"INSERT INTO a VALUES {values}")
    for statements, is_right in (((), True), ((change,), False)):
        with closing(sqlite3.connect(same)) as connection:
            connection.executescript(";".join(statements))
        with DIALECT.reader(url_of(same)) as reader:
            table = reader.tables()["a"]
            lines = {"a": spell(table, MANY, tmp_path)}
            with nullcontext() if is_right else pytest.raises(VerificationFailed, match=": a"):
                verify_loaded(
                    reader,
                    {"a": table},
                    {"a": checksum(table, MANY)},
                    lambda _name: iter(MANY),
                    tmp_path,
                    counts_only=False,
                    spelled=lines,
                )


@pytest.mark.parametrize("number", [0, 299])
def test_json_that_is_spelled_otherwise_is_equal_all_the_same(db: Db, tmp_path: Path, number: int) -> None:
    """At the beginning, and where more rows are read before that is seen."""
    texts = ['{"b": 1.0, "a": [1]}'] * 300
    texts[number] = '{"a":[1],"b":1}'
    values = ", ".join(f"({row}, '{text}')" for row, text in enumerate(texts, 1))
    there = db("CREATE TABLE a (id INTEGER PRIMARY KEY, x JSON)", f"INSERT INTO a VALUES {values}")
    rows: list[Values] = [[row, '{"b": 1.0, "a": [1]}'] for row in range(1, 301)]
    with DIALECT.reader(url_of(there)) as reader:
        table = reader.tables()["a"]
        lines = {"a": spell(table, rows, tmp_path)}
        verify_loaded(
            reader,
            {"a": table},
            {"a": checksum(table, rows)},
            lambda _name: iter(rows),
            tmp_path,
            counts_only=False,
            spelled=lines,
        )


# What an upgrade may change


OLD = ("CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, note TEXT)", "INSERT INTO users VALUES (1, 'a', NULL)")


def upgraded(
    before: Path,
    after: Path,
    *moves: Mapping[str, tuple[str, ...]],
    losses: Mapping[str, str] | None = None,
) -> Upgraded:
    with DIALECT.reader(url_of(before)) as old, DIALECT.reader(url_of(after)) as new:
        tables = old.tables()
        sums = {name: TableChecksum(old.count(name), 0) for name in tables}
        declared = Declarations(moves, losses or {})
        return verify_upgrade(Before(tables, sums, _rows(old)), new, declared, Heard(), "head")


def _rows(reader: Reader) -> Callable[[Table], Any]:
    return lambda table: reader.rows(table)


def stopped(before: Path, after: Path, *moves: Any, losses: Mapping[str, str] | None = None) -> list[str]:
    with pytest.raises(VerificationFailed) as caught:
        upgraded(before, after, *moves, losses=losses)
    assert "ferry_moves" in str(caught.value.hint)
    return caught.value.details


def users(*columns: str, rows: str = "", name: str = "users") -> tuple[str, ...]:
    made = f"CREATE TABLE {name} (id INTEGER PRIMARY KEY, {', '.join(f'{column} TEXT' for column in columns)})"
    return (made, f"INSERT INTO {name} VALUES {rows}") if rows else (made,)


def test_nothing_changed(db: Db) -> None:
    result = upgraded(db(*OLD), db(*OLD))
    assert (result.moves, result.losses, result.rows) == ([], [], {"users": 1})


def test_more_rows_tables_and_columns_are_the_revisions_business(db: Db) -> None:
    after = db(*users("name", "note", "more", rows="(1, 'A', 'n', NULL), (2, 'b', 'n', NULL)"), "CREATE TABLE x (y)")
    assert upgraded(db(*OLD), after).rows == {"users": 2}


def test_a_table_that_is_gone(db: Db) -> None:
    before = db(*OLD, "CREATE TABLE empty (x)")
    assert stopped(before, db("CREATE TABLE t (x)")) == ["table users (1 row) is gone"]
    result = upgraded(before, db("CREATE TABLE t (x)"), losses={"users": "no longer kept"})
    assert result.losses == ["users: 1 row: no longer kept"]


def test_a_table_with_fewer_rows(db: Db) -> None:
    before = db(*users("name", rows="(1, 'a'), (2, 'b')"))
    assert stopped(before, db(*users("name", rows="(1, 'a')"))) == ["table users had 2 rows and users has 1"]
    assert upgraded(before, db(*users("name", rows="(1, 'a')")), losses={"users": "merged"}).losses


def test_a_declared_table_that_stays_keeps_its_columns(db: Db) -> None:
    before = db(*users("name", "note", rows="(1, 'a', 'n'), (2, 'b', 'n')"))
    after = db(*users("name", rows="(1, 'a')"))
    assert stopped(before, after, losses={"users": "merged"}) == ["column users.note (2 values) is gone"]
    declared = upgraded(before, after, losses={"users": "merged", "users.note": "unused"})
    assert declared.losses == ["users: 1 row: merged", "users.note: 2 values: unused"]
    assert upgraded(before, before, losses={"users": "merged"}).losses == []


def test_a_table_that_moved(db: Db) -> None:
    before = db(*users("name", rows="(1, 'a'), (2, 'b')"))
    after = db(*users("name", rows="(1, 'a'), (2, 'b')", name="people"))
    assert stopped(before, after) == ["table users (2 rows) is gone"]
    result = upgraded(before, after, {"users": ("people",)})
    assert (result.moves, result.rows) == (["users -> people"], {"users": 2})


def test_a_table_that_moved_twice_and_lost_rows(db: Db) -> None:
    before = db(*users("name", rows="(1, 'a'), (2, 'b')"))
    moves = ({"users": ("people",)}, {"people": ("members",)})
    after = db(*users("name", rows="(1, 'a')", name="members"))
    assert stopped(before, after, *moves) == ["table users had 2 rows and members has 1"]
    whole = db(*users("name", rows="(1, 'a'), (2, 'b')", name="members"))
    assert upgraded(before, whole, *moves).moves == ["users -> members"]


def test_a_table_that_was_split(db: Db) -> None:
    before = db(*users("name", rows="(1, 'a'), (2, 'b')"))
    parts = [*users("name", rows="(1, 'a')"), *users("name", rows="(2, 'b')", name="guests")]
    result = upgraded(before, db(*parts), {"users": ("users", "guests")})
    assert (result.moves, result.rows) == (["users -> users, guests"], {"users": 2})
    assert stopped(before, db(*parts)) == ["table users had 2 rows and users has 1"]


def test_a_column_that_is_gone(db: Db) -> None:
    before = db(*users("name", "note", "empty", rows="(1, 'a', 'n', NULL), (2, 'b', NULL, NULL)"))
    after = db(*users("name", rows="(1, 'a'), (2, 'b')"))
    assert stopped(before, after) == ["column users.note (1 value) is gone"]
    result = upgraded(before, after, losses={"users.note": "unused"})
    assert result.losses == ["users.note: 1 value: unused"]


def test_a_renamed_column_is_proved_by_its_values(db: Db) -> None:
    before = db(*users("name", rows="(1, 'a'), (2, 'b'), (3, NULL)"))
    result = upgraded(before, db(*users("label", rows="(1, 'b'), (2, 'a'), (3, NULL)")))
    assert result.moves == ["users.name -> users.label (the same values)"]
    assert stopped(before, db(*users("label", rows="(1, 'b'), (2, 'A'), (3, NULL)"))) == [
        "column users.name (2 values) is gone"
    ]


def test_a_column_that_was_there_before_proves_nothing(db: Db) -> None:
    before = db(*users("name", "label", rows="(1, 'a', 'a')"))
    assert stopped(before, db(*users("label", rows="(1, 'a')"))) == ["column users.name (1 value) is gone"]


def test_a_column_that_was_declared_to_move(db: Db) -> None:
    before = db(*users("name", rows="(1, 'a'), (2, 'b')"))
    after = db(*users("label", rows="(1, 'A'), (2, 'B')"))
    assert upgraded(before, after, {"users.name": ("users.label",)}).moves == ["users.name -> users.label"]
    fewer = db(*users("label", rows="(1, 'A'), (2, NULL)"))
    assert stopped(before, fewer, {"users.name": ("users.label",)}) == [
        "column users.name had 2 values and users.label has 1"
    ]
    assert stopped(before, after, {"users.name": ("users.gone",)}) == ["column users.name (2 values) is gone"]


def test_a_column_that_moved_to_another_table(db: Db) -> None:
    before = db(*users("name", rows="(1, 'a')"))
    after = db("CREATE TABLE users (id INTEGER PRIMARY KEY)", "INSERT INTO users VALUES (1)", *users("t", name="names"))
    assert upgraded(before, after, {"users.name": ("names",)}).moves == ["users.name -> names"]


def test_columns_go_with_a_table_that_moves(db: Db) -> None:
    before = db(*users("name", rows="(1, 'a')"))
    after = db(*users("label", rows="(1, 'A')", name="people"))
    moves = ({"users": ("people",)}, {"people.name": ("people.label",)})
    assert sorted(upgraded(before, after, *moves).moves) == ["users -> people", "users.name -> people.label"]


def test_a_loss_is_declared_under_the_name_that_it_has_by_then(db: Db) -> None:
    before = db(*users("name", "note", rows="(1, 'a', 'n')"))
    moves = ({"users": ("people",)}, {"people.name": ("people.label",)}, {})
    after = db(*users("label", rows="(1, 'a')", name="people"))
    assert stopped(before, after, *moves) == ["column users.note (1 value) is gone"]
    assert upgraded(before, after, *moves, losses={"people.note": "unused"}).losses == ["users.note: 1 value: unused"]
    nothing = db("CREATE TABLE t (x)")
    assert upgraded(before, nothing, *moves, losses={"people": "unused"}).losses == ["users: 1 row: unused"]


def test_everything_is_named_at_once(db: Db) -> None:
    before = db(*users("a", "b", rows="(1, 'a', 'b')"), *users("x", rows="(1, 'x')", name="t"))
    after = db("CREATE TABLE users (id INTEGER PRIMARY KEY)", "INSERT INTO users VALUES (1)")
    assert len(stopped(before, after)) == 3
