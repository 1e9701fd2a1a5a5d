"""PostgreSQL: the databases and schemas of a server: which there are, made, dropped, named, measured, locked."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import URL

from ...errors import DatabaseUnreachable, FerryError
from ..model import Capabilities, Identity
from ..sessions import forget, held_sessions
from .catalogue import SIZE
from .connect import Connection, NoSuchDatabase, connect_to, is_nearby, place_of
from .control import in_the_way, without_controls
from .extensions import EXTENSIONS, oid_of
from .grants import adopt_defaults
from .lock import POLL_S
from .mark import made_in, with_made
from .names import (
    BESIDE,
    PUBLIC,
    Place,
    check_target,
    database_of,
    first_schema,
    full_name,
    is_droppable,
    literal,
    named_place,
    quote,
    schema_named,
)
from .preflight import dependents

MAINTENANCE = ("postgres", "template1")
"""Databases that every server has, to be connected to while the target is not there."""
BUSY_LIMIT_S = 15.0
CAPABILITIES = Capabilities(
    enforces_foreign_keys=True, swap_moves_old=True, outside_objects=True, named_live=True, beside_names=BESIDE
)


@contextlib.contextmanager
def connect_anyhow(url: URL, tls_ca: Path | None, *, any_path: bool = False) -> Iterator[tuple[Connection, bool]]:
    """A connection to the URL's server, and whether it is to its database, or that is not there.

    :param any_path: nothing depends on the search path: names are qualified, or the catalogs'.
    :raises DatabaseUnreachable, AccessDenied: as :func:`.connect.explain_errors` says.
    """
    with contextlib.ExitStack() as stack:
        connection, there = _first(stack, url, tls_ca, any_path=any_path)
        yield connection, there


def _first(stack: contextlib.ExitStack, url: URL, tls_ca: Path | None, *, any_path: bool) -> tuple[Connection, bool]:
    try:
        return stack.enter_context(connect_to(url, tls_ca, any_path=any_path)), True
    except NoSuchDatabase as error:
        return stack.enter_context(maintenance(url, tls_ca, error)), False
    except DatabaseUnreachable as error:
        # The server answered, perhaps in another language than the one we know its words in.
        if "FATAL" not in error.message:
            raise
        connection = stack.enter_context(maintenance(url, tls_ca, error))
        query = "SELECT 1 FROM pg_database WHERE datname = %s"
        if connection.execute(query, (database_of(url),)).fetchone() is not None:
            raise
        return connection, False


@contextlib.contextmanager
def maintenance(url: URL, tls_ca: Path | None, missing: FerryError) -> Iterator[Connection]:
    """A connection to a database that every server has.

    :param missing: raised when none of them can be connected to.
    """
    for name in MAINTENANCE:
        with contextlib.ExitStack() as stack:
            try:
                connection = stack.enter_context(connect_to(url, tls_ca, database=name))
            except FerryError:
                continue  # it may be gone, or closed to this user: the next one will do
            yield connection
            return
    raise missing


def schema_of_target(connection: Connection, there: bool, url: URL, named: Place | None = None) -> str:
    """The schema that a host's tables lie in, or would.

    :param there: the connection is to the target's own database.
    :param named: what the URL, or the app's models, name as that.
    """
    if named is not None:
        return named.schema
    return _look_for_target(connection, there, url)[0]


def _look_for_target(connection: Connection, there: bool, url: URL) -> tuple[str, bool]:
    """The schema, and whether it was seen."""
    row: Any = connection.execute("SELECT current_schemas(false)::text[], current_setting('search_path')").fetchone()
    # In a control area nobody's tables lie, whatever the app's sessions take for their schema by now.
    if there and (schemas := without_controls(connection, list(row[0]))):
        return str(schemas[0]), True
    return schema_named(url) or first_schema(row[1]) or PUBLIC, False


def find_target(url: URL, tls_ca: Path | None) -> tuple[str, bool]:
    """The schema that a URL means as a target, and whether it is there.

    :raises Protected: its name is too long, or one of ours.
    """
    with connect_anyhow(url, tls_ca) as (connection, there):
        schema, is_seen = _look_for_target(connection, there, url)
        check_target(schema)
        return schema, is_seen or (there and oid_of(connection, schema) is not None)


def whereabouts(url: URL, tls_ca: Path | None, place: Place, named_schema: str | None) -> tuple[str, str]:
    """SQL that every session of the app must answer so; see :meth:`.base.Dialect.whereabouts`.

    :param named_schema: by which the app's sessions find the place, whatever their search path.
    """
    if named_place(url, named_schema):
        named = place.schema.replace("'", "''")
        return f"SELECT nspname FROM pg_catalog.pg_namespace WHERE nspname = '{named}'", place.schema
    with connect_anyhow(url, tls_ca) as (connection, there):
        # Until a command that writes moves it, the control area may be in the way of all sessions of this role.
        area = in_the_way(connection, place.target) if there else None
    return "SELECT current_schema()", area or place.schema


def ensure(url: URL, tls_ca: Path | None, place: Place | None) -> bool:
    """Create the schema that a URL means, and its database before; return whether one of them was absent.

    :param place: what the URL, or the app's models, name as that schema.
    """
    with connect_anyhow(url, tls_ca) as (connection, there):
        if there:
            return create_schema(connection, schema_of_target(connection, there, url, place))
    is_new = create(url, tls_ca)
    schema = place.schema if place else find_target(url, tls_ca)[0]
    with connect_to(url, tls_ca) as connection:
        return create_schema(connection, schema) or is_new


def create(url: URL, tls_ca: Path | None) -> bool:
    """Create the URL's database; False where somebody else just did, or one of that name was put aside."""
    missing = NoSuchDatabase(f"There is no database {database_of(url)}, and no other one to create it from.")
    with maintenance(url, tls_ca, missing) as connection:
        row: Any = connection.execute(
            "SELECT pg_encoding_to_char(encoding) = 'UTF8' FROM pg_database WHERE datname = 'template1'"
        ).fetchone()
        how = "" if row and row[0] else " ENCODING 'UTF8' TEMPLATE template0"
        if _take_back(connection, database_of(url)):
            return False
        deadline = time.monotonic() + BUSY_LIMIT_S
        while True:
            try:
                connection.execute(f"CREATE DATABASE {quote(database_of(url))}{how}".encode())
                return True
            except (psycopg.errors.DuplicateDatabase, psycopg.errors.UniqueViolation):
                return False
            except psycopg.errors.ObjectInUse:
                # Somebody is connected to the template, e.g. another CREATE DATABASE.
                if time.monotonic() > deadline:
                    raise
                time.sleep(POLL_S)


