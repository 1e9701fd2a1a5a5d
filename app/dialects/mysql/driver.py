"""MySQL and MariaDB: the driver's connection, with what it lacks: sessions that are used again, lies of a server."""

from __future__ import annotations

import contextlib
import functools
import io
import re
import select
import socket
import ssl
import struct
import time
import weakref
from collections.abc import Hashable, Iterable, Iterator, Sequence
from typing import Any

import pymysql
from pymysql.constants import CLIENT, COMMAND, CR, ER

from ..sessions import Sessions, remember
from .names import CHANGES
from .packets import BUFFER_BYTES
from .version import Version

_RESET = 0x1F
"""COM_RESET_CONNECTION (MySQL manual, C API: mysql_reset_connection); MariaDB has it since 10.2.4."""


def version_of(connection: pymysql.Connection[Any]) -> Version:
    """Ask the server, once for a command, and not the handshake, which a proxy may have made up."""
    if not isinstance(connection, Connection):
        return _ask_version(connection)
    if connection.version is None:
        connection.version = remember(("version", connection.place), lambda: _ask_version(connection))
    return connection.version


def current_of(connection: pymysql.Connection[Any]) -> str:
    """The name of the database that a connection is in, as the server spells it; an empty text where it is in none."""
    if not isinstance(connection, Connection):
        return _ask_current(connection)
    if connection.current is None:
        # Where names are compared as they are, a database has the name by which it was selected.
        connection.current = _ask_current(connection) if folds_names(connection) else connection.selected
    return connection.current


def folds_names(connection: Connection) -> bool:
    """Whether the server compares names without regard to case (MySQL manual, 11.2.3), asked once for a command."""
    return bool(version_of(connection).folds)


def _ask_current(connection: pymysql.Connection[Any]) -> str:
    name = _ask(connection, "SELECT DATABASE()")
    return name.decode() if isinstance(name, bytes) else str(name or "")


def _ask(connection: pymysql.Connection[Any], sql: str) -> Any:
    with connection.cursor(pymysql.cursors.Cursor) as cursor:
        cursor.execute(sql)
        [value] = cursor.fetchone() or [None]
    return value


def _ask_version(connection: pymysql.Connection[Any]) -> Version:
    with connection.cursor(pymysql.cursors.Cursor) as cursor:
        cursor.execute("SELECT VERSION(), @@lower_case_table_names")
        text, folds = cursor.fetchone() or ("", "0")
    numbers = re.findall(r"[0-9]+", text.removeprefix("5.5.5-").partition("-")[0])
    return Version("mariadb" in text.lower(), tuple(map(int, numbers)), text, int(folds))


TRUSTED_S = 60.0
"""A session that was idle for less is as it was left, unless its end is there to be read: no server is asked."""

_LEAVES_NOTHING = re.compile(
    r"\s*(?:SELECT|SHOW|DESCRIBE|CREATE (?:DATABASE|TABLE|INDEX)|DROP DATABASE|ALTER TABLE|COMMIT|ROLLBACK|"
    r"START TRANSACTION)\b"
    r"(?!.*(?:(?<!@)@(?!@)|_LOCK\s*\(|\bINTO\b|\bCHAIN\b))",
    re.IGNORECASE | re.DOTALL,
)
"""Statements that leave a session as it was, but for a transaction; what has variables or locks of its user is none."""
_ENDS_TRANSACTION = ("COMMIT", "ROLLBACK")
_LONGEST_KNOWN = 8192


_OF_ROWS = re.compile(r"\s*(?:INSERT|UPDATE|DELETE|LOAD DATA|SAVEPOINT|ROLLBACK TO)\b", re.IGNORECASE)
"""Statements on rows: a trigger could leave anything, so only where there is none."""


def leaves_nothing(sql: str) -> bool:
    """Whether a statement leaves nothing in its session but a transaction; what is not known may leave something.

    Views and routines may do anything; nobody asks for the rows of a view over a session that is used again.
    """
    return len(sql) <= _LONGEST_KNOWN and _LEAVES_NOTHING.match(sql) is not None


NOT_MYSQL = "what it says is not the protocol of MySQL"
FILE_ASKED_FOR = "the server asked for a file that was not offered"


