"""MySQL and MariaDB: connections of our own, with strict sessions, TLS off this machine, and errors that name it."""

from __future__ import annotations

import contextlib
import functools
import re
import ssl
from collections.abc import Hashable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import CLIENT, CR, ER
from sqlalchemy import URL

from ...errors import (
    AccessDenied,
    DatabaseUnreachable,
    DoesNotFit,
    FerryError,
    LockHeld,
    Misconfigured,
    NotGranted,
    OutOfSpace,
    Protected,
)
from ..network import is_loopback, normalise_host
from ..samples import notes_of
from ..sessions import Sessions, held_sessions
from .driver import Connection, version_of

STRICT = "STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO"
"""Without NO_ZERO_DATE: a zero date that is there has to survive an ALTER TABLE (MySQL manual, 7.1.11)."""

CONNECT_TIMEOUT_S = 10
READ_TIMEOUT_S = 900
"""For one answer of the server; connect_timeout does not cover a handshake that stalls (seen)."""

_LOST = (
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    CR.CR_SERVER_LOST_EXTENDED,
    CR.CR_CONN_HOST_ERROR,
    CR.CR_CONNECTION_ERROR,
    CR.CR_UNKNOWN_HOST,
    ER.SERVER_SHUTDOWN,
    1927,  # MariaDB: connection was killed
    1317,  # query execution was interrupted, as by a shutdown
)
_NOT_SYNCED = re.compile(r"(?i)\bWSREP\b")
"""In the words of a node of a Galera cluster that was cut off from most others, or gets its state from them."""
_NO_CONNECTION = (ER.CON_COUNT_ERROR, ER.TOO_MANY_USER_CONNECTIONS)
_USED_UP = re.compile(r"exceeded the '(max_queries|max_updates|max_connections)")
_READ_ONLY = (1792, 1836, 3100)
_OPTION_PREVENTS, _READ_ONLY_OPTION = 1290, re.compile(r"(?i)read[-_]only")
"""Of many options, e.g. --secure-file-priv for a statement that names a file, which says nothing of other writes."""
_CHANGED_MEANWHILE = (ER.LOCK_DEADLOCK, ER.CHECKREAD, 3572)
"""Others were at the same rows: a deadlock, a snapshot that is too old (MariaDB), what was not to be waited for."""
_ON_TABLES, _TABLESPACE_EXISTS = (ER.CANT_CREATE_TABLE, ER.ERROR_ON_RENAME), 1813
_IN_THE_WAY = re.compile(r"errno: 184\b")
_DENIED = (ER.ACCESS_DENIED_ERROR, 1698, 3159)
_NO_TLS = 2026
NOT_GRANTED = (
    ER.DBACCESS_DENIED_ERROR,
    ER.TABLEACCESS_DENIED_ERROR,
    ER.COLUMNACCESS_DENIED_ERROR,
    ER.SPECIFIC_ACCESS_DENIED_ERROR,
    ER.PROCACCESS_DENIED_ERROR,
)
# The last two are MySQL's own: of the undo log, and of a table's file (seen on 9.7).
_FULL = (ER.RECORD_FILE_FULL, ER.DISK_FULL, 3019, 3675)
_ON_DISK = (ER.ERROR_ON_WRITE, ER.CANT_CREATE_FILE, ER.CANT_CREATE_TABLE, 1030)
"""Errors of files and of the engine, which say in words whether it was for want of room."""
_NO_ROOM = re.compile(r"(?i)(?:errno:|error) (?:28|122|135)\b|No space left|disk (?:is )?full|quota exceeded")

TRANSACTIONS = "autocommit = 0"
"""The setting of a session whose statements take effect when they are committed."""
READ_ONLY = "transaction_read_only = 1"
"""The setting of a session that writes nothing, by its name of today."""

