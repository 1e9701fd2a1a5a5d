"""Rows that NOCASE or RTRIM takes for equal are named both, with the collation."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.dialects.model import Column, LogicalType, Table
from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.names import url_of

TABLE = Table(
    "person",
    (Column("id", LogicalType.INT), Column("uid", LogicalType.TEXT), Column("place", LogicalType.INT)),
    ("id",),
    (("uid", "place"),),
)


@pytest.mark.parametrize(
    ("collation", "uids", "words"),
    [
        ("NOCASE", ("toby", "Toby"), "person.uid has the collation NOCASE"),
        ("RTRIM", ("pad", "pad "), "person.uid has the collation RTRIM"),
        ("BINARY", ("toby", "toby"), "UNIQUE constraint failed: person.uid, person.place"),
    ],
)
def test_the_other_row_is_named(tmp_path: Path, collation: str, uids: tuple[str, str], words: str) -> None:
    file = tmp_path / "a.db"
    with closing(sqlite3.connect(file)) as connection:
        connection.execute(
            f"CREATE TABLE person (id INTEGER PRIMARY KEY, uid TEXT COLLATE {collation}, place INT, "
            "UNIQUE (uid, place))"
        )
    rows = [[7, uids[0], 1], [8, uids[1], 2], [9, uids[1], 1]]
    result = SqliteDialect().load(url_of(file), TABLE, rows, batch_rows=500)
    assert (result.loaded, len(result.refused)) == (2, 1)
    [refusal] = result.refused
    assert refusal.message.startswith(words)
    assert (refusal.number, refusal.equal_to) == (3, [] if uids[0] == uids[1] else [7])
