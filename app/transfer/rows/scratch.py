"""Rows that a run sets aside, while it runs."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

from ...dialects.base import Values
from .canonical import encode_row


class Aside:
    """Rows that are set aside, by table and number, with the reason; in a file of the run."""

    def __init__(self, file: Path) -> None:
        self.file = file
        file.unlink(missing_ok=True)
        self._connection = sqlite3.connect(file, isolation_level=None)
        # A scratch file of this run: what must last is written as JSON at the end.
        self._connection.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF;"
            "CREATE TABLE aside (tab TEXT, number INTEGER, reason TEXT, line TEXT, PRIMARY KEY (tab, number));"
            "CREATE TABLE gone (key TEXT PRIMARY KEY)"
        )
        file.chmod(0o600)

    def add(self, table: str, number: int, reason: str, row: Values) -> bool:
        """Set a row aside; returns whether it was not yet."""
        found = self._connection.execute(
            "INSERT INTO aside VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1",
            (table, number, reason, encode_row(row).decode()),
        ).fetchone()
        return found is not None

    def take_back(self, table: str, number: int) -> None:
        """The row is not set aside any more."""
        self._connection.execute("DELETE FROM aside WHERE tab = ? AND number = ?", (table, number))

    def has(self, table: str, number: int) -> bool:
        query = "SELECT 1 FROM aside WHERE tab = ? AND number = ?"
        return self._connection.execute(query, (table, number)).fetchone() is not None

    def tables(self) -> set[str]:
        return {name for (name,) in self._connection.execute("SELECT DISTINCT tab FROM aside")}

    def count(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM aside").fetchone()[0])

    def rows(self) -> Iterator[tuple[str, int, str, Values]]:
        for table, number, reason, line in self._connection.execute("SELECT * FROM aside ORDER BY tab, number"):
            yield table, number, reason, json.loads(line)

    def set_gone(self, keys: Iterable[str]) -> None:
        """The keys of one table that no row has any more."""
        self._connection.execute("DELETE FROM gone")
        self._connection.executemany("INSERT OR IGNORE INTO gone VALUES (?)", ((key,) for key in keys))

    def not_gone(self, key: str) -> None:
        self._connection.execute("DELETE FROM gone WHERE key = ?", (key,))

    def is_gone(self, key: str) -> bool:
        return self._connection.execute("SELECT 1 FROM gone WHERE key = ?", (key,)).fetchone() is not None
