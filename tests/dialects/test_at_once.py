"""Many tables are asked by few statements."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import Any

from app.dialects.at_once import AT_ONCE, ask_all, count_all, look_over
from app.dialects.model import Column, LogicalType, Table


def test_tables_are_counted_by_one_statement_for_many_and_none_for_none() -> None:
    names = [f"t{number}" for number in range(AT_ONCE + 1)]
    with closing(sqlite3.connect(":memory:")) as connection:
        for number, name in enumerate(names):
            connection.execute(f"CREATE TABLE {name} AS SELECT value FROM json_each(?)", (str([0] * (number % 3)),))
        sent: list[str] = []
        connection.set_trace_callback(sent.append)
        counts = count_all(names, str, lambda sql: connection.execute(sql).fetchone())
        assert len(sent) == 2
        assert count_all([], str, lambda _sql: []) == {}
        assert ask_all({1: "SELECT 1 WHERE false", 2: "SELECT 2"}, lambda sql: connection.execute(sql).fetchone()) == {
            1: None,
            2: 2,
        }
    assert counts == {name: number % 3 for number, name in enumerate(names)}


def test_a_database_is_looked_over_at_once() -> None:
    asked: list[str] = []
    versions = Table("alembic_version", (Column("version_num", LogicalType.TEXT),), of_alembic=True)
    tables = {table.name: table for table in (versions, Table("posts", ()), Table("tags", ()))}
    with closing(sqlite3.connect(":memory:")) as connection:
        connection.executescript(
            "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('a1'), ('b2');"
            "CREATE TABLE posts (id INTEGER); INSERT INTO posts VALUES (1), (2), (3); CREATE TABLE tags (id INTEGER)"
        )

        def ask(sql: str) -> Any:
            asked.append(sql)
            return connection.execute(sql).fetchone()

        more = {"mark": "SELECT 'abc'", "none": "SELECT NULL"}
        seen = look_over(tables, str, "group_concat({}, char(10))", more, ask, ask)
    assert seen == ({"posts": 3, "tags": 0}, ["a1", "b2"], {"mark": "abc", "none": None})
    assert len(asked) == 1
