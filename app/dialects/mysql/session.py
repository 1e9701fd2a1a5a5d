"""MySQL and MariaDB: statements that wait in the background, connections that keep locks, and who is in the way."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, TypeAlias

import pymysql
from pymysql.constants import CLIENT, COMMAND, CR, ER
from pymysql.cursors import Cursor

from ...errors import FerryError, LockHeld
from .connect import NOT_GRANTED, number_of, quote
from .driver import Connection as Own
from .driver import current_of, list_own, version_of

Connection: TypeAlias = "pymysql.Connection[Any]"
Factory = Callable[..., AbstractContextManager[Connection]]
"""Opens a connection: autocommit, strict, UTC; ``to_database=False`` for no default database, ``session`` settings."""

PATIENT_S = 86400
"""For a statement that waits for as long as we want it to."""
SILENT_S = 60
"""When the server hears nothing of this host for so long, it ends the connections that let others wait."""
_PING_S = 10.0
_POLL_S = 0.001
_END_S = 30.0

_INTERRUPTED = 1317
_ONE_ONLY = 8130
_TEXT_LENGTH = 64 << 10
"""Of statements that are sent together, in characters: far less than a server takes at once."""
_NOT_A_STATEMENTS = (0, 1053, 1205, _INTERRUPTED, 1927)

WAITING = "Waiting for table metadata lock"
"""The state of a connection whose statement waits for other connections' use of a table (seen on MariaDB 10.11)."""


def execute(connection: Connection, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Run a statement; its rows, bytes decoded, as the connection may convert nothing."""
    with connection.cursor(Cursor) as cursor:
        cursor.execute(sql, values or None)
        return _decode(cursor.fetchall())


def execute_all(connection: Connection, statements: Sequence[str]) -> list[list[tuple[Any, ...]]]:
    """Run statements, in one text where the connection takes several; the rows of each, as :func:`execute` has them.

    The first that fails is the last that runs.
    """
    if len(statements) < 2 or not isinstance(connection, Own) or not connection.takes_several:
        return [execute(connection, sql) for sql in statements]
    # A packet of a server may be small.
    if len(statements) > 2 and sum(map(len, statements)) > _TEXT_LENGTH:
        half = len(statements) // 2
        return execute_all(connection, statements[:half]) + execute_all(connection, statements[half:])
    answers: list[list[tuple[Any, ...]]] | None
    with connection.sending(statements), connection.cursor(Cursor) as cursor:
        try:
            cursor.execute("; ".join(statements))
        except pymysql.Error as error:
            # Who takes no text of several refuses it whole (TiDB), and nothing of it was run.
            if number_of(error) not in (ER.PARSE_ERROR, _ONE_ONLY):
                raise
            answers = None
        else:
            answers = [_decode(cursor.fetchall())]
            while cursor.nextset():
                answers.append(_decode(cursor.fetchall()))
    return [execute(connection, sql) for sql in statements] if answers is None else answers


@contextlib.contextmanager
def one_at_a_time(connection: Connection) -> Iterator[None]:
    """Meanwhile the server takes one statement in a text: what others wrote is one, or is refused."""
    if not isinstance(connection, Own) or not connection.takes_several:
        yield
        return
    _take_several(connection, several=False)
    try:
        yield
    finally:
        if connection.open:
            _take_several(connection, several=True)


def _take_several(connection: Own, *, several: bool) -> None:
    # MYSQL_OPTION_MULTI_STATEMENTS_ON and _OFF (MySQL C API, mysql_set_server_option()).
    connection._execute_command(COMMAND.COM_SET_OPTION, (0 if several else 1).to_bytes(2, "little"))
    connection._read_packet()  # type: ignore[no-untyped-call] # PyMySQL does not type it
    flag = CLIENT.MULTI_STATEMENTS
    connection.client_flag = connection.client_flag | flag if several else connection.client_flag & ~flag


def spell(connection: Connection, sql: str, *values: Any) -> str:
    """A statement with its values in it."""
    with connection.cursor(Cursor) as cursor:
        return str(cursor.mogrify(sql, values or None))


def _decode(rows: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    return [tuple(item.decode() if isinstance(item, bytes) else item for item in row) for row in rows]


def is_refusal(error: pymysql.Error) -> bool:
    """Whether the server refused a statement, and not the connection was lost or a lock not had."""
    number = number_of(error)
    return number not in _NOT_A_STATEMENTS and not 2000 <= number < 3000  # the driver's own


def exists(connection: Connection, database: str) -> bool:
    """Whether a database is there and the user may see it."""
    return bool(execute(connection, "SELECT 1 FROM information_schema.schemata WHERE schema_name = %s", database))


@contextlib.contextmanager
def using(connection: Connection, database: str) -> Iterator[None]:
    """Make a database the default one meanwhile, where the connection has one to go back to."""
    former = current_of(connection)
    if former == database:
        yield
        return
    connection.select_db(database)
    try:
        yield
    finally:
        if former:
            connection.select_db(former)


def id_of(connection: Connection) -> int:
    """The number that the server knows a connection by."""
    return int(connection.thread_id())  # type: ignore[no-untyped-call] # PyMySQL does not type it


class Running:
    """One statement on a connection of its own, run by a thread, so that others can go on while it waits."""

    def __init__(self, connection: Connection, sql: str) -> None:
        assert isinstance(connection, Own)  # noqa: S101 # no other can be cut
        self.connection, self.sql = connection, sql
        self.id = id_of(connection)
        self.error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            execute(self.connection, self.sql)
        except BaseException as error:  # noqa: BLE001 # what waits for the answer raises it
            # Closed by another thread meanwhile, the driver trips over parts of itself that are gone.
            if not self.connection.open and not isinstance(error, (pymysql.Error, OSError)):
                error = pymysql.OperationalError(CR.CR_SERVER_LOST, f"The connection was closed: {error}")
            self.error = error

    @property
    def done(self) -> bool:
        return not self._thread.is_alive()

    def join(self, timeout_s: float) -> bool:
        """Wait for the end; whether it has come."""
        self._thread.join(timeout_s)
        return self.done

    def result(self) -> None:
        """What the statement raised, raised again."""
        if self.error is not None:
            raise self.error

    def interrupt(self, by: Connection) -> None:
        """Let the server end the statement, over another connection, and wait until it has.

        Where that one is lost, so is this one: nobody could say that the statement ends, who waits for it.

        :raises FerryError: it did not end.
        """
        if not self.done:
            try:
                execute(by, f"KILL QUERY {self.id}")
            except (pymysql.Error, OSError):
                self.connection.cut()
        if not self.join(_END_S):
            raise FerryError(f"A statement did not end when it was told to: {self.sql[:200]}")


def waiting(by: Connection, statements: Sequence[Running]) -> bool:
    """Whether all of these statements wait for a table."""
    rows = execute(by, "SELECT id FROM information_schema.processlist WHERE state = %s", WAITING)
    return {item.id for item in statements} <= {int(row[0]) for row in rows}


def until(condition: Callable[[], bool], timeout_s: float) -> bool:
    """Ask again and again; whether it became true in time."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


class Keeper:
    """Keeps a connection that holds locks alive, and lets it end soon after this host has fallen silent.

    Of a host that lost its power the server learns nothing; its connections would hold their locks for hours.
    """

    def __init__(self, factory: Factory) -> None:
        self._stack = contextlib.ExitStack()
        self.connection = self._stack.enter_context(
            factory(to_database=False, session=(f"wait_timeout = {SILENT_S}",), read_timeout=PATIENT_S)
        )
        self.busy = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._stay, daemon=True)
        self._thread.start()

    def _stay(self) -> None:
        while not self._ended.wait(_PING_S):
            with self.busy, contextlib.suppress(pymysql.Error, OSError):
                self.connection.ping(reconnect=False)

    def execute(self, sql: str) -> None:
        with self.busy:
            execute(self.connection, sql)

    def close(self) -> None:
        self._ended.set()
        self._thread.join()
        # Source alone would let the locks go a moment later.
        with contextlib.suppress(pymysql.Error, OSError):
            execute(self.connection, "UNLOCK TABLES")
        self._stack.close()