_SESSION = (
    f"sql_mode = '{STRICT}'",
    "time_zone = '+00:00'",
    "net_write_timeout = 3600",
    "net_read_timeout = 3600",
    "wait_timeout = 31536000",
    # What a server may have been configured with, and what would lose rows or find other ones.
    "sql_select_limit = 18446744073709551615",
    "sql_big_selects = 1",
    "sql_safe_updates = 0",
    "sql_auto_is_null = 0",
    "sql_notes = 1",
    "default_storage_engine = InnoDB",
    # By default DDL waits a day for a forgotten transaction.
    "lock_wait_timeout = 60",
)


class NoSuchDatabase(FerryError):
    """The server has no database of that name, or none that the user may see."""


def quote(name: str) -> str:
    """An identifier as SQL text."""
    return "`" + name.replace("`", "``") + "`"


def is_nearby(url: URL) -> bool:
    """Whether the server is this machine: loopback, or a socket."""
    return bool(url.query.get("unix_socket")) or is_loopback(url.host or "localhost")


def place_of(url: URL) -> str:
    """Host and port, for people."""
    return f"{url.host or 'localhost'}:{url.port or 3306}"


def locate(url: URL) -> tuple[str, str]:
    """Server and database, equal for URLs that lead to one, whatever the driver; a query counts as drivers take it."""
    query = {name: value if isinstance(value, str) else value[-1] for name, value in url.query.items()}
    if socket := query.get("unix_socket"):
        server = str(Path(socket).resolve())
    else:
        server = f"{normalise_host(query.get('host') or url.host or '')}:{query.get('port') or url.port or 3306}"
    return server, url.database or ""


def connection_arguments(url: URL, tls_ca: Path | None) -> dict[str, Any]:
    """What PyMySQL is given for a URL, whatever driver that names.

    Off this machine the connection is encrypted and the server's certificate verified.
    """
    query = {
        name: value for name, value in url.query.items() if name in ("unix_socket", "ssl_ca", "ssl_cert", "ssl_key")
    }
    plain = url.set(drivername="mysql+pymysql", query=query)
    arguments: dict[str, Any] = dict(plain.get_dialect()().create_connect_args(plain)[1])
    arguments |= {
        "password": url.password or "",
        "charset": "utf8mb4",
        "connect_timeout": CONNECT_TIMEOUT_S,
        "read_timeout": READ_TIMEOUT_S,
        "write_timeout": READ_TIMEOUT_S,
    }
    if not is_nearby(url):
        arguments["ssl"] = verify_tls(tls_ca or _first(query.get("ssl_ca")))
    return arguments


@functools.cache
def verify_tls(ca: Path | None) -> ssl.SSLContext:
    """A TLS context that verifies the server's name and certificate.

    :raises Misconfigured: the file of certificates cannot be read.
    """
    try:
        return ssl.create_default_context(cafile=str(ca) if ca else None)
    except OSError as error:
        raise Misconfigured(f"FERRY_TLS_CA: {ca} cannot be read: {error.strerror or error}.") from error


def _first(value: Any) -> Path | None:
    return Path(value if isinstance(value, str) else value[0]) if value else None


@contextlib.contextmanager
def connect_to(
    url: URL,
    tls_ca: Path | None,
    *,
    to_database: bool = True,
    session: Sequence[str] = (),
    **options: Any,
) -> Iterator[pymysql.Connection[Any]]:
    """A connection in autocommit mode: strict, UTC, utf8mb4, patient with a slow reader.

    :param to_database: make the URL's database the default one; else none is.
    :param session: further ``name = value`` of the session.
    :param shared: it may be one that the command used before, and is kept for it; see :mod:`..sessions`.
    :param meets_no_trigger: rows are written in no table that has a trigger.
    :param several: statements may be sent together, see :func:`.session.execute_all`. Not where texts or rows of
        others are sent: what stood behind a semicolon in them would be run.
    :param options: for the driver, e.g. a cursor class or converters.
    :raises DatabaseUnreachable, AccessDenied: here, and wherever the connection is lost inside.
    """
    with explain_errors(url):
        connection = connect(url, tls_ca, to_database=to_database, session=session, **options)
        try:
            yield connection
        except BaseException:
            # Nobody knows what it was at.
            connection.sessions = None
            raise
        finally:
            with contextlib.suppress(pymysql.Error, OSError):
                connection.close()


