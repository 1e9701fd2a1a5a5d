"""PostgreSQL: the session lock of a target, an advisory lock that ends with its connection."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from typing import Any

from ...errors import LockHeld
from .connect import Connection

POLL_S = 0.1


_HOLDER = """
SELECT a.pid, a.usename::text, a.application_name,
    to_char(a.backend_start AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid, (SELECT hashtextextended(%s, 0) AS value) k
WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
    AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.classid::bigint = (k.value >> 32) & 4294967295 AND l.objid::bigint = k.value & 4294967295
"""


def own_name(purpose: str) -> str:
    """What others see of a connection: for what, host and process."""
    return f"ferry {purpose} {socket.gethostname()}:{os.getpid()}"[:63]


@contextlib.contextmanager
def hold_lock(connection: Connection, uid: str, timeout_s: float) -> Iterator[None]:
    """The session lock of a target; it ends with the connection, and so with this process.

    :raises LockHeld: somebody else (named) holds it.
    """
    key = f"ferry:{uid}"
    deadline = time.monotonic() + timeout_s
    while True:
        row: Any = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (key,)).fetchone()
        if row[0]:
            break
        if time.monotonic() >= deadline:
            raise _is_held(connection, key)
        time.sleep(min(POLL_S, max(deadline - time.monotonic(), 0)))
    yield


def _is_held(connection: Connection, key: str) -> LockHeld:
    holders = [
        f"process {pid} of the server (user {user}, {application!r}, since {since})"
        for pid, user, application, since in connection.execute(_HOLDER.encode(), (key,))
    ]
    return LockHeld(f"Another run works on this database: {', '.join(holders) or 'it ended just now'}.")
