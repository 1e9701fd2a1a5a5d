"""Proof: differences by row and column, and what an upgrade may change."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.dialects.base import Reader
from app.dialects.model import Column, LogicalType, Table, TableChecksum, Values
from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.names import url_of
from app.errors import VerificationFailed
from app.transfer.proof.checksums import fingerprint
from app.transfer.proof.compare import Difference, compare_databases, differences
from app.transfer.proof.verify import Before, Upgraded, verify_loaded, verify_upgrade
from app.transfer.rows.canonical import checksum
from app.transfer.rows.masking import is_secret, words_without_secrets
from app.transfer.schema.declarations import Declarations
from app.transfer.schema.listen import Heard

USERS = Table(
    "users",
    (
        Column("id", LogicalType.INT),
        Column("name", LogicalType.TEXT),
        Column("password", LogicalType.TEXT),
        Column("doc", LogicalType.JSON),
    ),
    ("id",),
)
LOGS = Table("logs", (Column("what", LogicalType.TEXT), Column("doc", LogicalType.JSON)))


def found(table: Table, left: Sequence[Values], right: Sequence[Values], tmp_path: Path) -> list[Difference]:
    result = list(differences(table, left, right, tmp_path / "scratch"))
    assert list(tmp_path.iterdir()) == []
    return result


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


def test_a_servers_words_may_quote_a_secret() -> None:
    long = "s3cret" * 30
    words = f"Duplicate entry '{long[:64]}' for key 'users.password'; name a"
    told = words_without_secrets(words, USERS, [1, "a", long, None])
    assert told == "Duplicate entry '***' for key 'users.password'; name a"
    assert words_without_secrets("Key (password)=(abc)", USERS, [1, "a", "abc", None]) == "Key (password)=(***)"


@pytest.mark.parametrize("name", ["password", "_password", "passwordHash", "api_key", "auth_token", "SECRET", "jwt"])
def test_names_of_secrets(name: str) -> None:
    assert is_secret(name)
    assert not is_secret("name")


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


# Databases


DIALECT = SqliteDialect()
Db = Callable[..., Path]


@pytest.fixture
def db(tmp_path: Path) -> Db:
    """A database of statements."""
    count = iter(range(100))

    def made(*statements: str) -> Path:
        path = tmp_path / f"{next(count)}.db"
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        return path

    return made


def compared(left: Path, right: Path) -> list[tuple[str, str]]:
    with DIALECT.reader(url_of(left)) as one, DIALECT.reader(url_of(right)) as other:
        items = list(compare_databases(one, other, left.parent / "scratch"))
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


def test_the_fingerprint_is_free_of_the_order_of_columns(db: Db) -> None:
    one = db("CREATE TABLE a (x TEXT, y TEXT)", "INSERT INTO a VALUES ('1', '2')")
    other = db("CREATE TABLE a (y TEXT, x TEXT)", "INSERT INTO a VALUES ('2', '1')")
    turned = db("CREATE TABLE a (x TEXT, y TEXT)", "INSERT INTO a VALUES ('2', '1')")

    def of(path: Path) -> dict[str, TableChecksum]:
        with DIALECT.reader(url_of(path)) as reader:
            return fingerprint(reader)

    assert of(one) == of(other) != of(turned)


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
            staged.parent / "scratch",
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
    assert stopped(before, db("CREATE TABLE t (x)")) == ["table users (1 rows) is gone"]
    result = upgraded(before, db("CREATE TABLE t (x)"), losses={"users": "no longer kept"})
    assert result.losses == ["users: 1 rows: no longer kept"]


def test_a_table_with_fewer_rows(db: Db) -> None:
    before = db(*users("name", rows="(1, 'a'), (2, 'b')"))
    assert stopped(before, db(*users("name", rows="(1, 'a')"))) == ["table users had 2 rows and users has 1"]
    assert upgraded(before, db(*users("name", rows="(1, 'a')")), losses={"users": "merged"}).losses


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
    assert stopped(before, after) == ["column users.note (1 values) is gone"]
    result = upgraded(before, after, losses={"users.note": "unused"})
    assert result.losses == ["users.note: 1 values: unused"]


def test_a_renamed_column_is_proved_by_its_values(db: Db) -> None:
    before = db(*users("name", rows="(1, 'a'), (2, 'b'), (3, NULL)"))
    result = upgraded(before, db(*users("label", rows="(1, 'b'), (2, 'a'), (3, NULL)")))
    assert result.moves == ["users.name -> users.label (the same values)"]
    assert stopped(before, db(*users("label", rows="(1, 'b'), (2, 'A'), (3, NULL)"))) == [
        "column users.name (2 values) is gone"
    ]


def test_a_column_that_was_there_before_proves_nothing(db: Db) -> None:
    before = db(*users("name", "label", rows="(1, 'a', 'a')"))
    assert stopped(before, db(*users("label", rows="(1, 'a')"))) == ["column users.name (1 values) is gone"]


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
    assert stopped(before, after, *moves) == ["column users.note (1 values) is gone"]
    assert upgraded(before, after, *moves, losses={"people.note": "unused"}).losses == ["users.note: 1 values: unused"]
    nothing = db("CREATE TABLE t (x)")
    assert upgraded(before, nothing, *moves, losses={"people": "unused"}).losses == ["users: 1 rows: unused"]


def test_everything_is_named_at_once(db: Db) -> None:
    before = db(*users("a", "b", rows="(1, 'a', 'b')"), *users("x", rows="(1, 'x')", name="t"))
    after = db("CREATE TABLE users (id INTEGER PRIMARY KEY)", "INSERT INTO users VALUES (1)")
    assert len(stopped(before, after)) == 3
