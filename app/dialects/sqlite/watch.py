"""SQLite: whether a file that is only read was written meanwhile."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from ..base import Reader
from .fence import token_of

_JOURNAL = bytes.fromhex("d9d505f920a163d7")
"""What a journal begins with, unless its transaction is over (sqlite.org/fileformat.html, section 3)."""


class SqliteWatch:
    """Compares what the file says of itself around a read: the same before and after is that of the read.

    Its own connection stays open, as ``PRAGMA data_version`` only tells what changed since the connection asked last,
    and does not write. The descriptor is closed after it, as that drops the locks of this process (POSIX).

    :param open_reader: begins a read.
    """

    def __init__(self, path: Path, open_reader: Callable[[], AbstractContextManager[Reader]]) -> None:
        self._path, self._open_reader = path, open_reader
        self._descriptor = os.open(path, os.O_RDONLY)
        uri = f"{path.resolve().as_uri()}?mode=ro"
        self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=1, check_same_thread=False)

    def close(self) -> None:
        self._connection.close()
        os.close(self._descriptor)

    @contextlib.contextmanager
    def read(self) -> Iterator[tuple[Reader, bytes | None]]:
        before = self.token()
        with self._open_reader() as reader:
            yield reader, before if self.token() == before else None

    def token(self) -> bytes | None:
        """None where the file has to be copied to be read, or another one has its name by now.

        With a journal that nobody may roll back the file's counter may be that of a transaction that never was.
        """
        with contextlib.suppress(OSError, sqlite3.OperationalError):
            if os.path.samestat(self._path.stat(), os.fstat(self._descriptor)) and not self._has_journal():
                return token_of(self._connection, self._descriptor)
        return None

    def _has_journal(self) -> bool:
        try:
            with self._path.with_name(f"{self._path.name}-journal").open("rb") as file:
                return file.read(len(_JOURNAL)) == _JOURNAL
        except FileNotFoundError:
            return False
