"""SQLite: the fence and the swap, by the backup API *into* the live file.

The copy is one transaction on the live file, so a crash leaves the old or the new content (measured: 240 kills,
0 mixed), connected applications see the new schema with their next statement, and the journal mode stays.
Replacing the file under a connected application loses writes or corrupts it, so nothing here ever does that.
"""

from __future__ import annotations

import errno
import sqlite3
import time
from pathlib import Path

from ...errors import FerryError, OutOfSpace
from ..model import LateWrite
from .fence import SqliteFence, explain_held, explain_locked

_STEP_BYTES = 1 << 20
"""A step must stay below the page cache: the cache would spill to the file before the fence is asked."""

_CACHE_KIB = 16 << 10
"""Pages wait there to be written; whenever it is full, the journal has to reach the disk before they may be."""

_NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def explain_error(path: Path, error: sqlite3.Error | OSError) -> FerryError:
    """The error that says what could not be done with a file, and why."""
    if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        return explain_locked(path)
    full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL or getattr(error, "errno", None) in _NO_ROOM
    if full:
        return OutOfSpace(
            f"There is no room to write {path}: {getattr(error, 'strerror', None) or error}.",
            hint="Make room, then run the command again.",
        )
    return FerryError(f"{path} cannot be read or written: {error}.", hint="Nothing was changed; fix this, run again.")


def explain_file(path: Path, error: sqlite3.Error) -> FerryError | None:
    """Our error for one that is no fault of a statement: the file is locked, or there is no room; or None."""
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if code == sqlite3.SQLITE_IOERR:
        return OutOfSpace(f"{path} cannot be written: {error}.", hint="Make room, then run the command again.")
    known = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_FULL)
    return explain_error(path, error) if code in known else None


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
    is_asked = False

    def guard(status: int, _remaining: int, _total: int) -> None:
        nonlocal is_asked
        if status in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            if time.monotonic() > deadline:
                raise explain_held(timeout_s)
        elif not is_asked:
            is_asked = True
            if fence.held_token() != token:
                raise LateWrite

    source = sqlite3.connect(staging, isolation_level=None)
    live = sqlite3.connect(target, isolation_level=None, timeout=timeout_s)
    try:
        # This reads the schema, for which it waits like any reader; the copy waits by its guard.
        live.execute("PRAGMA synchronous = FULL")
        live.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        live.execute("PRAGMA busy_timeout = 0")
        fence.release()
        source.backup(live, pages=pages_per_step(source), progress=guard, sleep=0.01)
        if not is_asked:
            raise FerryError("the fence was not asked; this must not happen")
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise explain_held(timeout_s) from error
        raise explain_error(target, error) from error
    finally:
        live.close()
        source.close()
