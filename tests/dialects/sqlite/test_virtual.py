"""Virtual tables: which have rows that are read and written like those of any table, and that these stay exact."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.names import url_of
from app.dialects.sqlite.virtual import has_plain_rows, kind_of

DIALECT = SqliteDialect()


@pytest.mark.parametrize(
    ("uses", "plain", "kind"),
    [
        ("fts5(a, content)", True, "virtual table"),
        ("fts5(a, content='')", False, "virtual table"),
        ('fts5(a, content = "t", content_rowid=id)', False, "derived table"),
        ("FTS4(content=t, a)", False, "derived table"),
        ("fts4(a, languageid=lid)", False, "virtual table"),
        ("fts3", True, "virtual table"),
        ("rtree(id, a, b)", True, "virtual table"),
        ("fts5vocab(t, 'row')", False, "derived table"),
        ("something(a)", False, "virtual table"),
    ],
)
def test_what_a_virtual_table_is(uses: str, plain: bool, kind: str) -> None:
    sql = f"CREATE VIRTUAL TABLE v USING {uses}"
    assert has_plain_rows(sql) == plain
    assert kind_of(sql) == kind


SCHEMA = (
    "CREATE VIRTUAL TABLE five USING fts5(subject, note UNINDEXED)",
    "CREATE VIRTUAL TABLE four USING fts4(subject)",
    "CREATE VIRTUAL TABLE three USING fts3",
    "CREATE VIRTUAL TABLE space USING rtree(id, x0, x1, +label)",
    "CREATE VIRTUAL TABLE whole USING rtree_i32(id, x0, x1)",
)
ROWS = (
    "INSERT INTO five (rowid, subject, note) VALUES (7, 'tomato', x'00'), (-3, NULL, 5)",
    "INSERT INTO four (rowid, subject) VALUES (2, 'rye')",
    "INSERT INTO three (rowid, content) VALUES (9, 'oats')",
    "INSERT INTO space VALUES (4, 0.1, 1e30, 'here')",
    "INSERT INTO whole VALUES (5, -2, 3)",
)


def test_rows_come_through_with_their_rowids(tmp_path: Path) -> None:
    source, copy = tmp_path / "a.db", tmp_path / "b.db"
    for path, statements in ((source, SCHEMA + ROWS), (copy, SCHEMA)):
        with closing(sqlite3.connect(path, isolation_level=None)) as connection:
            for sql in statements:
                connection.execute(sql)
    with DIALECT.reader(url_of(source)) as reader:
        tables = reader.tables()
        rows = {name: list(reader.rows(table)) for name, table in tables.items()}
        assert reader.objects() == []
    assert set(tables) == {"five", "four", "three", "space", "whole"}
    for name, table in tables.items():
        assert DIALECT.load(url_of(copy), table, rows[name], batch_rows=1).refused == []
    with DIALECT.reader(url_of(copy)) as reader:
        assert {name: list(reader.rows(table)) for name, table in reader.tables().items()} == rows
    with closing(sqlite3.connect(copy)) as connection:
        assert connection.execute("SELECT rowid FROM five WHERE five MATCH 'tomato'").fetchall() == [(7,)]
        assert connection.execute("SELECT id FROM space WHERE x0 < 1").fetchall() == [(4,)]
    DIALECT.carry(url_of(source), url_of(copy), ["five", "space"])
    with DIALECT.reader(url_of(copy)) as reader:
        assert {name: list(reader.rows(table)) for name, table in reader.tables().items()} == rows
