"""MySQL and MariaDB: objects created again, and tables and databases copied inside the server."""

from __future__ import annotations

import contextlib
import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence

import pymysql

from ...errors import DoesNotFit
from ..model import SchemaObject
from .connect import number_of, quote, words_of
from .histograms import list_histograms, make_histograms
from .names import target_of
from .objects import (
    SEQUENCE,
    VERSIONED,
    MySqlObject,
    definitions_of,
    event_with,
    is_mariadb,
    objects,
    position,
    schema_fingerprint,
    strip_database,
    tables,
)
from .session import Connection, Factory, execute, execute_all, is_refusal, one_at_a_time

__all__ = ["carry", "copy_database", "create_objects", "objects", "schema_fingerprint"]

COPY_TIMEOUT_S = 60.0
NOT_LIVE = "DISABLE ON SLAVE"

_FUNCTION_CREATORS = 1419
_NO_READ_COMMITTED = 1665

_RANK = {"sequence": 0, "function": 1, "procedure": 2, "view": 3, "trigger": 4, "event": 5}

EXACT = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,NO_ENGINE_SUBSTITUTION"
"""The sql_mode of a copy: not strict, as an ENUM may hold the value of no member, which a strict server refuses."""


def create_objects(connection: Connection, wanted: Sequence[SchemaObject]) -> None:
    """Create objects in the connection's default database, which is not live: its events do not run.

    :raises DoesNotFit: one of them does not fit the tables, with the server's words.
    """
    ordered = sorted(wanted, key=lambda item: _RANK[item.kind])
    views = [item for item in ordered if item.kind == "view"]
    with one_at_a_time(connection):
        for item in ordered:
            if item.kind == "trigger" and views:
                _create_views(connection, views)
                views = []
            if item.kind != "view":
                _create(connection, item)
        _create_views(connection, views)


def _create_views(connection: Connection, views: list[SchemaObject]) -> None:
    """Create views, those that need others after them."""
    while views:
        failed: list[tuple[SchemaObject, DoesNotFit]] = []
        for item in views:
            try:
                _create(connection, item)
            except DoesNotFit as error:
                failed.append((item, error))
        if len(failed) == len(views):
            raise failed[0][1]
        views = [item for item, _ in failed]


def _create(connection: Connection, item: SchemaObject) -> None:
    sql = event_with(NOT_LIVE, item.sql) if item.kind == "event" else item.sql
    try:
        with session_of(connection, item):
            execute(connection, sql)
        if item.kind == "view":
            _check_view(connection, item.name)
        if isinstance(item, MySqlObject) and item.position:
            _set_position(connection, item.name, item.position)
    except pymysql.Error as error:
        if not is_refusal(error):
            raise
        raise explain_refusal(item, error) from error


def _check_view(connection: Connection, name: str) -> None:
    try:
        execute(connection, f"SELECT * FROM {quote(name)} LIMIT 0")
    except pymysql.Error:
        execute(connection, f"DROP VIEW IF EXISTS {quote(name)}")
        raise


def check_view(connection: Connection, database: str, view: str) -> None:
    """See that a view could be created again.

    :raises DoesNotFit: it is broken.
    """
    try:
        execute(connection, f"SELECT * FROM {quote(database)}.{quote(view)} LIMIT 0")
    except pymysql.Error as error:
        if not is_refusal(error):
            raise
        raise DoesNotFit(
            f"The view {view!r} in {database} is broken, and could not be created again: {words_of(error)}",
            hint=f"Fix or drop it: DROP VIEW {quote(database)}.{quote(view)}",
        ) from error


def _set_position(connection: Connection, sequence: str, at: tuple[int, int]) -> None:
    execute(connection, f"DO SETVAL({quote(sequence)}, {at[0]}, 0, {at[1]})")


def explain_refusal(item: SchemaObject, error: pymysql.Error) -> DoesNotFit:
    """The error for an object that the server did not create."""
    if number_of(error) == _FUNCTION_CREATORS:
        return DoesNotFit(
            f"The database user may not create the {item.kind} {item.name!r}: {words_of(error)}",
            hint="Let an administrator run: SET GLOBAL log_bin_trust_function_creators = 1",
        )
    return DoesNotFit(
        f"The {item.kind} {item.name!r} does not fit the schema: {words_of(error)}",
        hint=f"Drop or rewrite this {item.kind} in the live database, or let a revision do it.",
    )


@contextlib.contextmanager
def session_of(connection: Connection, item: SchemaObject) -> Iterator[None]:
    """The session's settings that an object was made with, and afterwards the former ones."""
    wanted = dict(item.session) if isinstance(item, MySqlObject) else {}
    if not wanted:
        yield
        return
    [former] = execute(connection, f"SELECT {', '.join(f'@@SESSION.{name}' for name in wanted)}")
    _set(connection, wanted)
    try:
        yield
    finally:
        _set(connection, dict(zip(wanted, former, strict=True)))


def _set(connection: Connection, settings: dict[str, str]) -> None:
    assignments = ", ".join(f"{name} = %s" for name in settings)
    execute(connection, f"SET SESSION {assignments}", *settings.values())


def copy_database(factory: Factory, source: str, to: str, timeout_s: float) -> None:
    """Make ``to`` an exact copy of ``source``, in the place of what was there: tables, rows, counters and objects.

    The rows of each table are of one instant, those of different tables are not, unless nobody writes. Nobody is kept
    waiting. Events of the copy do not run.

    :raises LockHeld: others kept tables of the source locked for ``timeout_s``.
    """
    with _copying(factory, timeout_s) as connection:
        create_like(connection, to, source)
        connection.select_db(to)
        columns = list_columns(connection, source)
        copy_tables(connection, source, tables(connection, source), columns)
        make_histograms(connection, list_histograms(connection, source))
        create_objects(connection, [item for item in objects(connection, source) if item.kind != "sequence"])


