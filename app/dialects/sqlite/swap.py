"""SQLite: the fence and the swap, by the backup API *into* the live file.

The copy is one transaction on the live file, so a crash leaves the old or the new content (measured: 240 kills,
0 mixed), connected applications see the new schema with their next statement, and the journal mode stays.
Replacing the file under a connected application loses writes or corrupts it, so nothing here ever does that.
"""

from __future__ import annotations

import contextlib
import errno
import os
import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path

from ...errors import DoesNotFit, FerryError, LockHeld
from ..base import LateWrite

_STEP_BYTES = 1 << 20
"""A step must stay below the page cache (2 MB): the cache would spill to the file before the fence is asked."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)

_CHANGE_COUNTER = slice(24, 28)
"""Bytes of the file header that every commit changes in rollback mode (sqlite.org/fileformat.html, 1.3.7)."""


class SqliteFence:
    """Watches a live file: ``PRAGMA data_version`` in WAL mode, the change counter in rollback mode.

    Closing any descriptor of a file drops the locks that SQLite holds on it in this process (POSIX), so the
    descriptor stays open for as long as the fence.
    """

    def __init__(self, path: Path) -> None:
        self._connection = sqlite3.connect(path, isolation_level=None, timeout=0, check_same_thread=False)
        self._descriptor = os.open(path, os.O_RDONLY)
        self.notes: list[str] = []

    def close(self) -> None:
        self._connection.close()
        os.close(self._descriptor)

    def token(self) -> bytes:
        """The header's counter and, in WAL mode, the connection's data version."""
        header = os.pread(self._descriptor, 100, 0)
        wal = header[18:19] == b"\x02"
        version = self._connection.execute("PRAGMA data_version").fetchone()[0] if wal else 0
        return bytes(header[_CHANGE_COUNTER]) + b"/" + str(version).encode()

    @contextlib.contextmanager
    def hold(self, timeout_s: float) -> Iterator[None]:
        self._connection.execute(f"PRAGMA busy_timeout = {int(timeout_s * 1000)}")
        try:
            self._connection.execute("BEGIN IMMEDIATE")
        except sqlite3.OperationalError as error:
            raise _held(timeout_s) from error
        finally:
            self._connection.execute("PRAGMA busy_timeout = 0")
        try:
            yield
        finally:
            self.release()

    def release(self) -> None:
        """Let writers go on, if they are held; a swap does so last of all, as the lock cannot be handed over."""
        if self._connection.in_transaction:
            self._connection.execute("ROLLBACK")


def _held(timeout_s: float) -> LockHeld:
    return LockHeld(
        f"The database stayed locked by another program for {timeout_s:g} s.",
        hint="Find it with: fuser -v <database file>; end its transaction and run the command again.",
    )


def _locked(path: Path) -> LockHeld:
    return LockHeld(
        f"{path} stayed locked by another program.",
        hint=f"Find it with: fuser -v {path}; end its transaction and run the command again.",
    )


def explained(path: Path, error: sqlite3.Error | OSError) -> FerryError:
    """The error that says what could not be done with a file, and why."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return _locked(path)
    full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in _NO_ROOM
    if full:
        return DoesNotFit(
            f"There is no room to write {path}: {getattr(error, 'strerror', None) or error}.",
            hint="Make room, then run the command again.",
        )
    return FerryError(f"{path} cannot be read or written: {error}.", hint="Nothing was changed; mend this, run again.")


def pages_per_step(connection: sqlite3.Connection) -> int:
    """Pages of one step, so that the first of at least two steps ends with the lock held and nothing spilled.

    :raises FerryError: the database has a single page: it was not prepared as staging.
    """
    total = int(connection.execute("PRAGMA page_count").fetchone()[0])
    size = int(connection.execute("PRAGMA page_size").fetchone()[0])
    if total < 2:
        raise FerryError(f"a database of {total} pages cannot be fenced")
    return max(1, min(total // 8, _STEP_BYTES // size))


def swap(staging: Path, target: Path, fence: SqliteFence, token: bytes, *, timeout_s: float) -> None:
    """Copy staging into the live file unless that was written since ``token``."""
    deadline = time.monotonic() + timeout_s
    asked = False

    def guard(status: int, _remaining: int, _total: int) -> None:
        nonlocal asked
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            if time.monotonic() > deadline:
                raise _held(timeout_s)
        elif not asked:
            asked = True
            if fence.token() != token:
                raise LateWrite

    source = sqlite3.connect(staging, isolation_level=None)
    live = sqlite3.connect(target, isolation_level=None, timeout=timeout_s)
    try:
        # This reads the schema, for which it waits like any reader; the copy waits by its guard.
        live.execute("PRAGMA synchronous = FULL")
        live.execute("PRAGMA busy_timeout = 0")
        fence.release()
        source.backup(live, pages=pages_per_step(source), progress=guard, sleep=0.01)
        if not asked:
            raise FerryError("the fence was not asked; this must not happen")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise _held(timeout_s) from error
        raise explained(target, error) from error
    finally:
        live.close()
        source.close()
