"""Loading: every row is loaded, excluded or set aside, and what refers to a row set aside goes with it."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from sqlalchemy import URL

from app.dialects.model import Column, ForeignKey, LogicalType, Table, Values
from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.names import url_of
from app.errors import DoesNotFit
from app.transfer.rows.canonical import checksum
from app.transfer.rows.encode import encode, hash_rows
from app.transfer.rows.files import write
from app.transfer.rows.header import Header
from app.transfer.rows.scratch import Aside
from app.transfer.rows.snapshot import check_file
from app.transfer.staging.load import aside_to_json, describe_key, load
from app.transfer.staging.referring import set_aside_referring
from app.transfer.staging.rows_file import RowsFile, check_exclusions

DIALECT = SqliteDialect()
SCHEMA = """
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE, best INTEGER REFERENCES posts (id));
CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id),
                    parent_id INTEGER REFERENCES posts (id));
CREATE TABLE likes (user_id INTEGER, post_id INTEGER, PRIMARY KEY (user_id, post_id),
                    FOREIGN KEY (user_id) REFERENCES users (id), FOREIGN KEY (post_id) REFERENCES posts (id));
CREATE TABLE logs (what TEXT);
"""
Rows = Mapping[str, Sequence[Values]]


@pytest.fixture
def staging(tmp_path: Path) -> URL:
    with sqlite3.connect(tmp_path / "staging.db") as connection:
        connection.executescript(SCHEMA)
    connection.close()
    return url_of(tmp_path / "staging.db")


@pytest.fixture
def schema(staging: URL) -> dict[str, Table]:
    with DIALECT.reader(staging) as reader:
        return reader.tables()


Make = Callable[..., RowsFile]


@pytest.fixture
def make(tmp_path: Path, schema: dict[str, Table]) -> Make:
    """A rows file of the schema's tables."""

    def made(rows: Rows, *, exclude: Sequence[str] = (), tables: Sequence[Table] | None = None) -> RowsFile:
        given = tuple(tables or schema.values())
        head = Header("rows", "s", "i", "2024-01-01T00:00:00Z", "0001", given)
        sections = ((table.name, hash_rows(table, rows.get(table.name, ()))) for table in given)
        write(tmp_path / "rows.json", encode(head, sections), keep_former=False)
        return RowsFile(check_file(tmp_path / "rows.json"), schema, exclude, Aside(tmp_path / "aside.db"))

    return made


def held(staging: URL, table: str) -> list[Values]:
    with DIALECT.reader(staging) as reader:
        return list(reader.rows(reader.tables()[table]))


WHOLE: Rows = {
    "users": [[1, "a", 11], [2, "b", None]],
    "posts": [[10, 1, 11], [11, 2, 10]],
    "likes": [[1, 10], [2, 11]],
    "logs": [["x"], ["x"], [None]],
}


def test_everything_is_loaded_and_accounted_for(staging: URL, make: Make) -> None:
    rows = make(WHOLE)
    accounts, refused = load(DIALECT, staging, rows)
    assert refused == []
    for name, expected in WHOLE.items():
        assert sorted(held(staging, name), key=repr) == sorted(expected, key=repr)
        account = accounts[name]
        assert account.loaded == checksum(account.table, expected)
        assert (account.rows, account.excluded, account.set_aside) == (len(expected), 0, 0)


def test_rows_can_be_read_again(make: Make) -> None:
    rows = make(WHOLE)
    assert list(rows.rows("posts")) == WHOLE["posts"]
    assert list(rows.rows("posts")) == WHOLE["posts"]


# What the schema has no place for


def test_columns_come_in_the_order_of_the_source(staging: URL, make: Make, schema: dict[str, Table]) -> None:
    turned = [Table(t.name, t.columns[::-1], t.primary_key) for t in schema.values()]
    rows = make({"users": [[None, "a", 1]]}, tables=turned)
    load(DIALECT, staging, rows)
    assert held(staging, "users") == [[1, "a", None]]


