"""Records or rows on their way into a snapshot: one file of lines per section, and a scratch database of keys.

Nothing holds a section, or its keys, in memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ..rows.canonical import MODULUS, hash_line
from ..rows.encode import HashedLine


@dataclass(frozen=True)
class Part:
    """A finished file of lines.

    :ivar doubt: why nothing proves that these are all; empty where that is proved.
    """

    name: str
    file: Path
    lines: int
    total: int
    repeats: int = 0
    doubt: str = ""

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

    def finish(self, doubt: str = "") -> Part:
        self._handle.flush()
        return Part(self.name, self.file, self.lines, self._total % MODULUS, self.repeats, doubt)
