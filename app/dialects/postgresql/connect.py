"""PostgreSQL: connections of our own, sessions set to exact forms, TLS off this machine, errors that name it."""

from __future__ import annotations

import contextlib
import os
import re
import ssl
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import pq
from sqlalchemy import URL

from ...errors import (
    AccessDenied,
    DatabaseDamaged,
    DatabaseUnreachable,
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
from .driver import Connection as Connection
from .driver import Cursor, set_session
from .names import PUBLIC, app_url, database_of, quote, schema_named

CONTROL = "control"
"""The purpose of sessions that work in the control area, where no table has a trigger."""
COMMON = "ferry"
"""What a session is called that means nothing to other sessions."""
CONNECT_TIMEOUT_S = 10

_LIVELINESS = {
    "connect_timeout": str(CONNECT_TIMEOUT_S),
    "keepalives": "1",
    "keepalives_idle": "30",
    "keepalives_interval": "10",
    "keepalives_count": "6",
    "tcp_user_timeout": "90000",
}

SETTINGS = {
    "statement_timeout": "0",
    "lock_timeout": "60s",
    "idle_in_transaction_session_timeout": "0",
    "default_transaction_isolation": "read committed",
    "default_transaction_read_only": "off",
    "DateStyle": "ISO, YMD",
    "IntervalStyle": "postgres",
    "TimeZone": "UTC",
    "extra_float_digits": "3",
    "bytea_output": "hex",
    "xmlbinary": "base64",
    "lc_monetary": "C",
    "standard_conforming_strings": "on",
    "client_min_messages": "error",
    # Rows that a policy hides are an error, not left out.
    "row_security": "off",
    # A scan begins with a table's first row, not where somebody else's scan is.
    "synchronize_seqscans": "off",
    "check_function_bodies": "off",
    "jit": "off",
    "synchronous_commit": "on",
}
"""Of every session, whatever the role's or the database's own are."""

_DENIED = re.compile(
    r"authentication failed|no password supplied|no pg_hba\.conf entry|pg_hba\.conf rejects|role .* does not exist"
    r"|is not permitted to log in|permission denied for database|does not support SSL|certificate|SSL error: "
    r"|authentication method requirement|channel binding"
)
_NO_TLS = re.compile(r"does not support SSL|(?<!client )certificate(?! authentication)|SSL error: ")
_ABSENT = re.compile(r'database ".*" does not exist', re.DOTALL)
_LOST = ("08", "57P0", "53300", "25P03", "25P04")
"""SQLSTATE: connection exceptions, shutdowns, no connection left, ended for being idle."""
_NO_CONNECTION = re.compile(r"too many (?:clients|connections)|connection slots")  # no SQLSTATE is shown of it

_UNSTATED = ("InterfaceError", "OperationalError")
"""Errors of psycopg2, which need not be installed, for a connection that never was or no longer is."""

_SYSTEM_CERTIFICATES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


class NoSuchDatabase(FerryError):
    """The server has no database of that name."""


def hosts_of(url: URL) -> list[str]:
    """The hosts that a URL leads to; an empty name or a directory is a socket."""
    hosts: list[str] = []
    for name in ("hostaddr", "host"):
        value = url.query.get(name, ())
        hosts += [part for text in ([value] if isinstance(value, str) else value) for part in text.split(",")]
        if hosts:
            return hosts
    if url.host:
        return [url.host]
    return [part for name in ("PGHOSTADDR", "PGHOST") for part in os.environ.get(name, "").split(",") if part] or [""]


def is_nearby(url: URL) -> bool:
    """Whether the server is this machine: loopback, or a socket."""
    return all(
        not host or host.startswith(("/", "@")) or is_loopback(host.rpartition(":")[0] or host)
        for host in hosts_of(url)
    )


def place_of(url: URL) -> str:
    """Host and port, for people."""
    host = hosts_of(url)[0]
    name = "localhost" if not host or host.startswith(("/", "@")) else host
    return f"{name}:{url.port or url.query.get('port') or os.environ.get('PGPORT') or 5432}"


def locate(url: URL) -> tuple[frozenset[str], str, str]:
    """Servers, database and schema, equal for URLs that lead to one, whatever the driver."""
    ports = url.port or url.query.get("port") or os.environ.get("PGPORT") or 5432
    port = str(ports if isinstance(ports, str | int) else ports[0])
    servers = set()
    for text in hosts_of(url):
        # SQLAlchemy takes several hosts with their ports in one text each.
        host, _, its_port = text.partition(":") if text.count(":") == 1 else (text, "", "")
        is_socket = host.startswith(("/", "@"))
        servers.add(f"{normalise_host('' if is_socket else host)}:{its_port or port}")
    database = url.query.get("dbname") or url.database or ""
    return frozenset(servers), str(database), schema_named(url) or PUBLIC


def connection_arguments(url: URL, tls_ca: Path | None) -> dict[str, str]:
    """What libpq is given for a URL, whatever driver that names.

    Off this machine the connection is encrypted and the server's certificate verified.

    :raises Misconfigured: the file of certificates cannot be read.
    """
    known = {option.keyword.decode() for option in pq.Conninfo.get_defaults()}
    query = {name: value for name, value in url.query.items() if name in known}
    plain = url.set(drivername="postgresql+psycopg", query=query)
    arguments = {
        name: str(value) for name, value in plain.get_dialect()().create_connect_args(plain)[1].items() if name in known
    }
    arguments |= _LIVELINESS | {"client_encoding": "UTF8"}
    if not is_nearby(url):
        arguments |= {"sslmode": "verify-full", "gssencmode": "disable"}
        arguments["sslrootcert"] = str(tls_ca or arguments.get("sslrootcert") or _system_certificates())
        _readable(arguments["sslrootcert"])
    return arguments


def _system_certificates() -> str:
    """libpq's own word for them, ``system``, is only known since version 16, and the programs may be older."""
    places = (ssl.get_default_verify_paths().cafile or "", *_SYSTEM_CERTIFICATES)
    return next((place for place in places if place and Path(place).is_file()), "system")


def _readable(certificates: str) -> None:
    if certificates == "system":
        return
    try:
        with open(certificates, "rb"):
            pass
    except OSError as error:
        raise Misconfigured(f"FERRY_TLS_CA: {certificates} cannot be read: {error.strerror or error}.") from error


def connect(
    url: URL,
    tls_ca: Path | None,
    *,
    search_path: Sequence[str] = (),
    settings: Mapping[str, str] = SETTINGS,
    application: str = COMMON,
    database: str | None = None,
    kind: type[Connection] = Connection,
    purpose: str = "",
    any_path: bool = False,
) -> Connection:
    """A connection in autocommit mode; the caller closes it and has the driver's own errors.

    :param search_path: schemas; without any the search path is the URL's, the role's or the database's own.
    :param settings: of the session.
    :param database: another one than the URL's.
    :param purpose: a session that is used again is used for the same purpose; what a user does to the driver's own
        object, such as SQLAlchemy's converters of values, stays there.
    :param any_path: the caller sets the search path for each of its transactions.
    """
    # Whose path does not matter is one session for the live schema and all beside it.
    arguments = connection_arguments(app_url(url) if any_path else url, tls_ca) | {"application_name": application}
    if database is not None:
        arguments["dbname"] = database
    else:
        database_of(url)
    settings = {**settings, **_path(search_path)}
    sessions = held_sessions() if kind is Connection and application == COMMON else None
    key = "PostgreSQL", purpose, frozenset(arguments.items())
    connection = sessions and _take(sessions, key, settings, any_path=any_path)
    if not connection:
        connection = kind.connect(**arguments, autocommit=True, prepare_threshold=None)  # type: ignore[arg-type] # all are text
        connection.arguments, connection.key = arguments, key
        if sessions:
            connection.cursor_factory = Cursor
        try:
            connection.set_to(settings)
        except BaseException:
            connection.close()
            raise
    connection.sessions, connection.meets_no_trigger = sessions, purpose == CONTROL
    return connection


def _take(sessions: Sessions, key: Hashable, settings: Mapping[str, str], *, any_path: bool) -> Connection | None:
    """A session of before, with these settings; those that were lost meanwhile are left."""

    def suits(idle: Connection) -> bool:
        return idle.settings == settings or (any_path and _pathless(idle.settings or {}) == settings)

    while (session := sessions.take(key, suits)) is not None:
        connection: Connection = session
        try:
            if not suits(connection) or not connection.is_known_to_live():
                _reset_to(connection, settings)
        except psycopg.Error:
            connection.close_for_good()
        else:
            return connection
    return None


def _pathless(settings: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in settings.items() if name != "search_path"}


def _path(search_path: Sequence[str]) -> dict[str, str]:
    return {"search_path": ", ".join(map(quote, search_path))} if search_path else {}


def _reset_to(connection: Connection, settings: Mapping[str, str]) -> None:
    """Give a session other settings than it has."""
    former = connection.settings or {}
    if former.keys() - settings.keys() == {"search_path"} and connection.own_path is not None:
        changes = {name: value for name, value in settings.items() if former.get(name) != value}
        connection.set_to({**changes, "search_path": connection.own_path})
        connection.accept(settings)
    elif former.keys() - settings.keys():
        connection.reset(settings)
    else:
        connection.set_to(settings)


def session_settings(
    settings: Mapping[str, str], search_path: Sequence[str], version: int
) -> tuple[bytes, Sequence[str]]:
    """A statement that says which search path a session has, and sets it; and its values."""
    statement, values = set_session({**settings, **_path(search_path)}, version)
    return statement.encode(), values


@contextlib.contextmanager
def connect_to(url: URL, tls_ca: Path | None, **options: Any) -> Iterator[Connection]:
    """As :func:`connect`, with errors that name the server, here and inside.

    :raises NoSuchDatabase, DatabaseUnreachable, AccessDenied, DoesNotFit, FerryError: see :func:`explain_errors`.
    """
    with explain_errors(url), contextlib.closing(connect(url, tls_ca, **options)) as connection:
        yield connection


@contextlib.contextmanager
def explain_errors(url: URL) -> Iterator[None]:
    """Turn the driver's errors into ours.

    :raises DatabaseUnreachable: no answer, or the connection was lost.
    :raises AccessDenied, NotGranted: user, password or encryption refused; a privilege is missing.
    :raises NoSuchDatabase: there is none of that name.
    :raises DoesNotFit: there is no room.
    :raises FerryError: anything else, with the server's words.
    """
    try:
        yield
    except psycopg.Error as error:
        raise name_error(url, error) from error


def name_error(url: URL, error: Exception) -> FerryError:
    """Our error for the driver's, without the password."""
    return explanation(url, error) or FerryError(f"The database server at {place_of(url)} refused: {words_of(error)}")


def explanation(url: URL, error: BaseException) -> FerryError | None:
    """Our error for one of the driver's that is no fault of a statement, or None."""
    state, words = state_of(error), words_of(error)
    if is_lost(error):
        return _explain_unconnected(url, words) if not state else _unreachable(url, words)
    if state.startswith("28"):
        return _explain_denied(url, words)
    if state == "42501":
        return NotGranted(
            f"The database server at {place_of(url)} does not let user {url.username!r} do this: {words}",
            hint="Let the owner of the database grant it, or use the owner's user in the database's URL.",
        )
    if state in ("55P03", "40P01", "40001"):
        return LockHeld(
            f"Others kept what is needed locked on the server at {place_of(url)}{notes_of(error)}: {words}",
            hint="Find them with SELECT * FROM pg_stat_activity WHERE state <> 'idle', end their transactions, then "
            "run the command again.",
        )
    if state == "25006":
        return Protected(
            f"The database server at {place_of(url)} takes no writes from user {url.username!r}: {words}",
            hint="Use the primary's URL, or reset default_transaction_read_only (of server, database or role).",
        )
    if is_out_of_space(error):
        return OutOfSpace(f"The database server at {place_of(url)} has no room: {words}", hint="Make room, run again.")
    if state in ("XX001", "XX002"):
        return DatabaseDamaged(
            f"The database server at {place_of(url)} says that its own files are damaged: {words}",
            hint="Save what can be read of it, then put the last backup back: flask db-restore",
        )
    return None


def state_of(error: BaseException) -> str:
    """The SQLSTATE of an error of psycopg or psycopg2; empty where there is none."""
    return str(getattr(error, "sqlstate", None) or getattr(error, "pgcode", None) or "")


def is_lost(error: BaseException) -> bool:
    """Whether the connection never was or no longer is."""
    if state := state_of(error):
        return state.startswith(_LOST)
    return isinstance(error, psycopg.InterfaceError | psycopg.OperationalError) or type(error).__name__ in _UNSTATED


def _explain_unconnected(url: URL, words: str) -> FerryError:
    # The protocol has an SQLSTATE for these; libpq shows only its words.
    if _ABSENT.search(words):
        return NoSuchDatabase(f"There is no database {url.database} at {place_of(url)}.")
    return _explain_denied(url, words) if _DENIED.search(words) else _unreachable(url, words)


def _explain_denied(url: URL, words: str) -> AccessDenied:
    if _NO_TLS.search(words):
        return AccessDenied(
            f"An encrypted connection to the database server at {place_of(url)} cannot be had: {words}",
            hint="Set FERRY_TLS_CA to a file with the certificates that its own is signed by (on RDS: the bundle of "
            "its region), and spell the host as its certificate does.",
        )
    return AccessDenied(
        f"The database server at {place_of(url)} refuses user {url.username!r}: {words}",
        hint="Check user, password and encryption of the database (DATABASE_URL, or DB_USERNAME and DB_PASSWORD).",
    )


def _unreachable(url: URL, words: str) -> DatabaseUnreachable:
    if _NO_CONNECTION.search(words):
        return DatabaseUnreachable(
            f"The database server at {place_of(url)} has no connection left: {words}",
            hint="Raise max_connections or the role's CONNECTION LIMIT, or end other connections, then run it again.",
        )
    return DatabaseUnreachable(
        f"The database server at {place_of(url)} does not answer, or the connection was lost: {words}",
        hint="Check that it runs and can be reached from here, then run the command again.",
    )


def words_of(error: BaseException) -> str:
    """The server's own words, with their detail; those of the driver where it gave none."""
    diagnosis = getattr(error, "diag", None)
    if diagnosis is None or not diagnosis.message_primary:
        return " ".join(str(error).split())
    return ": ".join(part for part in (diagnosis.message_primary, diagnosis.message_detail) if part)


def is_out_of_space(error: BaseException | None) -> bool:
    """Whether an error, or what it came from, is the server's ``disk_full``."""
    if error is None:
        return False
    if state_of(error) == "53100":
        return True
    return is_out_of_space(getattr(error, "orig", None) or error.__cause__)