def test_a_further_table_is_refused_until_excluded(make: Make, schema: dict[str, Table]) -> None:
    extra = [*schema.values(), Table("extra", (Column("x", LogicalType.INT),))]
    with pytest.raises(DoesNotFit) as caught:
        make({}, tables=extra)
    assert caught.value.details == ["table extra"]
    assert "--exclude" in str(caught.value.hint)
    make({}, tables=extra, exclude=["extra"])


def test_a_further_column_is_refused_while_it_holds_values(make: Make, schema: dict[str, Table]) -> None:
    logs = Table("logs", (*schema["logs"].columns, Column("more", LogicalType.INT)))
    others = [table for name, table in schema.items() if name != "logs"]
    make({"logs": [["x", None]]}, tables=[*others, logs])
    with pytest.raises(DoesNotFit) as caught:
        make({"logs": [["x", None], ["y", 0], ["z", 1]]}, tables=[*others, logs])
    assert caught.value.details == ["column logs.more (2 values)"]


def test_a_table_or_column_that_the_source_lacks_is_refused(make: Make, schema: dict[str, Table]) -> None:
    """It says it is at this revision; rows would arrive empty without a word."""
    others = [table for name, table in schema.items() if name != "likes"]
    with pytest.raises(DoesNotFit) as caught:
        make({}, tables=others)
    assert caught.value.details == ["table likes"]
    make({}, tables=others, exclude=["likes"])
    narrow = Table("users", schema["users"].columns[:2], ("id",))
    with pytest.raises(DoesNotFit) as caught:
        make({}, tables=[narrow, *(table for name, table in schema.items() if name != "users")])
    assert caught.value.details == ["column users.best"]


# Leaving a table out


def test_an_excluded_table_arrives_empty(staging: URL, make: Make) -> None:
    rows = make(WHOLE, exclude=["likes", "logs"])
    check_exclusions(rows)
    accounts, _ = load(DIALECT, staging, rows)
    assert held(staging, "likes") == held(staging, "logs") == []
    assert (accounts["logs"].rows, accounts["logs"].excluded, accounts["logs"].loaded.rows) == (3, 3, 0)
    assert list(rows.rows("logs")) == []


def test_a_table_that_others_refer_to_cannot_be_left_out(make: Make) -> None:
    with pytest.raises(DoesNotFit) as caught:
        check_exclusions(make(WHOLE, exclude=["posts"]))
    assert sorted(caught.value.details) == ["1 rows of users refer to posts", "2 rows of likes refer to posts"]
    check_exclusions(make({**WHOLE, "users": [[1, "a", None]], "likes": []}, exclude=["posts"]))
    check_exclusions(make(WHOLE, exclude=["posts", "users", "likes"]))


def test_an_exclusion_of_what_is_not_there(make: Make) -> None:
    with pytest.raises(DoesNotFit, match="potss"):
        make(WHOLE, exclude=["potss"])


# Setting rows aside


def set_aside(staging: URL, make: Make, rows: Rows) -> tuple[RowsFile, dict[str, list[int]]]:
    """Load, set aside what is refused with all that refers to it; returns the numbers of rows set aside."""
    file = make(rows)
    accounts, refused = load(DIALECT, staging, file)
    assert refused
    set_aside_referring(file)
    with sqlite3.connect(str(staging.database)) as connection:
        for name in rows:
            connection.execute(f"DELETE FROM {name}")
    connection.close()
    accounts, refused = load(DIALECT, staging, file)
    assert refused == []
    for name, account in accounts.items():
        assert account.rows == account.loaded.rows + account.set_aside == len(rows.get(name, ()))
    assert DIALECT.problems(staging) == []
    found: dict[str, list[int]] = {}
    for table, number, _, _ in file.aside.rows():
        found.setdefault(table, []).append(number)
    return file, found


