"""A snapshot that comes from elsewhere: checked while it comes, then compared with what the disk has of it."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

from ...errors import SnapshotUnusable
from .encode import Written, write_compared
from .header import Footer, Header
from .line_batches import Batch
from .snapshot import SnapshotReader

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_BUFFER_BYTES = 1 << 18


TakeBatch = Callable[[str, Batch], None]
"""Takes the name of a section and its next lines."""

BeginToTake = Callable[[Header], TakeBatch | None]
"""Says who takes the lines of a snapshot that begins so, if anybody does."""


def write_received(path: Path, pieces: Iterable[bytes], also: BeginToTake | None = None) -> Written:
    """Write a snapshot of which each line is looked at as it comes; it takes its name only when all of it was.

    :param also: whom it names is given the lines as well. What they are a part of may turn out not to be whole.
    :raises SnapshotUnusable: it is not whole, or the disk holds something else.
    :raises OSError: it cannot be written.
    """
    receiving = _Receiving(path, pieces, also)
    file = write_compared(path, receiving.fill, lambda: receiving.reader.sha256)
    return Written(path, receiving.reader.header, receiving.footer, file.identity, file.sha256, file.former)


class _Receiving:
    """Pieces on their way into a file.

    :ivar reader: what reads them.
    :ivar footer: what it says at its end, once it is there.
    """

    reader: SnapshotReader
    footer: Footer

    def __init__(self, path: Path, pieces: Iterable[bytes], also: BeginToTake | None) -> None:
        self._path, self._pieces, self._also = path, pieces, also

    def fill(self, file: IO[bytes]) -> None:
        """Write all that comes.

        :raises SnapshotUnusable: it is no whole snapshot.
        """
        arriving = _Arriving(self._pieces, file.write)
        try:
            with SnapshotReader(self._path, io.BufferedReader(arriving, _BUFFER_BYTES)) as self.reader:
                taker = self._also(self.reader.header) if self._also else None
                for name, batches in self.reader.batches():
                    if taker:
                        for batch in batches:
                            taker(name, batch)
        except SnapshotUnusable as error:
            # Where nothing more came, why that was is not the file's to say.
            if arriving.error is not None:
                raise arriving.error from error
            raise
        if self.reader.footer is None:
            raise SnapshotUnusable(f"{self._path} has no footer.")
        self.footer = self.reader.footer


class _Arriving(io.RawIOBase):
    """Pieces as a file to read; each is written before anything of it is read, and none is kept.

    :ivar error: what ended them before their end, or kept them from being written.
    """

    def __init__(self, pieces: Iterable[bytes], write: Callable[[bytes], object]) -> None:
        super().__init__()
        self._pieces, self._write = iter(pieces), write
        self._rest = memoryview(b"")
        self.error: BaseException | None = None

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer) -> int:
        to = memoryview(buffer).cast("B")
        while not self._rest:
            piece = self._next()
            if piece is None:
                return 0
            self._rest = memoryview(piece)
        size = min(len(to), len(self._rest))
        to[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size

    def _next(self) -> bytes | None:
        # An empty part of a piece would keep all of it.
        self._rest = memoryview(b"")
        try:
            piece = next(self._pieces, None)
            if piece:
                self._write(piece)
            return piece
        except BaseException as error:
            self.error = error
            raise
