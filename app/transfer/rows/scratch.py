"""What a step notes while it works, in a database of its own that is gone afterwards, however the process ends."""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
import weakref
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Self

from ...dialects.model import Values


class ScratchError(Exception):
    """What a scratch file answers, as on a full disk: no error of the database that the rows are of."""


class _Connection(sqlite3.Connection):
    """:ivar directory: where its file lies, which has no name."""

    directory = ""

    def execute(self, *arguments: Any) -> sqlite3.Cursor:
        try:
            return super().execute(*arguments)
        except sqlite3.Error as error:
            raise ScratchError(f"{self.directory}: {error}") from error

    def executescript(self, sql: str, /) -> sqlite3.Cursor:
        try:
            return super().executescript(sql)
        except sqlite3.Error as error:
            raise ScratchError(f"{self.directory}: {error}") from error


class Scratch:
    """A throw-away SQLite database in a file without a name: nobody else can read it, and no kill leaves it behind.

    :param directory: on whose disk the file lies; by default where temporary files go.
    :raises OSError: the file cannot be made.
    :raises ScratchError: it cannot be written, here and later.
    """

    SCHEMA: ClassVar[str] = ""

    def __init__(self, directory: Path | None = None) -> None:
        descriptor, name = tempfile.mkstemp(prefix=".scratch-", dir=directory)
        os.close(descriptor)
        try:
            # Some live as long as what holds them, which nobody closes; and that may go in another thread.
            self._connection = sqlite3.connect(name, isolation_level=None, check_same_thread=False, factory=_Connection)
            self._connection.directory = str(Path(name).parent)
            weakref.finalize(self, self._connection.close)
            self.execute = self._connection.execute
            # Nothing of it must last, so there is no journal, and one transaction that never ends.
            self._connection.executescript(
                "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;"
                f"PRAGMA cache_size = -4000; {self.SCHEMA}; BEGIN IMMEDIATE"
            )
        finally:
            Path(name).unlink()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Give the room free; a second time does nothing."""
        self._connection.close()

    def has_one(self, sql: str, *values: Any) -> bool:
        """Whether a query has a row."""
        return self.execute(sql, values).fetchone() is not None


class Keys(Scratch):
    """Keys seen so far, with the hash of what had them."""

    SCHEMA = (
        "CREATE TABLE seen (section TEXT, key TEXT, hash TEXT, PRIMARY KEY (section, key)) WITHOUT ROWID;"
        "CREATE TABLE natural (section TEXT, value TEXT, id, PRIMARY KEY (section, value)) WITHOUT ROWID;"
        "CREATE TABLE expected (section TEXT, key TEXT, by TEXT, PRIMARY KEY (section, key)) WITHOUT ROWID"
    )

    def add(self, section: str, key: object, value: int) -> str:
        """Remember a key: ``new``, ``repeat`` (the same content had it) or ``conflict`` (other content had it)."""
        text, digest = key_text(key), f"{value:032x}"
        if self.has_one("INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1", section, text, digest):
            return "new"
        same = self.has_one("SELECT 1 FROM seen WHERE (section, key, hash) = (?, ?, ?)", section, text, digest)
        return "repeat" if same else "conflict"

    def count(self, section: str) -> int:
        return int(self.execute("SELECT count(*) FROM seen WHERE section = ?", (section,)).fetchone()[0])

    def forget(self, section: str) -> None:
        self.execute("DELETE FROM seen WHERE section = ?", (section,))

    def name(self, section: str, natural_key: str, identifier: object) -> None:
        """Remember a natural key; the last one given counts."""
        self.execute("INSERT OR REPLACE INTO natural VALUES (?, ?, ?)", (section, natural_key, identifier))

    def find_id(self, section: str, natural_key: str) -> int | None:
        query = "SELECT id FROM natural WHERE section = ? AND value = ?"
        match = self.execute(query, (section, natural_key)).fetchone()
        return match[0] if match else None

    def expect(self, section: str, key: object, by: str) -> None:
        self.execute("INSERT OR IGNORE INTO expected VALUES (?, ?, ?)", (section, key_text(key), by))

    def find_missing(self) -> Iterator[tuple[str, str, str]]:
        """Expected keys that nothing had: (section, key, who expects it)."""
        yield from self.execute(
            "SELECT e.section, e.key, e.by FROM expected e LEFT JOIN seen s USING (section, key) WHERE s.key IS NULL"
        )


def key_text(key: object) -> str:
    return json.dumps(key if isinstance(key, list) else [key], ensure_ascii=False)


Item = Mapping[str, Any]
"""A row set aside: table, number, reason, row (column -> canonical value)."""


class RowStore(Scratch):
    """Rows by table and number, each with a reason: lists of canonical values, or mappings of them by column."""

    SCHEMA = "CREATE TABLE rows (tab TEXT, number INTEGER, reason TEXT, line TEXT, PRIMARY KEY (tab, number))"

    def add(self, table: str, number: int, reason: str, row: Values | Item) -> bool:
        """Keep a row; returns whether there was none of this number yet."""
        statement = "INSERT INTO rows VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1"
        return self.has_one(statement, table, number, reason, json.dumps(row))

    def get(self, table: str, number: int) -> Any | None:
        match = self.execute("SELECT line FROM rows WHERE tab = ? AND number = ?", (table, number)).fetchone()
        return json.loads(match[0]) if match else None

    def has(self, table: str, number: int) -> bool:
        return self.has_one("SELECT 1 FROM rows WHERE tab = ? AND number = ?", table, number)

    def tables(self) -> set[str]:
        return {name for (name,) in self.execute("SELECT DISTINCT tab FROM rows")}

    def count(self) -> int:
        return int(self.execute("SELECT count(*) FROM rows").fetchone()[0])

    def counts(self) -> Counter[str]:
        """Rows per table."""
        return Counter(dict(self.execute("SELECT tab, count(*) FROM rows GROUP BY tab ORDER BY tab")))

    def rows(self) -> Iterator[tuple[str, int, str, Any]]:
        """All rows: table, number, reason, row."""
        for table, number, reason, line in self.execute("SELECT * FROM rows ORDER BY tab, number"):
            yield table, number, reason, json.loads(line)

    def of(self, table: str) -> Iterator[tuple[int, Any]]:
        """The rows of one table with their numbers."""
        for number, line in self.execute("SELECT number, line FROM rows WHERE tab = ? ORDER BY number", (table,)):
            yield number, json.loads(line)


class Aside(RowStore):
    """Rows that a run sets aside, and the keys of one table that no row has any more because of that."""

    SCHEMA = f"{RowStore.SCHEMA}; CREATE TABLE gone (key TEXT PRIMARY KEY)"

    def take_back(self, table: str, number: int) -> None:
        """The row is not set aside any more."""
        self.execute("DELETE FROM rows WHERE tab = ? AND number = ?", (table, number))

    def set_gone(self, keys: Iterable[str]) -> None:
        """The keys of one table that no row has any more."""
        self.execute("DELETE FROM gone")
        for key in keys:
            self.execute("INSERT OR IGNORE INTO gone VALUES (?)", (key,))

    def not_gone(self, key: str) -> None:
        self.execute("DELETE FROM gone WHERE key = ?", (key,))

    def is_gone(self, key: str) -> bool:
        return self.has_one("SELECT 1 FROM gone WHERE key = ?", key)