def connect(
    url: URL,
    tls_ca: Path | None,
    *,
    to_database: bool = True,
    session: Sequence[str] = (),
    driver: type[Connection] = Connection,
    shared: bool = False,
    meets_no_trigger: bool = False,
    several: bool = False,
    **options: Any,
) -> Connection:
    """As :func:`connect_to`, but the caller closes it and has the driver's own errors."""
    arguments = connection_arguments(url, tls_ca)
    if not to_database:
        arguments.pop("database", None)
        arguments.pop("db", None)
    # The driver would write text as latin-1; the server made its hash of UTF-8.
    arguments["password"] = arguments["password"].encode()
    # The number of rows that a statement found, not of those it changed.
    flags = arguments.pop("client_flag", 0) | options.pop("client_flag", 0) | CLIENT.FOUND_ROWS
    flags |= CLIENT.MULTI_STATEMENTS if several else 0
    # Whether it commits by itself is a setting like others.
    arguments = {**arguments, "client_flag": flags, "autocommit": None, **options}
    sessions = held_sessions() if shared else None
    key = driver, *sorted((name, _hashable(value)) for name, value in arguments.items())
    connection = sessions and _take(sessions, key, tuple(session))
    if not connection:
        connection = driver(**arguments)
        connection.key = key
        try:
            _set(connection, session)
        except BaseException:
            connection.close()
            raise
    connection.sessions, connection.meets_no_trigger = sessions, meets_no_trigger
    return connection


def _hashable(value: Any) -> str:
    """An argument as text that is another one for another value; converters are known by their addresses."""
    return repr(sorted(value.items(), key=repr)) if isinstance(value, dict) else repr(value)


def _take(sessions: Sessions, key: Hashable, session: tuple[str, ...]) -> Connection | None:
    """A session of before, with these settings; those that were lost meanwhile are left."""
    while (former := sessions.take(key, lambda idle: idle.settings == session)) is not None:
        connection: Connection = former
        try:
            connection.take_up()
            _set(connection, session)
        except (pymysql.Error, OSError):
            connection.close_for_good()
        else:
            return connection
    return None


def _set(connection: Connection, session: Sequence[str]) -> None:
    if connection.settings == tuple(session):
        return
    if connection.settings:
        # Of those that it has and others have not.
        connection.reset()
    version = version_of(connection)
    # What revisions do is isolated as the server has it.
    isolation = [] if TRANSACTIONS in session else [version.isolation]
    asked_for = [version.read_only if setting == READ_ONLY else setting for setting in session]
    settings = ["autocommit = 1", *_SESSION, *version.settings, *isolation, *asked_for]
    with connection.cursor(pymysql.cursors.Cursor) as cursor:
        cursor.execute(f"SET NAMES {connection.charset}, SESSION {', '.join(settings)}")
    connection.accept(session)


@contextlib.contextmanager
def explain_errors(url: URL) -> Iterator[None]:
    """Name the server where it does not answer, goes away, refuses the user, or has no room.

    :raises DatabaseUnreachable, AccessDenied: without the password.
    :raises DoesNotFit: there is no room.
    :raises LockHeld: others kept something locked.
    :raises Protected: it takes no writes.
    :raises FerryError: the database is not there.
    """
    try:
        yield
    except pymysql.Error as error:
        known = explanation(url, error)
        if known is None:
            raise
        raise known from error


