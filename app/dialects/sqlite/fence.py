"""SQLite: whether a database file was written, and the lock that makes writers wait."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Mapping
from pathlib import Path

from ...errors import LockHeld
from ..model import Look

_CHANGE_COUNTER = slice(24, 28)
"""Bytes of the file header that every commit changes in rollback mode (sqlite.org/fileformat.html, 1.3.7)."""


_TOKEN_WAIT_S = 5.0
"""For a writer that is committing just then."""


def token_of(connection: sqlite3.Connection, descriptor: int) -> bytes:
    """The header's counter and, in WAL mode, the connection's data version: other ones after any commit by others.

    Under a read lock, with which no writer changes the file: a commit writes the counter before it is certain, and
    where it came to nothing (a process that was killed, a full disk) the next one writes the same.

    :raises sqlite3.OperationalError: a writer keeps the file locked against readers.
    """
    if connection.in_transaction:
        return _read_token(connection, descriptor)
    connection.execute("BEGIN")
    try:
        connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        return _read_token(connection, descriptor)
    finally:
        connection.execute("ROLLBACK")


def _read_token(connection: sqlite3.Connection, descriptor: int) -> bytes:
    header = os.pread(descriptor, 100, 0)
    wal = header[18:19] == b"\x02"
    version = connection.execute("PRAGMA data_version").fetchone()[0] if wal else 0
    return bytes(header[_CHANGE_COUNTER]) + b"/" + str(version).encode()


class SqliteFence:
    """Watches a live file: ``PRAGMA data_version`` in WAL mode, the change counter in rollback mode.

    Closing any descriptor of a file drops the locks that SQLite holds on it in this process (POSIX), so the
    descriptor stays open for as long as the fence.

    :ivar descriptor: that one, to read the file by while it is held.
    """

    tells_tables = False
    knows_by_values = False

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
        self.descriptor = os.open(path, os.O_RDONLY)
        self.notes: list[str] = []
        self.drawn_beside: Mapping[str, int] = {}

    def close(self) -> None:
        self._connection.close()
        os.close(self.descriptor)

    def token(self) -> bytes:
        """:raises LockHeld: a writer kept the file locked against readers."""
        with self._waiting(_TOKEN_WAIT_S):
            return token_of(self._connection, self.descriptor)

    def look(self) -> Look:
        """The token; of one table nothing is known."""
        token = self.token()
        with self._waiting(_TOKEN_WAIT_S):
            [version] = self._connection.execute("PRAGMA schema_version").fetchone()
        return Look(token, str(version), {})

    def held_token(self) -> bytes:
        """What :meth:`token` is, while a connection of this process has the file locked and has not written yet."""
        return _read_token(self._connection, self.descriptor)

    @contextlib.contextmanager
    def hold(self, timeout_s: float) -> Iterator[None]:
        with self._waiting(timeout_s):
            self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield
        finally:
            self.release()

    @contextlib.contextmanager
    def _waiting(self, timeout_s: float) -> Iterator[None]:
        self._connection.execute(f"PRAGMA busy_timeout = {int(timeout_s * 1000)}")
        try:
            yield
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF not in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
                raise
            raise explain_held(timeout_s) from error
        finally:
            self._connection.execute("PRAGMA busy_timeout = 0")

    def release(self) -> None:
        """Let writers go on, if they are held; a swap does so last of all, as the lock cannot be handed over."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def explain_held(timeout_s: float) -> LockHeld:
    return LockHeld(
        f"The database stayed locked by another program for {timeout_s:g} s.",
        hint="Find it with: fuser -v <database file>; end its transaction and run the command again.",
    )


def explain_locked(path: Path) -> LockHeld:
    """The error for a file that stayed locked, with the processes that lock it, where the system shows them."""
    return LockHeld(
        f"{path} stayed locked by another program.",
        details=list_holders(path),
        hint=f"Find it with: fuser -v {path}; end its transaction and run the command again.",
    )


def list_holders(path: Path) -> list[str]:
    """Other processes that keep a database file, or what lies beside it, locked to write; Linux alone tells."""
    files = set()
    for suffix in ("", "-wal", "-shm"):
        with contextlib.suppress(OSError):
            stat = path.with_name(path.name + suffix).stat()
            files.add(f"{os.major(stat.st_dev):02x}:{os.minor(stat.st_dev):02x}:{stat.st_ino}")
    try:
        lines = [line.split() for line in Path("/proc/locks").read_text(encoding="ascii").splitlines()]
    except OSError:
        return []
    # A line that waits has an arrow in the second place.
    pids = {int(line[4]) for line in lines if len(line) > 5 and line[3] == "WRITE" and line[5] in files}
    return [f"process {pid} ({_name_of(pid)}) has locked it" for pid in sorted(pids - {os.getpid(), 0, -1})]


def _name_of(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return "not shown"
