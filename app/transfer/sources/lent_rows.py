"""Rows of a source that the workers of a cluster read, at the very instant of the run's own read.

They come back as lines, in the order of the key, so that the snapshot is the same as if the run had read them.
"""

from __future__ import annotations

import itertools
import os
import socket
from collections import deque
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import URL

from ...dialects import dialect_for
from ...dialects.base import Dialect
from ...dialects.lent import Instant, Lends
from ...dialects.model import KeyRange, Table
from ...dialects.reader import Reader
from ...dialects.sessions import hold_sessions
from ...errors import FerryError
from ..rows.double_encoded import DoubleEncoded
from ..rows.encode import HashedLine, hash_rows
from ..run.workers import Workers

PART_BYTES = 4 << 20
"""Of a table, that a worker reads at a time: enough that a session and the look at the catalogue do not count."""
MOST_BYTES = 16 * PART_BYTES
"""Of lines that come back at once: where rows differ that much, the run reads them one after the other."""
WAITING = 2
"""Parts that are read ahead, besides those that each worker works on: so much of the source is in memory."""


@dataclass(frozen=True)
class SourcePlace:
    """A source and what it shows, for another process."""

    url: URL
    tls_ca: Path | None
    version_table: str
    named_schema: str | None
    instant: Instant

    def open(self) -> Dialect:
        """The room of its server."""
        return dialect_for(
            self.url, tls_ca=self.tls_ca, version_table=self.version_table, named_schema=self.named_schema
        )


@dataclass(frozen=True)
class ReadPart:
    """What was read of a table.

    :ivar lines: with a line's end between them. :ivar hashes: of each. :ivar by: who read them.
    """

    lines: bytes
    hashes: list[int]
    double: DoubleEncoded
    by: str

    def hashed_lines(self) -> list[HashedLine] | None:
        """As :func:`..rows.encode.hash_rows` has them; None where it is not whole."""
        lines = self.lines.split(b"\n") if self.hashes else []
        return list(zip(lines, self.hashes, strict=True)) if len(lines) == len(self.hashes) else None


def read_part(place: SourcePlace, table: Table, within: KeyRange) -> ReadPart:
    """Read a range of a table, in a worker: it keeps nothing of it, no session either.

    :raises FerryError: there is more of it than should be in memory, or the URL leads to another server from here.
    """
    double, lines, hashes, size = DoubleEncoded(), list[bytes](), list[int](), 0
    with hold_sessions():
        dialect = place.open()
        assert isinstance(dialect, Lends)  # noqa: S101 # it lent the instant
        with dialect.reader_at(place.url, place.instant) as reader:
            for line, value in hash_rows(table, double.watch(table, reader.rows(table, within=within))):
                lines.append(line)
                hashes.append(value)
                size += len(line)
                if size > MOST_BYTES:
                    raise FerryError(f"{table.name} has more than {MOST_BYTES} bytes from {within.above} on.")
    return ReadPart(b"\n".join(lines), hashes, double, f"{socket.gethostname()}, process {os.getpid()}")


@dataclass
class LentRows:
    """Lets workers read a source's tables.

    :param place: the source at the instant that is lent.
    :ivar rows_by: how many rows each has read; the run itself is the empty text.
    """

    workers: Workers
    dialect: Lends
    place: SourcePlace
    rows_by: dict[str, int] = field(default_factory=dict)

    def divide(self, reader: Reader, table: Table) -> list[KeyRange]:
        """The ranges that a table is read in; none where the run's own read reads it at once."""
        return self.dialect.divide(reader, table, PART_BYTES)

    def read(self, reader: Reader, table: Table, ranges: list[KeyRange], double: DoubleEncoded) -> Iterator[HashedLine]:
        """All rows of a table as lines, in the order of its key.

        :param reader: reads what no worker can.
        """
        to_give, pending = iter(ranges), deque[tuple[KeyRange, Future[ReadPart] | None]]()
        while True:
            # Some may be lost since the others were given.
            for within in itertools.islice(to_give, max(self.workers.most + WAITING - len(pending), 0)):
                pending.append((within, self._give(table, within)))
            if not pending:
                return
            within, future = pending.popleft()
            part = self.workers.wait_for(future) if future else None
            lines = part.hashed_lines() if part else None
            if part is None or lines is None:
                yield from self._read_here(reader, table, within, double)
                continue
            double.add(part.double)
            self._note(part.by, len(lines))
            yield from lines

    def _give(self, table: Table, within: KeyRange) -> Future[ReadPart] | None:
        try:
            return self.workers.submit(read_part, self.place, table, within, size=PART_BYTES)
        except (BrokenExecutor, OSError):
            return None

    def _read_here(self, reader: Reader, table: Table, within: KeyRange, double: DoubleEncoded) -> Iterator[HashedLine]:
        for line in hash_rows(table, double.watch(table, reader.rows(table, within=within))):
            self._note("", 1)
            yield line

    def _note(self, by: str, rows: int) -> None:
        self.rows_by[by] = self.rows_by.get(by, 0) + rows


def lend_rows(
    workers: Workers | None, dialect: Dialect, reader: Reader, url: URL, tls_ca: Path | None
) -> LentRows | None:
    """Let workers of a cluster read what a read of the source reads; None where they cannot."""
    if workers is None or not workers.are_elsewhere or not isinstance(dialect, Lends):
        return None
    instant = dialect.lend(reader)
    if instant is None:
        return None
    return LentRows(workers, dialect, SourcePlace(url, tls_ca, dialect.version_table, dialect.named_schema, instant))
