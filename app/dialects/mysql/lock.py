"""MySQL and MariaDB: the session lock of a target, which ends with the connection that took it."""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import ER
from sqlalchemy import URL

from ...errors import LockHeld
from .connect import connect_to, number_of
from .read import Asks, asking

_POLL_S = 0.1


def lock_name(uid: str) -> str:
    """The name of a database's lock: MySQL takes at most 64 characters (manual, 14.14), and regards no case."""
    return "ferry:" + hashlib.sha1(uid.encode(), usedforsecurity=False).hexdigest()


@contextlib.contextmanager
def lock(url: URL, tls_ca: Path | None, uid: str, timeout_s: float) -> Iterator[None]:
    """Hold the lock of the database with this identity, over a connection of its own.

    The server releases it when the connection ends, whatever this process ends by (seen with ``kill -9``).

    :raises LockHeld: somebody else has it for ``timeout_s``.
    """
    name = lock_name(uid)
    with connect_to(url, tls_ca, to_database=False) as connection:
        ask = asking(connection)
        _acquire(ask, name, timeout_s)
        try:
            yield
        finally:
            # Where the connection was lost, so is the lock; nobody is helped by an error about it now.
            with contextlib.suppress(pymysql.Error, OSError):
                ask("SELECT RELEASE_LOCK(%s)", name)


def _acquire(ask: Asks, name: str, timeout_s: float) -> None:
    # MySQL counts the time in whole seconds.
    deadline = time.monotonic() + timeout_s
    while True:
        [(status,)] = ask("SELECT GET_LOCK(%s, 0)", name)
        if status is not None and int(status):
            return
        if time.monotonic() >= deadline:
            raise LockHeld(f"Another run works on this database: {_holder(ask, name)}.")
        time.sleep(_POLL_S)


def _holder(ask: Asks, name: str) -> str:
    """User and host of the connection that has a lock, as far as they are shown to us."""
    rows = ask(
        "SELECT id, user, host FROM information_schema.processlist WHERE id = IS_USED_LOCK(%s)",
        name,
    )
    return f"connection {rows[0][0]} of {rows[0][1]} from {rows[0][2]}" if rows else "of another user"


def server_uid(ask: Asks, *, is_mariadb: bool) -> tuple[Any, ...]:
    """What tells this server from every other, by whatever address it was reached."""
    try:
        return tuple(ask("SELECT @@server_uid" if is_mariadb else "SELECT @@server_uuid")[0])
    except pymysql.Error as error:
        if number_of(error) != ER.UNKNOWN_SYSTEM_VARIABLE:
            raise
    # MariaDB before 10.11.9
    return tuple(ask("SELECT @@hostname, @@port, @@datadir, @@socket")[0])
