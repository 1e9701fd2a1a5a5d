"""What fixed rows come to at head: what one database has more than another, added to a copy of a third."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from app.dialects.model import Column, ForeignKey, LogicalType, Table, TableChecksum
from app.dialects.sqlite.names import url_of
from app.errors import DoesNotFit
from app.transfer.rows.canonical import checksum
from app.transfer.rows.header import sort_columns
from app.transfer.set_aside.added_rows import Effect, find_generated_key, load_added, plus, write_added
from tests.transfer.proof.databases import DIALECT

SCHEMA = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE)",
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)",
    "CREATE TABLE logs (what TEXT)",
)
Make = Callable[..., Path]
FORMER = {"users", "logs"}
"""``notes`` came with a revision: its keys were given out by it."""


@pytest.fixture
def make(tmp_path: Path) -> Make:
    def made(name: str, *statements: str, schema: tuple[str, ...] = SCHEMA) -> Path:
        with closing(sqlite3.connect(tmp_path / name)) as connection, connection:
            for statement in (*schema, *statements):
                connection.execute(statement)
        return tmp_path / name

    return made


def compute(effect: Effect, less: Path, more: Path) -> list[str]:
    with DIALECT.reader(url_of(less)) as one, DIALECT.reader(url_of(more)) as other:
        return [str(item) for item in effect.compute(one, other, FORMER, less.parent)]


LESS = ("INSERT INTO users VALUES (1, 'a')", "INSERT INTO notes VALUES (1, 'of a')", "INSERT INTO logs VALUES ('x')")
MORE = (
    "INSERT INTO users VALUES (1, 'a'), (2, 'b')",
    # The revision gave its keys out anew: only what they say is compared.
    "INSERT INTO notes VALUES (1, 'of b'), (2, 'of a')",
    "INSERT INTO logs VALUES ('x'), ('x')",
)


def test_rows_that_are_more_are_added_with_keys_above_those_that_are_live(make: Make, tmp_path: Path) -> None:
    users, logs = "INSERT INTO users VALUES (1, 'A'), (9, 'z')", "INSERT INTO logs VALUES ('x')"
    live = make("live", users, "INSERT INTO notes VALUES (40, 'of z')", logs)
    with Effect(tmp_path) as effect:
        assert compute(effect, make("less", *LESS), make("more", *MORE)) == []
        with DIALECT.reader(url_of(live)) as reader:
            assert list(effect.compare(reader)) == []
            assert [effect.there(name) for name in ("users", "notes", "logs")] == [0, 0, 0]
            write_added(tmp_path / "added.json", effect, reader, "fixed", "0002")
        sums = load_added(DIALECT, url_of(live), tmp_path / "added.json")
        with DIALECT.reader(url_of(live)) as reader:
            tables = reader.tables()
            rows = {name: list(reader.rows(tables[name])) for name in tables}
            assert [str(one) for one in effect.compare(reader)] == []
            assert [effect.there(name) for name in ("users", "notes", "logs")] == [1, 1, 1]
            assert list(effect.rows(reader)) == []
    assert rows == {
        "users": [[1, "A"], [2, "b"], [9, "z"]],
        "notes": [[40, "of z"], [41, "of b"]],
        "logs": [["x"], ["x"]],
    }
    assert sums["users"] == checksum(sort_columns(tables["users"]), [[2, "b"]])


def test_what_would_change_what_is_live_is_told(make: Make, tmp_path: Path) -> None:
    more = make("more", "INSERT INTO users VALUES (1, 'other')", "INSERT INTO notes VALUES (1, 'of b')")
    with Effect(tmp_path) as effect:
        assert sorted(compute(effect, make("less", *LESS), more)) == [
            "logs ['x']: missing",
            "notes ['of a']: missing",
            'users [1]: changed: name: "a" -> "other"',
        ]


def test_a_live_row_of_the_same_key_is_a_difference_and_a_schema_that_drifted_is_refused(
    make: Make, tmp_path: Path
) -> None:
    with Effect(tmp_path) as effect:
        compute(effect, make("less", *LESS), make("more", *MORE))
        with DIALECT.reader(url_of(make("live", "INSERT INTO users VALUES (2, 'B')"))) as reader:
            assert [str(item) for item in effect.compare(reader)] == ['users [2]: changed: name: "B" -> "b"']
        for name, schema, words in (
            ("none", SCHEMA[1:], "has no table users"),
            (
                "less columns",
                ("CREATE TABLE users (id INTEGER PRIMARY KEY)", *SCHEMA[1:]),
                "lacks columns of head: name",
            ),
        ):
            with DIALECT.reader(url_of(make(name, schema=schema))) as reader, pytest.raises(DoesNotFit, match=words):
                list(effect.compare(reader))


def test_rows_that_the_live_database_refuses_are_named(make: Make, tmp_path: Path) -> None:
    live = make("live", "INSERT INTO users VALUES (7, 'b')")
    with Effect(tmp_path) as effect:
        compute(effect, make("less", *LESS), make("more", *MORE))
        with DIALECT.reader(url_of(live)) as reader:
            write_added(tmp_path / "added.json", effect, reader, "fixed", "0002")
    with pytest.raises(DoesNotFit, match="refuses rows") as caught:
        load_added(DIALECT, url_of(live), tmp_path / "added.json")
    assert caught.value.details == ["users: UNIQUE constraint failed: users.name; key 2"]


def table(name: str, *keys: ForeignKey, kind: LogicalType = LogicalType.INT, key: tuple[str, ...] = ("id",)) -> Table:
    return Table(name, (Column("id", kind), Column("x", LogicalType.INT)), key, (), keys)


@pytest.mark.parametrize(
    ("tables", "generated"),
    [
        ([table("t")], "id"),
        ([table("users")], None),
        ([table("t", key=())], None),
        ([table("t", key=("id", "x"))], None),
        ([table("t", kind=LogicalType.UUID)], None),
        ([table("t", ForeignKey(("id",), "users", ("id",)))], None),
        ([table("t"), table("o", ForeignKey(("x",), "t", ("id",)))], None),
        ([table("t", ForeignKey(("x",), "o", ("id",))), table("o")], "id"),
    ],
)
def test_a_key_that_any_other_may_replace(tables: list[Table], generated: str | None) -> None:
    assert find_generated_key(tables[0], {one.name: one for one in tables}, FORMER) == generated


def test_sums_of_both() -> None:
    assert plus(TableChecksum(1, (1 << 128) - 1), TableChecksum(2, 2)) == TableChecksum(3, 1)
