"""Rows that a run sets aside, while it runs."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ...dialects.model import Values
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
        row_added = self._connection.execute(
            "INSERT INTO aside VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1",
            (table, number, reason, encode_row(row).decode()),
        ).fetchone()
        return row_added is not None

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


class Keys:
    """Keys seen so far, with the hash of what had them; in a file of its own, deleted at the end."""

    def __init__(self, file: Path) -> None:
        self._file = file
        file.unlink(missing_ok=True)
        self._connection = sqlite3.connect(file, isolation_level=None)
        self._connection.executescript(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -4000;"
            "CREATE TABLE seen (section TEXT, key TEXT, hash TEXT, PRIMARY KEY (section, key)) WITHOUT ROWID;"
            "CREATE TABLE natural (section TEXT, value TEXT, id, PRIMARY KEY (section, value)) WITHOUT ROWID;"
            "CREATE TABLE expected (section TEXT, key TEXT, by TEXT, PRIMARY KEY (section, key)) WITHOUT ROWID;"
            "BEGIN"
        )

    def close(self) -> None:
        self._connection.close()
        self._file.unlink(missing_ok=True)

    def add(self, section: str, key: object, value: int) -> str:
        """Remember a key: ``new``, ``repeat`` (the same content had it) or ``conflict`` (other content had it)."""
        text, digest = key_text(key), f"{value:032x}"
        row_added = self._connection.execute(
            "INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1", (section, text, digest)
        ).fetchone()
        if row_added:
            return "new"
        (former,) = self._connection.execute(
            "SELECT hash FROM seen WHERE section = ? AND key = ?", (section, text)
        ).fetchone()
        return "repeat" if former == digest else "conflict"

    def count(self, section: str) -> int:
        return int(self._connection.execute("SELECT count(*) FROM seen WHERE section = ?", (section,)).fetchone()[0])

    def forget(self, section: str) -> None:
        self._connection.execute("DELETE FROM seen WHERE section = ?", (section,))

    def name(self, section: str, natural_key: str, identifier: object) -> None:
        """Remember a natural key; the last one given counts."""
        self._connection.execute("INSERT OR REPLACE INTO natural VALUES (?, ?, ?)", (section, natural_key, identifier))

    def find_id(self, section: str, natural_key: str) -> int | None:
        match = self._connection.execute(
            "SELECT id FROM natural WHERE section = ? AND value = ?", (section, natural_key)
        ).fetchone()
        return match[0] if match else None

    def expect(self, section: str, key: object, by: str) -> None:
        self._connection.execute("INSERT OR IGNORE INTO expected VALUES (?, ?, ?)", (section, key_text(key), by))

    def find_missing(self) -> Iterator[tuple[str, str, str]]:
        """Expected keys that nothing had: (section, key, who expects it)."""
        yield from self._connection.execute(
            "SELECT e.section, e.key, e.by FROM expected e LEFT JOIN seen s USING (section, key) WHERE s.key IS NULL"
        )


def key_text(key: object) -> str:
    return json.dumps(key if isinstance(key, list) else [key], ensure_ascii=False)


@contextlib.contextmanager
def open_keys(file: Path) -> Iterator[Keys]:
    """Keys for the duration."""
    keys = Keys(file)
    try:
        yield keys
    finally:
        keys.close()


Item = Mapping[str, Any]
"""A row set aside: table, number, reason, row (column -> canonical value)."""


class RowStore:
    """Rows by table and number, in a temporary file that goes with its process."""

    def __init__(self) -> None:
        self._connection = sqlite3.connect("", isolation_level=None)
        self._connection.execute(
            "CREATE TABLE rows (tab TEXT, number INTEGER, reason TEXT, line TEXT, PRIMARY KEY (tab, number))"
        )

    def close(self) -> None:
        self._connection.close()

    def add(self, table: str, number: int, reason: str, row: Item) -> bool:
        """Keep a row; returns whether there was none of this number yet."""
        row_added = self._connection.execute(
            "INSERT INTO rows VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1",
            (table, number, reason, json.dumps(row)),
        ).fetchone()
        return row_added is not None

    def get(self, table: str, number: int) -> dict[str, Any] | None:
        query = "SELECT line FROM rows WHERE tab = ? AND number = ?"
        match = self._connection.execute(query, (table, number)).fetchone()
        return json.loads(match[0]) if match else None

    def has(self, table: str, number: int) -> bool:
        query = "SELECT 1 FROM rows WHERE tab = ? AND number = ?"
        return self._connection.execute(query, (table, number)).fetchone() is not None

    def counts(self) -> Counter[str]:
        """Rows per table."""
        return Counter(dict(self._connection.execute("SELECT tab, count(*) FROM rows GROUP BY tab ORDER BY tab")))

    def items(self) -> Iterator[tuple[str, int, str, dict[str, Any]]]:
        """All rows: table, number, reason, row."""
        for table, number, reason, line in self._connection.execute("SELECT * FROM rows ORDER BY tab, number"):
            yield table, number, reason, json.loads(line)

    def of(self, table: str) -> Iterator[tuple[int, dict[str, Any]]]:
        """The rows of one table with their numbers."""
        query = "SELECT number, line FROM rows WHERE tab = ? ORDER BY number"
        for number, line in self._connection.execute(query, (table,)):
            yield number, json.loads(line)
