"""SQLite: the lock of a target, which the system takes from a process that ends."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from ...errors import LockHeld


@contextlib.contextmanager
def lock(area: Path, timeout_s: float) -> Iterator[None]:
    """Hold the lock of the database with this control area.

    :raises LockHeld: somebody else has it for ``timeout_s``.
    """
    # The file is never removed: unlinking it while it is held would give two holders.
    file = FileLock(area / "lock", mode=0o600)
    try:
        file.acquire(timeout=timeout_s)
    except Timeout as error:
        raise LockHeld("Another run works on this database.") from error
    try:
        yield
    finally:
        file.release()
