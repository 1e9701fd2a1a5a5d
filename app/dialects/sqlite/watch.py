"""SQLite: whether a file that is only read was written meanwhile."""

from __future__ import annotations

import contextlib
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

from ..reader import Reader

_JOURNAL = bytes.fromhex("d9d505f920a163d7")
"""What a journal begins with, unless its transaction is over (sqlite.org/fileformat.html, section 3)."""


class SqliteWatch:
    """Compares what SQLite and the system say around a read: the same before and after is that of the read.

    Its own connection stays open, as ``PRAGMA data_version`` only tells what changed since the connection asked last,
    and does not write. It alone has the file open: closing any other descriptor of it would drop the locks that the
    connections of this process hold (POSIX), and this may be an app at work. Threads may share a watch; one that was
    closed knows no token any more.

    :param open_reader: begins a read.
    """

    def __init__(self, path: Path, open_reader: Callable[[], AbstractContextManager[Reader]]) -> None:
        self._path, self._open_reader = path, open_reader
        self._lock = threading.Lock()
        before = _number_of(path)
        uri = f"{path.resolve().as_uri()}?mode=ro"
        self._connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=1, check_same_thread=False)
        # As long as it is open no other file gets its number.
        self._number = before if _number_of(path) == before else None

    def close(self) -> None:
        with self._lock:
            self._number = None
            self._connection.close()

    @contextlib.contextmanager
    def read(self) -> Iterator[tuple[Reader, bytes | None]]:
        before = self.token()
        with self._open_reader() as reader:
            yield reader, before if self.token() == before else None

    def token(self) -> bytes | None:
        """None where the file has to be copied to be read, or another one has its name by now.

        With a journal that nobody may roll back the file's counter may be that of a transaction that never was.
        """
        with self._lock, contextlib.suppress(OSError, sqlite3.OperationalError):
            if self._number == _number_of(self._path) and not self._has_journal():
                return self._read_version()
        return None

    def _read_version(self) -> bytes:
        """Under a read lock, with which no writer changes the file: a commit is in there before it is certain."""
        self._connection.execute("BEGIN")
        try:
            self._connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
            [version] = self._connection.execute("PRAGMA data_version").fetchone()
            # What is copied over the file by another program is no commit, and may have the same number of them.
            at = self._path.stat()
            return b"%d/%d/%d/%d" % (version, at.st_size, at.st_mtime_ns, at.st_ctime_ns)
        finally:
            self._connection.execute("ROLLBACK")

    def _has_journal(self) -> bool:
        try:
            with self._path.with_name(f"{self._path.name}-journal").open("rb") as file:
                return file.read(len(_JOURNAL)) == _JOURNAL
        except FileNotFoundError:
            return False


def _number_of(path: Path) -> tuple[int, int]:
    at = path.stat()
    return at.st_dev, at.st_ino