class Connection(pymysql.Connection):
    """A connection that is encrypted where a nearby server offers it, as the driver does, but made ten times faster.

    :ivar sessions: where it goes when it is closed, if a command holds sessions; under the key.
    :ivar version: what the server said that it is.
    :ivar opened_in: the default database that it was opened with.
    :ivar settings: what the session was set to; None where a reset took that away.
    :ivar meets_no_trigger: its user writes rows of tables that have none.
    :ivar selected: the database that was selected last, as its user spells it.
    :ivar current: the database that it is in, as the server spells it; None where the server was not asked.
    :ivar selected_at: how often this process had changed its database when that was selected.
    """

    sessions: Sessions | None = None
    key: Hashable = None
    version: Version | None = None
    opened_in: str = ""
    settings: tuple[str, ...] | None = None
    selected_at: int = 0
    meets_no_trigger: bool = False
    selected: str = ""
    current: str | None = None
    _is_connecting: bool = False
    _together: Sequence[str] = ()
    _is_as_set: bool = False
    _needs_reset: bool = False
    _in_transaction: bool = False
    _ends: bool = False
    _idle_since: float = 0.0

    @property
    def place(self) -> tuple[Any, ...]:
        """What tells its server from others that this process talks to."""
        return self.host, self.port, self.unix_socket, self.user

    def close(self) -> None:
        """Close it, or let the command use it again; its user is done with it either way."""
        sessions, self.sessions = self.sessions, None
        if sessions is None or not (self._is_as_opened() and sessions.keep(self.key, self)):
            super().close()

    def close_for_good(self) -> None:
        self.sessions = None
        with contextlib.suppress(pymysql.Error, OSError):
            super().close()

    def cut(self) -> None:
        """Close it without a word, also where a thread waits for an answer, which ends with an error then."""
        self.sessions = None
        self._force_close()

    def _force_close(self) -> None:
        # The driver closes the file first, and that waits for a thread that reads from it: for an answer, as long as it
        # takes (seen: of a lock that nobody gives).
        with contextlib.suppress(AttributeError, OSError):
            self._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined] # PyMySQL does not type it
        # That thread closes it as well then, and the driver looks at what may be gone a moment later.
        with contextlib.suppress(AttributeError):
            super()._force_close()  # type: ignore[misc] # PyMySQL does not type it

    def commit(self) -> None:
        """Commit, unless nothing was sent that could be."""
        if self._in_transaction:
            super().commit()
            self._in_transaction = False

    def rollback(self) -> None:
        """Roll back, unless nothing was sent that could be."""
        if self._in_transaction:
            try:
                super().rollback()
            except pymysql.OperationalError as error:
                if error.args[0] != ER.UNKNOWN_COM_ERROR:
                    raise
                # A node that is cut off from its cluster refuses even this; a transaction ends with its connection.
                self.cut()
            self._in_transaction = False

    def _is_as_opened(self) -> bool:
        """Let the server undo what its user left: a transaction, settings, locks. False where that cannot be done."""
        result = self._result  # type: ignore[attr-defined] # PyMySQL does not type it
        if not self.open or (result is not None and result.unbuffered_active):
            return False
        try:
            if self._needs_reset:
                self._reset()
            else:
                self.rollback()
        except (pymysql.Error, OSError):
            return False
        self._idle_since = time.monotonic()
        return bool(self.open)

    def accept(self, settings: Iterable[str]) -> None:
        """Take what the session is now for how it was opened, with these settings besides those that every one has."""
        self.settings = tuple(settings)
        self._needs_reset = self._in_transaction = False
        self._is_as_set = True

    def distrust(self) -> None:
        """Reset the session before its next use, whatever is sent: its user calls functions that are not known here."""
        self._needs_reset = True

    def reset(self) -> None:
        """Let the server undo everything that was done in the session, and select its database again.

        :raises pymysql.Error, OSError: the session is lost.
        """
        self._reset()
        self.select_again()

    def _reset(self) -> None:
        with self._understood():
            self._execute_command(_RESET, b"")
            self._read_ok_packet()  # type: ignore[attr-defined] # PyMySQL does not type it
        self._needs_reset, self._in_transaction, self.settings = False, False, None

    def take_up(self) -> None:
        """Before it is used again: see that it is there, and that its database is what a new session would have.

        :raises pymysql.Error, OSError: the session is lost.
        """
        if time.monotonic() - self._idle_since > TRUSTED_S:
            self._reset()
        elif _is_readable(self._sock):  # type: ignore[attr-defined] # PyMySQL does not type it
            # A server says nothing unasked but that it ends the session.
            raise pymysql.OperationalError(CR.CR_SERVER_LOST, "the server ended the session")
        if self.selected_at != CHANGES.of(self.opened_in):
            # To select the database again that is selected does nothing (seen on MariaDB 10.11).
            raise pymysql.OperationalError(CR.CR_SERVER_LOST, "its database was made anew")
        if self.settings is None:
            self.select_again()

    def select_again(self) -> None:
        """Let the session have of its database what a new one would: no reset does that (``@@collation_database``)."""
        self.current, self.selected = None, self.opened_in
        if self.opened_in:
            super().select_db(self.opened_in)

    def select_db(self, db: str) -> None:
        """Select another database; no reset goes back to none, so nobody uses this connection again."""
        self.sessions, self.current, self.selected = None, None, db
        super().select_db(db)

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        # A new session is told so together with all of its settings.
        if not self._is_connecting:
            super().set_character_set(charset, collation)

    def character_set_name(self) -> str | None:
        """None where it need not be set again, as SQLAlchemy would with each session that it takes."""
        is_set = self.meets_no_trigger and self.settings is not None and not self._needs_reset
        return None if is_set or self._is_as_set else str(super().character_set_name())  # type: ignore[no-untyped-call] # untyped

    def _execute_command(self, command: int, sql: Any) -> None:
        self._ends = self._is_as_set = False
        if command == COMMAND.COM_QUERY and self._together:
            for text in self._together:
                self._regard(text)
        elif command == COMMAND.COM_QUERY:
            self._regard(sql if isinstance(sql, str) else bytes(sql[: _LONGEST_KNOWN + 1]).decode("utf-8", "replace"))
        super()._execute_command(command, sql)  # type: ignore[misc] # PyMySQL does not type it

    @property
    def takes_several(self) -> bool:
        """Whether the server takes several statements in one text."""
        return bool(self.client_flag & CLIENT.MULTI_STATEMENTS)

    @contextlib.contextmanager
    def sending(self, statements: Sequence[str]) -> Iterator[None]:
        """What is sent meanwhile is these statements in one text; what they may leave is remembered of each."""
        self._together = statements
        try:
            yield
        finally:
            self._together = ()

    def _regard(self, sql: str) -> None:
        """Remember what a statement may leave, before it is sent."""
        is_known = leaves_nothing(sql) or (self.meets_no_trigger and _OF_ROWS.match(sql) is not None)
        self._ends = sql in _ENDS_TRANSACTION
        self._needs_reset |= not is_known
        # With autocommit off every statement begins one.
        is_alone = is_known and not sql.lstrip().startswith("START TRANSACTION") and self.get_autocommit()
        self._in_transaction |= not is_alone
        CHANGES.regard(sql)

    def connect(self, sock: Any = None) -> None:
        """Connect; whatever greets is taken for a server until it says something that none says."""
        self._is_connecting = True
        try:
            with self._understood():
                super().connect(sock)
        finally:
            self._is_connecting = False
        # Whoever greets has said all that it has to say: the buffer is empty.
        self._rfile: Any = io.BufferedReader(self._rfile.detach(), BUFFER_BYTES)
        name = self.db or b""  # bytes, once it was sent
        self.opened_in = self.selected = name.decode() if isinstance(name, bytes) else str(name)
        self.selected_at = CHANGES.of(self.opened_in)
        _OPEN.add(self)

    def _read_query_result(self, unbuffered: bool = False) -> Any:
        # In the protocol it is the server that names the file to be sent (MySQL manual, 8.1.6). The driver refuses
        # where local_infile is off, as it is here, but with an error that is none of its own.
        with self._understood():
            try:
                affected = super()._read_query_result(unbuffered)  # type: ignore[misc] # PyMySQL does not type it
            except RuntimeError as error:
                raise pymysql.OperationalError(CR.CR_SERVER_LOST, FILE_ASKED_FOR) from error
            except pymysql.Error as error:
                vars(error)["connection"] = self
                raise
        if self._ends:
            self._in_transaction = False
        return affected

    @contextlib.contextmanager
    def _understood(self) -> Iterator[None]:
        """Close the connection where the driver fails on what the server said; it takes packets apart unchecked.

        :raises pymysql.OperationalError: the server is lost, in the driver's words for it.
        """
        try:
            yield
        except (struct.error, IndexError, ValueError, TypeError, AssertionError) as error:
            self._force_close()
            raise pymysql.OperationalError(CR.CR_SERVER_LOST, NOT_MYSQL) from error

    def _create_ssl_ctx(self, sslp: Any) -> Any:
        # Where nothing is verified the driver would read all certificates of the system all the same (47 ms, measured).
        return _skip_verification() if sslp == {} else super()._create_ssl_ctx(sslp)  # type: ignore[misc] # untyped


def is_of(error: pymysql.Error, connection: pymysql.Connection[Any]) -> bool:
    """Whether it was this connection's statement that the server answered with an error."""
    return vars(error).get("connection") is connection


def _is_readable(sock: Any) -> bool:
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


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
