"""Writing a snapshot: rows to lines, lines to a file whose content is known when it is finished."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import orjson
import xxhash

from ...dialects.model import Table, TableChecksum, Values
from ...errors import SnapshotUnusable
from .canonical import MODULUS, hash_line, row_hasher
from .files import DAMAGED, file_sha256, identify, is_compressed, open_plain, write_by
from .header import Checked, Footer, Header, header_to_json, now
from .spelled import KeyedSpelling, Spelled

BLOCK_LINES = 100
PIECE_BYTES = 1 << 20
"""Lines are written together until they are so many."""

TakeLines = Callable[[str, bytes, int], None]
"""Takes the name of a section and its next lines, with a comma and a line's end between them, and how many they are."""

HashedLine = tuple[bytes, int]
"""A line of data without its end, and its hash as the checksum takes it."""


def hash_rows(table: Table, rows: Iterable[Values]) -> Iterator[HashedLine]:
    """Rows of a table as lines."""
    hash_row = row_hasher(table)
    for row in rows:
        line = orjson.dumps(row)
        yield line, hash_row(row, line)


def hash_records(texts: Iterable[str]) -> Iterator[HashedLine]:
    """Records, each JSON text on one line, as lines."""
    for text in texts:
        line = text.encode()
        yield line, hash_line(line)


def encode(header: Header, sections: Iterable[tuple[str, Iterable[HashedLine]]]) -> Iterator[bytes]:
    """A whole snapshot in pieces of some lines each."""
    return Encoding(header, sections).pieces()


def seal_of(body: bytes) -> bytes:
    """What a footer ends with: a hash of what it says."""
    return xxhash.xxh3_64_hexdigest(body).encode()


class Blocks:
    """A short hash per block of data lines."""

    def __init__(self) -> None:
        self._hash = xxhash.xxh3_64()
        self._hashes: list[str] = []
        self.room = BLOCK_LINES
        """Lines that the present block still takes."""

    def add(self, lines: bytes, count: int = 1) -> None:
        """Add lines, without what separates them; never more than there is room for."""
        self._hash.update(lines)
        self.room -= count
        if not self.room:
            self._close()

    def _close(self) -> None:
        self._hashes.append(self._hash.hexdigest())
        self._hash.reset()
        self.room = BLOCK_LINES

    def finish(self) -> list[str]:
        """The hashes of all blocks."""
        if self.room < BLOCK_LINES:
            self._close()
        return self._hashes


class Encoding:
    """A snapshot on its way into a file: encoded once, hashed once.

    :param sections: in the order of the header, each to be read once.
    :param also: is given the lines as well, as they are written.
    :ivar footer: what it says of itself at its end, once it is read through.
    """

    footer: Footer

    def __init__(
        self, header: Header, sections: Iterable[tuple[str, Iterable[HashedLine]]], also: TakeLines | None = None
    ) -> None:
        self.header = header
        self._sections, self._also = sections, also
        self._digest = hashlib.sha256()
        self._blocks = Blocks()

    @property
    def sha256(self) -> str:
        """The digest of the pieces so far, in hex."""
        return self._digest.hexdigest()

    def pieces(self) -> Iterator[bytes]:
        """The whole file, some lines at a time; memory is bounded by the largest line."""
        checksums: dict[str, TableChecksum] = {}
        spelled: dict[str, Spelled] = {}
        tables = {table.name: table for table in self.header.tables}
        yield self._piece(b'{"header": ' + orjson.dumps(header_to_json(self.header)) + b',\n"data": {\n')
        separator = b""
        for name, lines in self._sections:
            yield self._piece(separator + orjson.dumps(name) + b": [")
            count = total = 0
            spelling = KeyedSpelling(tables.get(name))
            for piece, more, values in self._batches(lines, spelling):
                yield self._piece((b",\n" if count else b"\n") + piece)
                if self._also:
                    self._also(name, piece, more)
                count += more
                total += values
            yield self._piece(b"\n]")
            separator = b",\n"
            checksums[name], spelled[name] = TableChecksum(count, total % MODULUS), spelling.finish()
        yield self._piece(b"\n},\n")
        self.footer = Footer(checksums, now(), spelled)
        yield self._piece(self._encode_footer())

    def _piece(self, data: bytes) -> bytes:
        self._digest.update(data)
        return data

    def _batches(self, lines: Iterable[HashedLine], spelling: KeyedSpelling) -> Iterator[tuple[bytes, int, int]]:
        """Lines of one block joined, how many, and the sum of their hashes."""
        batch: list[bytes] = []
        size = total = 0
        for line, value in lines:
            batch.append(line)
            size += len(line)
            total += value
            if len(batch) == self._blocks.room or size >= PIECE_BYTES:
                yield self._join(batch, spelling), len(batch), total
                batch, size, total = [], 0, 0
        if batch:
            yield self._join(batch, spelling), len(batch), total

    def _join(self, batch: list[bytes], spelling: KeyedSpelling) -> bytes:
        lines = b"".join(batch)
        self._blocks.add(lines, len(batch))
        spelling.add(lines, len(batch), batch[-1])
        return b",\n".join(batch)

    def _encode_footer(self) -> bytes:
        checksums = self.footer.checksums.items()
        footer = {
            "sections": {name: {"rows": checksum.rows, "checksum": str(checksum)} for name, checksum in checksums},
            "read_until": self.footer.read_until,
            "blocks": self._blocks.finish(),
            "sha256": self.sha256,
            "complete": True,
        }
        body = orjson.dumps(footer).removesuffix(b"}")
        return b'"footer": ' + body + b',"seal":"' + seal_of(body) + b'"}}\n'