def test_refused_rows_are_named_with_the_servers_words(staging: URL, make: Make) -> None:
    rows = make({"users": [[1, "a", None], [2, "a", None], [1, "c", None], [4, "d", None]], "posts": [[1, None, None]]})
    _, refused = load(DIALECT, staging, rows)
    assert sorted(refused) == [
        "posts: 1 rows: NOT NULL constraint failed: posts.user_id; key 1",
        "users: 1 rows: UNIQUE constraint failed: users.id; key 1",
        "users: 1 rows: UNIQUE constraint failed: users.name; key 2",
    ]
    assert {(table, number) for table, number, _, _ in rows.aside.rows()} == {("users", 2), ("users", 3), ("posts", 1)}


def test_what_refers_to_a_row_set_aside_goes_with_it(staging: URL, make: Make) -> None:
    rows = {
        "users": [[1, "a", None], [2, "a", None], [3, "c", 31]],
        "posts": [[20, 2, None], [21, 1, 20], [22, 1, 21], [31, 3, None], [32, 3, None]],
        "likes": [[1, 22], [1, 31], [3, 32], [2, 31]],
        "logs": [["x"]],
    }
    file, found = set_aside(staging, make, rows)
    assert found == {"users": [2], "posts": [1, 2, 3], "likes": [1, 4]}
    reasons = {(item["table"], item["number"]): item["reason"] for item in aside_to_json(file)}
    assert reasons["posts", 2] == "refers to a row of posts that is set aside"
    assert reasons["likes", 4] == "refers to a row of users that is set aside"
    assert next(iter(aside_to_json(file)))["row"] == {"user_id": 1, "post_id": 22}


def test_a_cycle_goes_together(staging: URL, make: Make) -> None:
    rows = {
        "users": [[1, "a", 10], [2, "b", 11], [3, "c", 12]],
        "posts": [[10, 2, None], [11, None, None], [12, 1, None], [13, 3, 13]],
    }
    _, found = set_aside(staging, make, rows)
    # Post 11 is refused: user 2 names it, post 10 is user 2's, user 1 names that, post 12 is user 1's, user 3 names it.
    assert found == {"posts": [1, 2, 3, 4], "users": [1, 2, 3]}


def test_a_row_that_refers_to_itself_stays(staging: URL, make: Make) -> None:
    rows = {"users": [[1, "a", None]], "posts": [[1, 1, 1], [2, None, 2], [3, 1, 2], [4, 1, None]]}
    _, found = set_aside(staging, make, rows)
    assert found == {"posts": [2, 3]}


def test_a_second_row_with_the_key_keeps_its_children(staging: URL, make: Make) -> None:
    """The row set aside had a key that a loaded row has as well: nothing refers to a row that is gone."""
    rows = {"users": [[1, "a", None], [1, "b", None]], "posts": [[10, 1, None]]}
    _, found = set_aside(staging, make, rows)
    assert found == {"users": [2]}


def test_a_long_chain_goes_as_a_whole(staging: URL, make: Make) -> None:
    rows = {
        "users": [[1, "a", None]],
        "posts": [[1, None, None], *([n, 1, n - 1] for n in range(2, 40)), [99, 1, None]],
    }
    _, found = set_aside(staging, make, rows)
    assert found == {"posts": list(range(1, 40))}


def test_a_reference_that_was_never_met_is_not_set_aside(staging: URL, make: Make) -> None:
    """Old SQLite databases have them; a revision may repair them after the load."""
    rows = make({"users": [[1, "a", None]], "posts": [[1, 404, None], [2, None, None]]})
    load(DIALECT, staging, rows)
    set_aside_referring(rows)
    assert [number for _, number, _, _ in rows.aside.rows()] == [2]


def test_the_file_of_rows_set_aside_is_its_owners_alone(make: Make) -> None:
    rows = make(WHOLE)
    assert rows.aside.file.stat().st_mode & 0o77 == 0


def test_keys_that_look_like_secrets_are_masked() -> None:
    table = Table("t", (Column("reset_token", LogicalType.TEXT), Column("x", LogicalType.INT)))
    assert describe_key(table, ["s3cret", 5]) == "['***', 5]"
    keyed = Table("t", table.columns, ("x",), (), (ForeignKey(("x",), "t", ("x",)),))
    assert describe_key(keyed, ["s3cret", 5]) == "5"
