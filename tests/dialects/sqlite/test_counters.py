"""The keys that AUTOINCREMENT would give out next go on where they stood, and never back."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dialects.model import Counter
from app.dialects.sqlite.counters import read_counters, set_counters

from .database import connect, script

COUNTED = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, x TEXT)"
PLAIN = "CREATE TABLE p (id INTEGER PRIMARY KEY, x TEXT)"


def test_only_what_was_given_out_is_a_counter(path: Path) -> None:
    script(path, PLAIN, "INSERT INTO p VALUES (5, 'x')")
    with connect(path) as connection:
        assert read_counters(connection) == []
        for statement in (COUNTED, "INSERT INTO t VALUES (7, 'x')", "DELETE FROM t"):
            connection.execute(statement)
        assert read_counters(connection) == [Counter("t.id", 8, "t", "id")]


@pytest.mark.parametrize(("wanted", "next_key"), [(9, 9), (3, 8), (2**63, None)])
def test_it_goes_on_and_never_back(path: Path, wanted: int, next_key: int | None) -> None:
    script(path, COUNTED, "INSERT INTO t VALUES (7, 'x')")
    with connect(path) as connection:
        assert set_counters(connection, [Counter("t_id_seq", wanted, "t", "id")]) == []
        if next_key is None:
            with pytest.raises(Exception, match="full"):
                connection.execute("INSERT INTO t (x) VALUES ('y')")
        else:
            assert connection.execute("INSERT INTO t (x) VALUES ('y') RETURNING id").fetchall() == [(next_key,)]


def test_a_counter_that_was_not_used_yet_is_used(path: Path) -> None:
    script(path, COUNTED)
    with connect(path) as connection:
        assert set_counters(connection, [Counter("t.id", 100, "t", "id")]) == []
        assert connection.execute("INSERT INTO t (x) VALUES ('y') RETURNING id").fetchall() == [(100,)]


def test_what_no_table_keeps_is_named(path: Path) -> None:
    script(path, COUNTED, PLAIN, "INSERT INTO p VALUES (5, 'x')", "CREATE TABLE s (id TEXT PRIMARY KEY)")
    behind, above = Counter("p.id", 6, "p", "id"), Counter("p.id", 7, "p", "id")
    others = [
        Counter("invoices", 5),
        Counter("s.id", 2, "s", "id"),
        Counter("none.id", 2, "none", "id"),
        Counter("t.id", -2, "t", "id", step=-1),
    ]
    with connect(path) as connection:
        # A plain key is one above the largest there is, so that numbers of deleted rows would come again.
        assert set_counters(connection, [behind, above, *others]) == [above, *others]
