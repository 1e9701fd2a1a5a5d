"""MySQL and MariaDB: reflection to logical types, and one consistent read of rows as canonical values."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pymysql
from pymysql.constants import ER
from pymysql.converters import encoders
from sqlalchemy import URL

from ...errors import DoesNotFit, FerryError, LockHeld
from ..model import (
    VERSION_TABLE,
    Counter,
    Definition,
    ForeignKey,
    LogicalType,
    OutsideObject,
    SchemaObject,
    Table,
    Values,
    mark_version_table,
)
from . import copy, inventory
from .connect import connect_to, explain_errors, number_of, quote
from .counters import read_counters
from .driver import is_of, version_of
from .locked import describe_lock
from .shown import ShownTexts, View
from .stream import Stream
from .types import BY_NAME, Stored, reader_of
from .zone import find_zone

RAW = encoders
"""For ``conv``: what the driver is given is written as ever, and what it reads stays text or bytes."""

_BASE_TABLES = (
    "SELECT table_name FROM information_schema.tables "
    "WHERE table_schema = %s AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED'){} ORDER BY table_name"
)
_COLUMNS = (
    "SELECT table_name, column_name, lower(data_type), column_type, is_nullable, character_maximum_length, "
    "numeric_scale, coalesce(datetime_precision, 0) FROM information_schema.columns "
    "WHERE table_schema = %s AND coalesce(generation_expression, '') = ''{} ORDER BY table_name, ordinal_position"
)
_JSON_CHECKS = "SELECT table_name, check_clause FROM information_schema.check_constraints WHERE constraint_schema = %s"
# A key on a part of a column, or on an expression, says nothing about the column.
_UNIQUE = (
    "SELECT table_name, index_name, column_name, sub_part FROM information_schema.statistics "
    "WHERE table_schema = %s AND non_unique = 0 ORDER BY table_name, index_name, seq_in_index"
)
_FOREIGN_KEYS = (
    "SELECT table_name, constraint_name, column_name, referenced_table_name, referenced_column_name "
    "FROM information_schema.key_column_usage WHERE table_schema = %s AND referenced_table_schema = table_schema "
    "ORDER BY table_name, constraint_name, ordinal_position"
)


HASHES_AT_ONCE = 200_000
"""That a server makes before it adds them up, some 30 MB of it; of a larger table it keeps none."""


class Asks(Protocol):
    """Runs one statement and gives all its rows, as text."""

    def __call__(self, sql: str, *values: str) -> Sequence[tuple[Any, ...]]: ...


def asking(connection: pymysql.Connection[Any]) -> Asks:
    """Ask over a connection that nothing else is being read from."""

    def ask(sql: str, *values: str) -> Sequence[tuple[Any, ...]]:
        with connection.cursor(pymysql.cursors.Cursor) as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall()

    return ask


def read_stored_columns(
    ask: Asks, database: str, *, is_mariadb: bool, only: str | None = None
) -> dict[str, list[Stored]]:
    """The columns of every base table, generated ones left out, in their order.

    :param only: a table; the server opens no other to tell of it.
    :raises DoesNotFit: a column of a type that no canonical form exists for.
    """
    arguments = (database,) if only is None else (database, only)
    of_table = "" if only is None else " AND table_name = %s"
    tables: dict[str, list[Stored]] = {name: [] for (name,) in ask(_BASE_TABLES.format(of_table), *arguments)}
    checks = set(ask(_JSON_CHECKS + of_table, *arguments)) if is_mariadb else set()
    for table, name, kind, full, nullable, length, scale, digits in ask(_COLUMNS.format(of_table), *arguments):
        if table not in tables:
            continue
        if kind not in BY_NAME:
            raise DoesNotFit(f"{table}.{name} is of the type {kind}, which has no canonical form.")
        is_json = kind == "json" or (table, f"json_valid({quote(name)})") in checks
        sizes = _number(length), _number(scale), int(digits)
        tables[table].append(Stored(name, kind, full, nullable == "YES", *sizes, is_json))
    return tables


def columns_of(stored: dict[str, list[Stored]], table: Table) -> list[Stored]:
    """A table's columns as they are stored, in its own order.

    :raises FerryError: the database has no such table, or not these columns.
    """
    columns = {item.name: item for item in stored.get(table.name, ())}
    if missing := [name for name in table.column_names if name not in columns]:
        raise FerryError(f"The database has no column {', '.join(f'{table.name}.{name}' for name in missing)}.")
    return [columns[name] for name in table.column_names]


def _number(text: Any) -> int | None:
    return None if text is None else int(text)


def reflect(ask: Asks, database: str, stored: dict[str, list[Stored]]) -> dict[str, Table]:
    """All base tables in logical types.

    Keys that a generated column is part of are left out, as the column is, and so are foreign keys to a table of
    another database.
    """
    indexes: dict[tuple[str, str], list[str | None]] = defaultdict(list)
    for table, index, column, part in ask(_UNIQUE, database):
        indexes[table, index].append(column if part is None else None)
    keys: dict[tuple[str, str], list[tuple[str, str, str]]] = defaultdict(list)
    for table, name, *reference in ask(_FOREIGN_KEYS, database):
        keys[table, name].append((reference[0], reference[1], reference[2]))
    tables = {}
    for table, columns in stored.items():
        names = {item.name for item in columns}
        uniques = {
            index: tuple(name for name in parts if name)
            for (of, index), parts in indexes.items()
            if of == table and names.issuperset(parts)
        }
        primary_key = uniques.pop("PRIMARY", ())
        described = tuple(item.column for item in columns)
        tables[table] = Table(
            table, described, primary_key, tuple(sorted(uniques.values())), _foreign_keys(table, keys, names)
        )
    return tables


def _foreign_keys(
    table: str, keys: dict[tuple[str, str], list[tuple[str, str, str]]], names: set[str]
) -> tuple[ForeignKey, ...]:
    references = []
    for (child, _), parts in keys.items():
        if child == table:
            columns, parents, referred = zip(*parts, strict=True)
            if names.issuperset(columns):
                references.append(ForeignKey(columns, parents[0], referred))
    return tuple(sorted(references, key=lambda key: key.columns))


class MySqlReader:
    """A transaction that reads one instant.

    Rows are streamed. A connection gives the rows of one statement at a time; whoever asks for something else
    meanwhile sends the rest of the rows to a file of its values, and they are read from there: memory stays bounded
    and the instant the same.
    """

    def __init__(
        self,
        url: URL,
        connection: pymysql.Connection[Any],
        database: str,
        version_table: str,
        tls_ca: Path | None = None,
        texts: ShownTexts | None = None,
    ) -> None:
        self._url, self._connection, self.database, self._tls_ca = url, connection, database, tls_ca
        self._version_table, self._texts = version_table, texts
        self._open_stream: Stream | None = None
        self._is_mariadb = version_of(connection).is_mariadb
        self._columns: dict[str, list[Stored]] | None = None

    @property
    def session(self) -> pymysql.Connection[Any]:
        """The connection inside the transaction, free to be used until this reader is asked the next time."""
        if self._open_stream is not None:
            if self._open_stream.is_open:
                self._open_stream.park()
            self._open_stream = None
        return self._connection

    def abandon(self) -> None:
        """Before the connection is closed: a stream that is not read to its end would be read to it."""
        if self._open_stream is not None:
            if self._open_stream.is_open:
                self._connection.sessions = None  # type: ignore[attr-defined] # rows are still on their way
            self._open_stream.abandon()

    def _ask(self, sql: str, *values: str) -> Sequence[tuple[Any, ...]]:
        return asking(self.session)(sql, *values)

    def _describe_stored(self) -> dict[str, list[Stored]]:
        if self._columns is None:
            self._columns = read_stored_columns(self._ask, self.database, is_mariadb=self._is_mariadb)
        return self._columns

    def tables(self) -> dict[str, Table]:
        tables, name = reflect(self._ask, self.database, self._describe_stored()), self._version_table
        folds = name not in tables and int(self._ask("SELECT @@lower_case_table_names")[0][0]) != 0
        return mark_version_table(tables, name, folds=folds)

    def time_zone(self) -> str | None:
        instants = (item.type == "timestamp" for columns in self._describe_stored().values() for item in columns)
        return find_zone(self._ask) if any(instants) else None

    def objects(self) -> list[SchemaObject]:
        return copy.objects(self.session, self.database)

    def definitions(self) -> list[Definition]:
        return inventory.list_definitions(self.session, self.database)

    def numbers(self) -> dict[str, int]:
        return {}

    def counters(self) -> list[Counter]:
        return read_counters(self._ask, self.database)

    def outside(self) -> dict[str, list[str]]:
        """Nothing: all that a row means is in it."""
        return {}

    def unreadable_outside(self) -> list[str]:
        return []

    def outside_objects(self, excluded: Collection[str] = ()) -> Iterator[OutsideObject]:
        del excluded
        return iter(())

    def count(self, table: str) -> int:
        with self._name_errors(table):
            [(count,)] = self._ask(f"SELECT count(*) FROM {quote(table)}")
        return int(count)

    def rows(self, table: Table) -> Iterator[Values]:
        columns = columns_of(self._describe_stored(), table)
        order = ", ".join(map(quote, table.primary_key))
        expressions = self._ask_for_sent(columns)
        selected = [item.selected for item in columns] + [sql for _, sql in expressions if sql]
        sql = f"SELECT {', '.join(selected) or '1'} FROM {quote(table.name)}"
        converters = [(i, convert) for i, convert in enumerate(map(reader_of, columns)) if convert is not None]
        for raw in self._stream(table.name, f"{sql} ORDER BY {order}" if order else sql):
            values = self._show(table, raw, expressions) if expressions else raw
            yield _convert(values, converters) if columns else []

    def _ask_for_sent(self, columns: list[Stored]) -> list[tuple[int, str | None]]:
        """The places of texts that the app may see otherwise, with the expression for the bytes that it is sent."""
        if self._texts is None:
            return []
        view = self._texts.view
        return [(i, view.ask_for(item)) for i, item in enumerate(columns) if view.is_of(item)]

    def _show(self, table: Table, raw: tuple[Any, ...], expressions: list[tuple[int, str | None]]) -> tuple[Any, ...]:
        """A row with its texts as the app sees them, without the bytes that it is sent."""
        assert self._texts is not None  # noqa: S101 # asked by the caller
        names = table.column_names
        keys = [i for i, column in enumerate(table.columns) if column.name in table.primary_key]
        if any(table.columns[i].type is not LogicalType.INT for i in keys):
            keys = []
        row, extra = list(raw[: len(names)]), iter(raw[len(names) :])
        for place, sql in expressions:
            text, data = row[place], next(extra) if sql else None
            if type(text) is str and not text.isascii():
                key = [raw[i] for i in keys]
                row[place] = self._texts.show(f"{table.name}.{names[place]}", text, data, key)
        return tuple(row)

    def texts(self) -> list[str]:
        return self._texts.warnings() if self._texts else []

    def digest(self, table: Table) -> str | None:
        """By the server: a sum of MD5, in two halves of 64 bits."""
        columns = columns_of(self._describe_stored(), table)
        # Of texts as an app sees them the server knows nothing.
        if not columns or self._texts:
            return None
        parts = ", ".join(f"IFNULL({item.summed}, '-')" for item in columns)
        halves = ", ".join(f"SUM(CAST(CONV({half}(h, 16), 16, 10) AS UNSIGNED))" for half in ("LEFT", "RIGHT"))
        rows = f"SELECT MD5(CONCAT_WS('|', {parts})) AS h FROM {quote(table.name)}"
        with self._name_errors(table.name):
            # With a limit the server makes the hashes first; else it hashes a row anew for each mention of its hash.
            for limit in (f" LIMIT {HASHES_AT_ONCE + 1}", ""):
                query = f"SELECT COUNT(*), COUNT(h), {halves} FROM ({rows}{limit}) AS own"
                [(count, hashed, *sums)] = self._ask(query)
                if int(count) <= HASHES_AT_ONCE:
                    break
        # A server without MD5 says NULL.
        types = [item.full_type for item in columns]
        return f"{types}:{count}:{sums}" if count == hashed else None

    def values(self, table: Table, column: str) -> Iterator[Any]:
        [stored] = (item for item in columns_of(self._describe_stored(), table) if item.name == column)
        convert = reader_of(stored)
        sql = f"SELECT {stored.selected} FROM {quote(table.name)} WHERE {quote(column)} IS NOT NULL"
        for (value,) in self._stream(table.name, sql):
            yield value if convert is None else convert(value)

    def _stream(self, table: str, sql: str) -> Iterator[tuple[Any, ...]]:
        with self._name_errors(table):
            self._open_stream = stream = self.session.cursor(Stream)
            try:
                stream.execute(sql)
                yield from stream.rows()
            finally:
                stream.end()

    def describe_lock(self, table: str = "") -> LockHeld:
        """The error for a table that others keep locked; without its name, that is looked for, too."""
        return describe_lock(lambda: connect_to(self._url, self._tls_ca), self.database, table)

    @contextlib.contextmanager
    def _name_errors(self, table: str) -> Iterator[None]:
        """Errors of this reader name its own server, whoever reads rows and wherever they go.

        :raises FerryError: DDL of somebody else came between the instant and the first look at the table.
        :raises LockHeld: others, named, kept the table locked.
        """
        with explain_errors(self._url):
            try:
                yield
            except pymysql.Error as error:
                if number_of(error) == ER.LOCK_WAIT_TIMEOUT:
                    raise self.describe_lock(table) from error
                if number_of(error) not in (ER.TABLE_DEF_CHANGED, ER.NO_SUCH_TABLE):
                    raise
                raise FerryError(
                    f"The table {table} was altered, moved or dropped while the database was read.",
                    hint="Run the command again when nobody changes the schema.",
                ) from error


def _convert(raw: tuple[Any, ...], converters: list[tuple[int, Callable[[Any], Any]]]) -> Values:
    row = list(raw)
    for index, convert in converters:
        value = row[index]
        if value is not None:
            row[index] = convert(value)
    return row


@contextlib.contextmanager
def reading(
    url: URL, tls_ca: Path | None, version_table: str = VERSION_TABLE, view: View | None = None
) -> Iterator[MySqlReader]:
    """One consistent read of a database; the connection is its own.

    :param version_table: what Alembic's own table is called.
    :param view: how an app's connections show texts, where they are to be read so.
    """
    with connect_to(url, tls_ca, shared=True, conv=RAW) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
            cursor.execute("SELECT DATABASE()")
            [database] = cursor.fetchone() or [""]
        reader = MySqlReader(url, connection, database, version_table, tls_ca, ShownTexts(view) if view else None)
        try:
            yield reader
        except pymysql.Error as error:
            # What others ran meanwhile, over connections of their own, waited for locks of their own.
            if number_of(error) == ER.LOCK_WAIT_TIMEOUT and is_of(error, connection):
                raise reader.describe_lock() from error
            raise
        finally:
            reader.abandon()
