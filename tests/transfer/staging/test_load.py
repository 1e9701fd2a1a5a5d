"""Loading: every row is loaded, excluded or set aside, and what refers to a row set aside goes with it."""

from __future__ import annotations

from sqlalchemy import URL

from app.dialects.model import Column, ForeignKey, LogicalType, Table
from app.transfer.rows.canonical import checksum
from app.transfer.staging.load import describe_key, load

from .tables import DIALECT, WHOLE, Make, held


def test_everything_is_loaded_and_accounted_for(staging: URL, make: Make) -> None:
    rows = make(WHOLE)
    accounts, refused = load(DIALECT, staging, rows)
    assert refused == []
    for name, expected in WHOLE.items():
        assert sorted(held(staging, name), key=repr) == sorted(expected, key=repr)
        account = accounts[name]
        assert account.loaded == checksum(account.table, expected)
        assert (account.rows, account.excluded, account.set_aside) == (len(expected), 0, 0)


# Setting rows aside


def test_refused_rows_are_named_with_the_servers_words(staging: URL, make: Make) -> None:
    rows = make({"users": [[1, "a", None], [2, "a", None], [1, "c", None], [4, "d", None]], "posts": [[1, None, None]]})
    _, refused = load(DIALECT, staging, rows)
    assert sorted(refused) == [
        "posts: 1 row: NOT NULL constraint failed: posts.user_id; key 1",
        "users: 1 row: UNIQUE constraint failed: users.id; key 1",
        "users: 1 row: UNIQUE constraint failed: users.name; key 2",
    ]
    assert {(table, number) for table, number, _, _ in rows.aside.rows()} == {("users", 2), ("users", 3), ("posts", 1)}


def test_keys_that_look_like_secrets_are_masked() -> None:
    table = Table("t", (Column("reset_token", LogicalType.TEXT), Column("x", LogicalType.INT)))
    assert describe_key(table, ["s3cret", 5]) == "['***', 5]"
    keyed = Table("t", table.columns, ("x",), (), (ForeignKey(("x",), "t", ("x",)),))
    assert describe_key(keyed, ["s3cret", 5]) == "5"