def explanation(url: URL, error: pymysql.Error) -> FerryError | None:
    """Our error for one of the driver's that is no fault of a statement, or None."""
    number, words = number_of(error), words_of(error)
    where = f"The database server at {place_of(url)}"
    if number in _DENIED:
        return AccessDenied(
            f"{where} refuses user {url.username!r}: {words}",
            hint="Check user and password of the database (DATABASE_URL, or DB_USERNAME and DB_PASSWORD).",
        )
    if number == _NO_TLS or isinstance(getattr(error, "original_exception", None), ssl.SSLError):
        return AccessDenied(
            f"An encrypted connection to the database server at {place_of(url)} cannot be had: {words}",
            hint="Set FERRY_TLS_CA to a file with the certificates that its own is signed by (on RDS: the bundle of "
            "its region), and spell the host as its certificate does.",
        )
    if number in NOT_GRANTED:
        return NotGranted(
            f"{where} does not let user {url.username!r} do this: {words}",
            hint="Let the database's administrator grant this privilege, then run the command again.",
        )
    if number == ER.USER_LIMIT_REACHED and _USED_UP.search(words):
        return DatabaseUnreachable(
            f"{where} takes no more from user {url.username!r} in this hour: {words}",
            hint="Raise that limit of the user's, or run the command again in an hour.",
        )
    if number in (*_NO_CONNECTION, ER.USER_LIMIT_REACHED):
        return DatabaseUnreachable(
            f"{where} has no connection left: {words}",
            hint="Raise max_connections or max_user_connections, or end connections that are not needed, then run the "
            "command again.",
        )
    if number in _READ_ONLY or (number == _OPTION_PREVENTS and _READ_ONLY_OPTION.search(words)):
        return Protected(f"{where} does not let anybody write: {words}", hint="Use the server that takes writes.")
    if number in _LOST or isinstance(error, pymysql.InterfaceError):
        return DatabaseUnreachable(
            f"{where} does not answer, or the connection was lost: {words}",
            hint="Check that it runs and can be reached from here, then run the command again.",
        )
    if number == ER.UNKNOWN_COM_ERROR and _NOT_SYNCED.search(words):
        return DatabaseUnreachable(
            f"{where} is a node of a Galera cluster that does not answer, as it is cut off from most of them: {words}",
            hint="Wait until wsrep_ready is ON, or use another node; then run the command again.",
        )
    if number == ER.BAD_DB_ERROR:
        return NoSuchDatabase(f"There is no database {url.database!r} on the server at {place_of(url)}.")
    return _explain_locked(url, error) or _explain_files(url, error)


def _explain_locked(url: URL, error: pymysql.Error) -> LockHeld | None:
    number, words = number_of(error), words_of(error)
    if number == ER.LOCK_WAIT_TIMEOUT:
        return LockHeld(
            f"Others kept what is needed locked on the server at {place_of(url)}{notes_of(error)}: {words}",
            hint="Find them with SHOW PROCESSLIST, end their transactions, then run the command again.",
        )
    if number in _CHANGED_MEANWHILE:
        return LockHeld(
            f"Others changed the same at once on the server at {place_of(url)}: {words}", hint="Run the command again."
        )
    return None


def _explain_files(url: URL, error: pymysql.Error) -> DoesNotFit | None:
    """For want of room, or for a file that is in the way."""
    number, words = number_of(error), words_of(error)
    where = f"The database server at {place_of(url)}"
    if number == _TABLESPACE_EXISTS or (number in _ON_TABLES and _IN_THE_WAY.search(words)):
        return DoesNotFit(
            f"{where} keeps a file of a table that it does not know, as after a crash on a full disk: {words}",
            hint="Let its administrator move that table's .ibd file out of the server's data directory, then run the "
            "command again.",
        )
    if is_out_of_space(error):
        return OutOfSpace(f"{where} has no room left: {words}", hint="Make room, then run the command again.")
    return None


def is_out_of_space(error: BaseException) -> bool:
    """Whether the server says that a disk, a quota or a table space is full."""
    number = number_of(error)
    return number in _FULL or (number in _ON_DISK and _NO_ROOM.search(words_of(error)) is not None)


def number_of(error: BaseException) -> int:
    """The server's (or the driver's) number of an error; 0 where there is none."""
    return error.args[0] if error.args and isinstance(error.args[0], int) else 0


def words_of(error: BaseException) -> str:
    """The server's own words, without the driver's frame."""
    return str(error.args[-1]) if error.args else str(error)
