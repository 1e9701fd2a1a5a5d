"""MySQL and MariaDB: the driver's connection, with what it lacks: sessions that are used again, lies of a server."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import ssl
import struct
import weakref
from collections.abc import Hashable, Iterator
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.constants import CR

from ..sessions import Sessions
from .packets import BUFFER_BYTES

_RESET = 0x1F
"""COM_RESET_CONNECTION (MySQL manual, C API: mysql_reset_connection); MariaDB has it since 10.2.4."""
_OF_MARIADB = (
    ((10, 1), "max_statement_time = 0"),
    ((10, 2), "check_constraint_checks = 1"),
    ((10, 3), "idle_transaction_timeout = 0"),
    ((10, 3), "idle_readonly_transaction_timeout = 0"),
)
_OF_MYSQL = (((5, 7, 8), "max_execution_time = 0"), ((8, 0), "information_schema_stats_expiry = 0"))


@dataclass(frozen=True)
class Version:
    """What a server says it is; ``numbers`` are e.g. (10, 11, 19)."""

    is_mariadb: bool
    numbers: tuple[int, ...]

    def __str__(self) -> str:
        return f"{'MariaDB' if self.is_mariadb else 'MySQL'} {'.'.join(map(str, self.numbers))}"

    @property
    def settings(self) -> list[str]:
        """The settings of a session that this server knows and others do not."""
        return [text for since, text in (_OF_MARIADB if self.is_mariadb else _OF_MYSQL) if self.numbers >= since]


def version_of(connection: pymysql.Connection[Any]) -> Version:
    """Ask the server, once for a connection, and not the handshake, which a proxy may have made up."""
    known = getattr(connection, "version", None)
    if known is None:
        known = _ask_version(connection)
        if isinstance(connection, Connection):
            connection.version = known
    return known


def _ask_version(connection: pymysql.Connection[Any]) -> Version:
    with connection.cursor(pymysql.cursors.Cursor) as cursor:
        cursor.execute("SELECT VERSION()")
        [text] = cursor.fetchone() or [""]
    numbers = re.findall(r"[0-9]+", text.removeprefix("5.5.5-").partition("-")[0])
    return Version("mariadb" in text.lower(), tuple(map(int, numbers)))


NOT_MYSQL = "what it says is not the protocol of MySQL"
FILE_ASKED_FOR = "the server asked for a file that was not offered"


class Connection(pymysql.Connection):
    """A connection that is encrypted where a nearby server offers it, as the driver does, but made ten times faster.

    :ivar sessions: where it goes when it is closed, if a command holds sessions; under the key.
    :ivar version: what the server said that it is.
    :ivar opened_in: the default database that it was opened with.
    """

    sessions: Sessions | None = None
    key: Hashable = None
    version: Version | None = None
    opened_in: str = ""

    def close(self) -> None:
        """Close it, or let the command use it again; its user is done with it either way."""
        sessions, self.sessions = self.sessions, None
        if sessions is None or not (self._is_as_opened() and sessions.keep(self.key, self)):
            super().close()

    def close_for_good(self) -> None:
        self.sessions = None
        with contextlib.suppress(pymysql.Error, OSError):
            super().close()

    def _is_as_opened(self) -> bool:
        """Let the server undo what its user left: a transaction, settings, locks. False where that cannot be done."""
        result = self._result  # type: ignore[attr-defined] # PyMySQL does not type it
        if not self.open or (result is not None and result.unbuffered_active):
            return False
        try:
            with self._understood():
                self._execute_command(_RESET, b"")  # type: ignore[attr-defined]
                self._read_ok_packet()  # type: ignore[attr-defined]
        except (pymysql.Error, OSError):
            return False
        return True

    def select_again(self) -> None:
        """Let the session have of its database what a new one would: no reset does that (``@@collation_database``)."""
        if self.opened_in:
            super().select_db(self.opened_in)

    def select_db(self, db: str) -> None:
        """Select another database; no reset goes back to none, so nobody uses this connection again."""
        self.sessions = None
        super().select_db(db)

    def connect(self, sock: Any = None) -> None:
        """Connect; whatever greets is taken for a server until it says something that none says."""
        with self._understood():
            super().connect(sock)
        # Whoever greets has said all that it has to say: the buffer is empty.
        self._rfile: Any = io.BufferedReader(self._rfile.detach(), BUFFER_BYTES)
        name = self.db or b""  # bytes, once it was sent
        self.opened_in = name.decode() if isinstance(name, bytes) else str(name)
        _OPEN.add(self)

    def _read_query_result(self, unbuffered: bool = False) -> Any:
        # In the protocol it is the server that names the file to be sent (MySQL manual, 8.1.6). The driver refuses
        # where local_infile is off, as it is here, but with an error that is none of its own.
        with self._understood():
            try:
                return super()._read_query_result(unbuffered)  # type: ignore[misc] # PyMySQL does not type it
            except RuntimeError as error:
                raise pymysql.OperationalError(CR.CR_SERVER_LOST, FILE_ASKED_FOR) from error
            except pymysql.Error as error:
                vars(error)["connection"] = self
                raise

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """Close the connection where the driver fails on what the server said; it takes packets apart unchecked.

        :raises pymysql.OperationalError: the server is lost, in the driver's words for it.
        """
        try:
            yield
        except (struct.error, IndexError, ValueError, TypeError, AssertionError) as error:
            self._force_close()  # type: ignore[attr-defined] # PyMySQL does not type it
            raise pymysql.OperationalError(CR.CR_SERVER_LOST, NOT_MYSQL) from error

    def _create_ssl_ctx(self, sslp: Any) -> Any:
        # Where nothing is verified the driver would read all certificates of the system all the same (47 ms, measured).
        return _skip_verification() if sslp == {} else super()._create_ssl_ctx(sslp)  # type: ignore[misc] # untyped


def is_of(error: pymysql.Error, connection: pymysql.Connection[Any]) -> bool:
    """Whether it was this connection's statement that the server answered with an error."""
    return vars(error).get("connection") is connection


_OPEN: weakref.WeakSet[Connection] = weakref.WeakSet()


def list_own() -> set[int]:
    """The server's numbers of this process's own connections, which are in nobody's way."""
    return {
        int(connection.thread_id())  # type: ignore[no-untyped-call] # PyMySQL does not type it
        for connection in tuple(_OPEN)
        if connection.open
    }


@functools.cache
def _skip_verification() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