@dataclass(frozen=True)
class Written(Checked):
    """A snapshot that was just written, and that the disk gave back as it was.

    :ivar sha256: of the file.
    :ivar former: where the file that had this one's name is kept.
    """

    sha256: str
    former: Path | None = None


def write_snapshot(
    path: Path,
    header: Header,
    sections: Iterable[tuple[str, Iterable[HashedLine]]],
    *,
    keep_former: bool = True,
    also: TakeLines | None = None,
) -> Written:
    """Write a snapshot, and read the file's bytes back.

    :param also: is given the lines as well, as they are written.
    :raises SnapshotUnusable: the file holds something else than was written.
    :raises OSError: it cannot be written.
    """
    encoding = Encoding(header, sections, also)

    def fill(file: IO[bytes]) -> None:
        for piece in encoding.pieces():
            file.write(piece)

    file = write_compared(path, fill, lambda: encoding.sha256, keep_former=keep_former)
    return Written(path, header, encoding.footer, file.identity, file.sha256, file.former)


@dataclass(frozen=True)
class Compared:
    """A file that the disk gave back as it was written; what :class:`Written` says of it."""

    identity: tuple[int, ...]
    sha256: str
    former: Path | None


def write_compared(
    path: Path, fill: Callable[[IO[bytes]], None], sha256: Callable[[], str], *, keep_former: bool = True
) -> Compared:
    """Write a file, and read its bytes back.

    :param fill: writes what it holds.
    :param sha256: the digest of that, in hex; called when all of it is written.
    :raises SnapshotUnusable: the file holds something else than was written.
    :raises OSError: it cannot be written.
    """
    identity: list[int] = []

    def check(file: Path) -> None:
        identity.extend(identify(file))
        if _content_sha256(file) != sha256():
            raise SnapshotUnusable(
                f"{path} does not hold what was written to it.", hint="Look at the disk, then run the command again."
            )

    former = write_by(path, fill, check=check, keep_former=keep_former)
    return Compared(tuple(identity), file_sha256(path) if is_compressed(path) else sha256(), former)


def _content_sha256(path: Path) -> str:
    """The digest of what a file holds, decompressed.

    :raises SnapshotUnusable: it is cut off or damaged.
    """
    digest = hashlib.sha256()
    with open_plain(path) as file:
        try:
            while piece := file.read(PIECE_BYTES):
                digest.update(piece)
        except DAMAGED as error:
            raise SnapshotUnusable(f"{path} ends too early or is damaged ({error}).") from error
    return digest.hexdigest()
