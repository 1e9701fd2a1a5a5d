"""SQLite: the keys that AUTOINCREMENT would give out next."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from ..counters import find_match, is_behind
from ..model import Counter

_IS_THERE = "SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'"
_LARGEST_KEY = (1 << 63) - 1


def read_counters(connection: sqlite3.Connection) -> list[Counter]:
    """Every table that never gives a key out again and has given one out already."""
    if not connection.execute(_IS_THERE).fetchone()[0]:
        return []
    rows = connection.execute(
        "SELECT q.name, q.seq, p.name FROM sqlite_sequence q JOIN pragma_table_info(q.name) p ON p.pk = 1 "
        "WHERE typeof(q.seq) = 'integer' ORDER BY q.name"
    ).fetchall()
    return [Counter(f"{table}.{column}", last + 1, table, column) for table, last, column in rows]


def set_counters(connection: sqlite3.Connection, counters: Sequence[Counter]) -> list[Counter]:
    """Let keys go on where others stood, and never back; those that no table keeps."""
    present = read_counters(connection)
    missing = []
    for wanted in counters:
        match = find_match(wanted, present)
        if match is None and _counts(connection, wanted):
            match = Counter(wanted.name, 1, wanted.table, wanted.column)
            connection.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (?, 0)", (wanted.table,))
        if match is None:
            if not _goes_on_anyway(connection, wanted):
                missing.append(wanted)
        elif is_behind(match, wanted):
            last = min(wanted.next - 1, _LARGEST_KEY)
            connection.execute("UPDATE sqlite_sequence SET seq = ? WHERE name = ?", (last, match.table))
    return missing


def _counts(connection: sqlite3.Connection, wanted: Counter) -> bool:
    """Whether a column has a counter that was not used yet: only then is there no row of it."""
    if not wanted.ascends or not _is_key(connection, wanted):
        return False
    (sql,) = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (wanted.table,)).fetchone()
    before = connection.execute("SELECT count(*) FROM sqlite_schema WHERE name = 'sqlite_sequence'").fetchone()[0]
    return bool(before) and "AUTOINCREMENT" in sql.upper()


def _is_key(connection: sqlite3.Connection, wanted: Counter) -> bool:
    keys = connection.execute("SELECT name, upper(type) FROM pragma_table_info(?) WHERE pk > 0", (wanted.table,))
    return keys.fetchall() == [(wanted.column, "INTEGER")]


def _goes_on_anyway(connection: sqlite3.Connection, wanted: Counter) -> bool:
    """Without AUTOINCREMENT a new key is one above the largest there is."""
    if not wanted.ascends or not _is_key(connection, wanted):
        return False
    column, table = ('"' + name.replace('"', '""') + '"' for name in (wanted.column, wanted.table))
    largest = f"SELECT coalesce(max({column}), 0) FROM {table}"
    return bool(connection.execute(largest).fetchone()[0] + 1 >= wanted.next)