@contextlib.contextmanager
def leave_as_is(url: URL, tls_ca: Path | None, place: Place | None, targets: dict[URL, str]) -> Iterator[None]:
    """Drop again, at the end, the database or the schema that a URL means and that was not there before.

    What holds a table by then is somebody else's and stays.

    :param place: what the URL, or the app's models, name as that schema.
    :param targets: where live schemas were found meanwhile; not to be trusted any more when one is dropped.
    """
    with connect_anyhow(url, tls_ca) as (connection, there):
        schema = schema_of_target(connection, there, url, place)
        had_schema = there and oid_of(connection, schema) is not None
    try:
        yield
    finally:
        if not had_schema:
            with connect_anyhow(url, tls_ca) as (connection, is_made):
                is_left = is_made and _has_no_table(connection, "%" if not there else schema)
                if is_left and there:
                    connection.execute(f"DROP SCHEMA IF EXISTS {quote(schema)}".encode())
            if is_left and not there:
                _drop_database(url, tls_ca)
            targets.clear()
            forget(("identity", url))


def _has_no_table(connection: Connection, schema: str) -> bool:
    row: Any = connection.execute(
        "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"
        " WHERE n.nspname LIKE %s AND n.nspname NOT LIKE 'pg\\_%%' AND n.nspname <> 'information_schema'",
        (schema,),
    ).fetchone()
    return not row[0]


def _drop_database(url: URL, tls_ca: Path | None) -> None:
    """Drop a database under a name that nobody uses, and only where it holds no table by then.

    The server itself waits for sessions to end before it drops one, and they may make tables until they do. Of a
    process that is killed in between the next one that makes the database takes it back: see :func:`create`.
    """
    missing = NoSuchDatabase(f"There is no database besides {database_of(url)}.")
    name, aside = quote(database_of(url)), name_aside(database_of(url))
    with maintenance(url, tls_ca, missing) as connection:
        _execute_once_unused(connection, f"ALTER DATABASE {name} RENAME TO {quote(aside)}")
        is_empty = False
        try:
            with connect_to(url.set(database=aside), tls_ca, any_path=True) as looking:
                is_empty = _has_no_table(looking, "%")
        except NoSuchDatabase:
            return  # another run took it back
        finally:
            if not is_empty:
                _take_back(connection, database_of(url))
        if is_empty:
            _execute_once_unused(connection, f"DROP DATABASE IF EXISTS {quote(aside)}")


def name_aside(database: str) -> str:
    """Under which name a database is looked at once more before it is dropped; of each its own."""
    return f"ferry_dropped_{hashlib.sha256(database.encode()).hexdigest()[:16]}"


def _take_back(connection: Connection, database: str) -> bool:
    """Give a database its name back that was to be dropped; whether there was one."""
    aside = name_aside(database)
    if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (aside,)).fetchone() is None:
        return False
    try:
        _execute_once_unused(connection, f"ALTER DATABASE {quote(aside)} RENAME TO {quote(database)}")
    except psycopg.errors.InvalidCatalogName:
        return False
    except psycopg.errors.DuplicateDatabase as error:
        raise FerryError(
            f"There are two databases for {database}: one of that name, and {aside}, which a dry run put aside.",
            hint=f"Look into both; drop the one that holds nothing: DROP DATABASE {quote(aside)};",
        ) from error
    return True


