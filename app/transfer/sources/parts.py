"""Records or rows on their way into a snapshot: one file of lines per section, and a scratch database of keys.

Nothing holds a section, or its keys, in memory.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..rows.canonical import MODULUS, hash_line
from ..rows.snapshot import HashedLine


@dataclass(frozen=True)
class Part:
    """A finished file of lines."""

    name: str
    file: Path
    lines: int
    total: int
    repeats: int = 0

    def read(self) -> Iterator[HashedLine]:
        """The lines again, with their hashes."""
        with self.file.open("rb") as file:
            for line in file:
                text = line.rstrip(b"\n")
                yield text, hash_line(text)

    def is_whole(self) -> bool:
        """Whether the file still is what was written."""
        if not self.file.is_file():
            return False
        count = total = 0
        for _, value in self.read():
            count += 1
            total += value
        return (count, total % MODULUS) == (self.lines, self.total)


class PartWriter:
    """Appends lines to a section's file; use as a context manager."""

    def __init__(self, name: str, file: Path) -> None:
        self.name, self.file = name, file
        self.lines = self.repeats = self._total = 0
        # A part of an earlier run may be adopted by a hard link, and that run's file stays as it is.
        file.unlink(missing_ok=True)
        self._handle = file.open("wb")
        file.chmod(0o600)

    def __enter__(self) -> PartWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self._handle.close()

    def add(self, line: bytes) -> None:
        self._handle.write(line + b"\n")
        self.lines += 1
        self._total += hash_line(line)

    def finished(self) -> Part:
        self._handle.flush()
        return Part(self.name, self.file, self.lines, self._total % MODULUS, self.repeats)


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
        found = self._connection.execute(
            "INSERT INTO seen VALUES (?, ?, ?) ON CONFLICT DO NOTHING RETURNING 1", (section, text, digest)
        ).fetchone()
        if found:
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

    def named(self, section: str, natural_key: str) -> int | None:
        found = self._connection.execute(
            "SELECT id FROM natural WHERE section = ? AND value = ?", (section, natural_key)
        ).fetchone()
        return found[0] if found else None

    def expect(self, section: str, key: object, by: str) -> None:
        self._connection.execute("INSERT OR IGNORE INTO expected VALUES (?, ?, ?)", (section, key_text(key), by))

    def disappointed(self) -> Iterator[tuple[str, str, str]]:
        """Expected keys that nothing had: (section, key, who expects it)."""
        yield from self._connection.execute(
            "SELECT e.section, e.key, e.by FROM expected e LEFT JOIN seen s USING (section, key) WHERE s.key IS NULL"
        )


def key_text(key: object) -> str:
    return json.dumps(key if isinstance(key, list) else [key], ensure_ascii=False)


@contextlib.contextmanager
def scratch_keys(file: Path) -> Iterator[Keys]:
    """Keys for the duration."""
    keys = Keys(file)
    try:
        yield keys
    finally:
        keys.close()