def carry(factory: Factory, source: str, staging: str, wanted: Sequence[str], timeout_s: float = 60) -> None:
    """Copy some tables to staging, with rows, counters and triggers, in the place of those that are there.

    :raises LockHeld: others kept tables of the source locked for ``timeout_s``.
    """
    with _copying(factory, timeout_s) as connection:
        connection.select_db(staging)
        kinds, columns = tables(connection, source), list_columns(connection, source)
        drops = [
            f"DROP {'SEQUENCE' if kinds[name] == SEQUENCE else 'TABLE'} IF EXISTS {quote(name)}" for name in wanted
        ]
        execute_all(connection, drops)
        copy_tables(connection, source, {name: kinds[name] for name in wanted}, columns)
        make_histograms(connection, (item for item in list_histograms(connection, source) if item.table in wanted))
        triggers = [item for item in objects(connection, source) if item.kind == "trigger" and item.table in wanted]
        create_objects(connection, triggers)


def create_like(connection: Connection, database: str, like: str) -> None:
    """Create a database anew, with the character set and collation of another."""
    creating = f"CREATE DATABASE {quote(database)} {charset_of(connection, like)}"
    execute_all(connection, [f"DROP DATABASE IF EXISTS {quote(database)}", creating])


def charset_of(connection: Connection, database: str) -> str:
    """Character set and collation of a database, as SQL text."""
    sql = (
        "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata "
        "WHERE schema_name = %s"
    )
    [(charset, collation)] = execute(connection, sql, database)
    return f"CHARACTER SET {charset} COLLATE {collation}"


@contextlib.contextmanager
def _copying(factory: Factory, timeout_s: float) -> Iterator[Connection]:
    whole = max(1, math.ceil(timeout_s))
    session = [
        f"sql_mode = '{EXACT}'",
        "foreign_key_checks = 0",
        f"lock_wait_timeout = {whole}",
        f"innodb_lock_wait_timeout = {whole}",
    ]
    with factory(to_database=False, session=session, several=True, read_timeout=86400) as connection:
        checks = ["SET SESSION check_constraint_checks = 0"] if is_mariadb(connection) else []
        # So that INSERT ... SELECT locks no row of the source (MySQL 8.4 manual, 17.7.3).
        execute_all(connection, [*checks, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"])
        yield connection


def list_columns(connection: Connection, database: str) -> dict[str, list[tuple[str, str]]]:
    """Name and type of each table's columns that a value can be given for: generated ones are left out."""
    sql = (
        "SELECT table_name, column_name, lower(data_type) FROM information_schema.columns WHERE table_schema = %s "
        "AND coalesce(generation_expression, '') = '' ORDER BY table_name, ordinal_position"
    )
    columns: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for table, name, kind in execute(connection, sql, database):
        columns[table].append((name, kind))
    return columns


def refuse_history(table: str, kind: str) -> None:
    """A table that keeps its former rows cannot be copied with them.

    :raises DoesNotFit: it is one.
    """
    if kind == VERSIONED:
        raise DoesNotFit(
            f"The table {table} keeps its former rows (WITH SYSTEM VERSIONING), and a copy would lose them.",
            hint=f"Keep them elsewhere, then: ALTER TABLE {quote(table)} DROP SYSTEM VERSIONING",
        )


def copy_tables(
    connection: Connection, source: str, kinds: Mapping[str, str], columns: Mapping[str, Sequence[tuple[str, str]]]
) -> None:
    """Create tables of another database in the default one, with their rows.

    :param kinds: as :func:`.objects.tables` has them.
    :param columns: of each table names and types of those that a value can be given for.
    """
    for table, kind in kinds.items():
        refuse_history(table, kind)
    statements = definitions_of(connection, source, kinds)
    # A default may name a sequence, which has to be there.
    ordered = sorted(kinds, key=lambda name: kinds[name] != SEQUENCE)
    execute_all(connection, [_with_own_sequences(statements[name], source) for name in ordered])
    filled = [name for name, kind in kinds.items() if kind != SEQUENCE]
    for name in kinds.keys() - filled:
        _set_position(connection, name, position(connection, source, name))
    _fill(connection, [_filling(source, name, columns.get(name, ())) for name in filled])


def _with_own_sequences(sql: str, source: str) -> str:
    """A definition as it is to be in the copy of a database that lies beside a target.

    Its defaults name sequences of the target, which may have others by now, or of itself, and it may be dropped.
    """
    target = target_of(source)
    return strip_database(strip_database(sql, target), source) if target else sql


def _filling(source: str, table: str, columns: Sequence[tuple[str, str]]) -> str:
    names = ", ".join(quote(name) for name, _ in columns)
    return f"INSERT INTO {quote(table)} ({names}) SELECT {names} FROM {quote(source)}.{quote(table)}"


def _fill(connection: Connection, statements: Sequence[str]) -> None:
    """Copy rows; behind the first statement, which says whether the server does it so, in one text."""
    if not statements:
        return
    try:
        execute(connection, statements[0])
    except pymysql.Error as error:
        # With binlog_format STATEMENT; then rows of the source are locked while they are read.
        if number_of(error) != _NO_READ_COMMITTED:
            raise
        execute(connection, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        execute(connection, statements[0])
    execute_all(connection, statements[1:])
