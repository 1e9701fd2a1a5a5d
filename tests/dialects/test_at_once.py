"""Many tables are asked by few statements."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from app.dialects.at_once import AT_ONCE, ask_all, count_all


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