def _execute_once_unused(connection: Connection, statement: str) -> None:
    if (sessions := held_sessions()) is not None:
        sessions.close_idle()
    deadline = time.monotonic() + BUSY_LIMIT_S
    while True:
        try:
            connection.execute(statement.encode())
            return
        except psycopg.errors.ObjectInUse:
            # A session that was closed just now is there a little longer.
            if time.monotonic() > deadline:
                raise
            time.sleep(POLL_S)


def create_schema(connection: Connection, schema: str) -> bool:
    """Create a schema if absent; return whether it was."""
    if oid_of(connection, schema) is not None:
        return False
    try:
        connection.execute(f"CREATE SCHEMA {quote(schema)}".encode())
    except (psycopg.errors.DuplicateSchema, psycopg.errors.UniqueViolation):
        return False
    return True


def create_anew(connection: Connection, place: Place) -> Capabilities:
    """Make an empty staging schema, in the place of one that is there, whose objects get the live ones' privileges.

    :return: what can be done with it: an extension of the live schema is lent to one transaction at a time.
    """
    with connection.transaction():
        extensions = made_in(drop(connection, place.schema))
        create_schema(connection, place.schema)
        if extensions:
            words = literal(with_made(None, extensions) or "")
            connection.execute(f"COMMENT ON SCHEMA {quote(place.schema)} IS {words}".encode())
        adopt_defaults(connection, place.target, place.schema)
        lends = connection.execute(EXTENSIONS, (place.target,)).fetchone() is not None
    return replace(CAPABILITIES, loaders=0) if lends else CAPABILITIES


def drop(connection: Connection, schema: str, *, wait: str | None = None) -> str | None:
    """Drop a staging schema or generation, if it is there.

    :param wait: how long to wait for a lock; a transaction that is open goes on with that.
    :return: its comment.
    :raises FerryError: it is neither, or something outside depends on it.
    """
    if not is_droppable(schema):
        raise FerryError(f"{schema} is neither a staging schema nor a generation; it is not dropped.")
    row = connection.execute(
        "SELECT obj_description(oid, 'pg_namespace') FROM pg_namespace WHERE nspname = %s", (schema,)
    ).fetchone()
    if row is None:
        return None
    if details := dependents(connection, schema):
        raise FerryError(
            f"The schema {schema} is not dropped: objects outside depend on it.",
            details=details,
            hint="Drop these first, or let them refer to the live tables.",
        )
    patience = [(f"SELECT pg_catalog.set_config('lock_timeout', {literal(wait)}, true)", ())] if wait else []
    connection.ask_at_once(*patience, (f"DROP SCHEMA IF EXISTS {quote(schema)} CASCADE", ()))
    return None if row[0] is None else str(row[0])


def identify(connection: Connection, url: URL, schema: str) -> Identity:
    """Which server and which schema this is; by name, and not by OID, so that it is the same once it is created."""
    parts = (server_uid(connection), database_of(url), schema)
    uid = hashlib.sha256(repr(parts).encode()).hexdigest()[:32]
    name = f"PostgreSQL {version_of(connection)}"
    return Identity(name, place_of(url), full_name(url, schema), uid, nearby=is_nearby(url))


def identify_at(url: URL, tls_ca: Path | None, schema: str) -> Identity:
    """As :func:`identify`, over a connection of its own."""
    with connect_anyhow(url, tls_ca, any_path=True) as (connection, _):
        return identify(connection, url, schema)


def server_uid(connection: Connection) -> str:
    """What tells this server's data from any other's; by its address where the user may not see that."""
    try:
        row: Any = connection.execute("SELECT system_identifier FROM pg_control_system()").fetchone()
    except psycopg.errors.InsufficientPrivilege:
        row = connection.execute("SELECT host(inet_server_addr()), inet_server_port()").fetchone()
    return repr(row)


def version_of(connection: Connection) -> str:
    """The server's version: major and minor."""
    number = connection.info.server_version
    return f"{number // 10000}.{number % 10000}"


def size_bytes(connection: Connection, schema: str) -> int:
    """The size of a schema, with that of all large objects where the database has any."""
    return int(connection.ask_row(SIZE.format(literal(schema)))[0])


def free_bytes(url: URL, tls_ca: Path | None) -> int | None:
    """Free space in the data directory of a URL's server, where this process can see it on this machine."""
    if not is_nearby(url):
        return None
    with (
        connect_anyhow(url, tls_ca, any_path=True) as (connection, _),
        contextlib.suppress(psycopg.errors.InsufficientPrivilege, OSError),
    ):
        row: Any = connection.execute("SHOW data_directory").fetchone()
        return shutil.disk_usage(row[0]).free
    return None