def blockers(connection: Connection, database: str, ours: Sequence[int] = ()) -> list[str]:
    """Connections that keep tables of a database locked, as far as the user may see them.

    :param ours: connections of ours, left out.
    """
    version = version_of(connection)
    more = []
    try:
        rows = execute(connection, _BLOCKERS_OF_MARIADB if version.is_mariadb else _BLOCKERS_OF_MYSQL, database)
    except pymysql.Error as error:
        if number_of(error) not in NOT_GRANTED:
            raise
        rows = execute(connection, _CONNECTIONS, database)
        more = ["Which of them it is, or whether it is another one, is not shown to this user (privilege PROCESS)."]
    lines, here = [(int(row[0]), *row[1:]) for row in rows], list_own()
    return [
        f"connection {number} of {user} from {host}, {'idle' if command == 'Sleep' else command.lower()} for {time_s} s"
        for number, user, host, command, time_s in lines
        if number not in ours and number not in here
    ] + more


_BLOCKERS_OF_MARIADB = (
    "SELECT p.id, p.user, p.host, p.command, p.time FROM information_schema.innodb_trx t "
    "JOIN information_schema.processlist p ON p.id = t.trx_mysql_thread_id "
    "WHERE p.id <> CONNECTION_ID() AND (p.db = %s OR p.db IS NULL) ORDER BY t.trx_started"
)
# MySQL 8.4 manual, 29.12.13.3.
_BLOCKERS_OF_MYSQL = (
    "SELECT DISTINCT p.id, p.user, p.host, p.command, p.time FROM performance_schema.metadata_locks l "
    "JOIN performance_schema.threads t ON t.thread_id = l.owner_thread_id "
    "JOIN information_schema.processlist p ON p.id = t.processlist_id "
    "WHERE p.id <> CONNECTION_ID() AND l.object_type = 'TABLE' AND l.object_schema = %s AND l.lock_status = 'GRANTED'"
)
# Without the privilege PROCESS a user sees his own connections only; the application's are often the same user's.
_CONNECTIONS = (
    "SELECT id, user, host, command, time FROM information_schema.processlist "
    "WHERE id <> CONNECTION_ID() AND db = %s ORDER BY time DESC"
)


def list_held(others: Sequence[str], database: str, timeout_s: float) -> LockHeld:
    """The error for a database that others kept locked."""
    return LockHeld(
        f"Other connections kept tables of {database} locked for {timeout_s:g} s. Nothing was changed.",
        details=others,
        # One that was prepared outlives its connection, and nothing else says that it is there.
        hint="End their transactions (SHOW PROCESSLIST; KILL <connection>; those that were prepared: XA RECOVER; "
        "XA ROLLBACK <xid>), or run the command again.",
    )


def names(items: Sequence[str], database: str) -> str:
    """Qualified names as SQL text."""
    return ", ".join(f"{quote(database)}.{quote(name)}" for name in items)
