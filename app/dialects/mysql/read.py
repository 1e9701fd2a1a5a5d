"""MySQL and MariaDB: reflection to logical types, and one consistent read of rows as canonical values."""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

import pymysql
from pymysql.constants import ER
from pymysql.converters import encoders
from sqlalchemy import URL

from ...errors import FerryError, LockHeld
from ..at_once import count_all, look_over
from ..batches import by_value, convert_rows, in_batches
from ..model import (
    VERSION_TABLE,
    Counter,
    Definition,
    ForeignKey,
    KeyRange,
    LogicalType,
    OutsideObject,
    Overview,
    SchemaObject,
    Table,
    Values,
    Where,
    mark_version_table,
)
from ..samples import leads_nowhere
from ..sessions import remember
from . import copy, inventory
from .catalogue import SIZE, Catalogue, columns_of, read_catalogue, reflect, stored_columns
from .connect import connect_to, explain_errors, number_of, quote
from .counters import read_counters
from .driver import Connection, current_of, is_of, version_of
from .locked import describe_lock
from .mark import LIVE_COMMENT_OF, mark_in
from .session import execute_all, spell
from .shown import ShownTexts, View
from .stream import Stream
from .summed import sum_rows
from .types import Stored, reader_of
from .zone import find_zone

RAW = encoders
"""For ``conv``: what the driver is given is written as ever, and what it reads stays text or bytes."""

FOLDS = "SELECT @@lower_case_table_names"
_CONSTANTS = frozenset(f"SELECT @@{name}" for name in ("server_uid", "server_uuid", "datadir"))
"""What a server says as long as it runs."""


class Asks(Protocol):
    """Runs one statement and gives all its rows, as text."""

    def __call__(self, sql: str, *values: str) -> Sequence[tuple[Any, ...]]: ...


def asking(connection: pymysql.Connection[Any]) -> Asks:
    """Ask over a connection that nothing else is being read from."""

    def send(sql: str, *values: str) -> Sequence[tuple[Any, ...]]:
        with connection.cursor(pymysql.cursors.Cursor) as cursor:
            cursor.execute(sql, values or None)
            return cursor.fetchall()

    def ask(sql: str, *values: str) -> Sequence[tuple[Any, ...]]:
        if sql == FOLDS and isinstance(connection, Connection):
            return ((version_of(connection).folds,),)
        if sql in _CONSTANTS and isinstance(connection, Connection):
            return remember((sql, connection.place), lambda: send(sql))
        return send(sql, *values)

    return ask


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
        self._described: tuple[dict[str, list[Stored]], dict[str, Table]] | None = None
        self._catalogue: Catalogue = {}

    @classmethod
    def within(cls, url: URL, connection: pymysql.Connection[Any], database: str, version_table: str) -> MySqlReader:
        """A reader in whatever transaction a connection is in."""
        reader = cls(url, connection, database, version_table)
        reader._catalogue = read_catalogue(asking(connection), database, is_mariadb=reader._is_mariadb)
        return reader

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

    def begin(self) -> None:
        """Begin the transaction, by one text with the question for all tables, which almost every reader asks."""
        beginning = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY"

        def ask(sql: str, *values: str) -> list[tuple[Any, ...]]:
            return execute_all(self._connection, [beginning, spell(self._connection, sql, *values)])[1]

        self._catalogue = read_catalogue(ask, self.database, is_mariadb=self._is_mariadb)

    def _describe_stored(self) -> dict[str, list[Stored]]:
        return self._describe()[0]

    def _describe(self) -> tuple[dict[str, list[Stored]], dict[str, Table]]:
        if self._described is None:
            stored = stored_columns(self._catalogue)
            self._described = stored, reflect(self._catalogue, stored)
        return self._described

    def tables(self) -> dict[str, Table]:
        tables, name = dict(self._describe()[1]), self._version_table
        folds = name not in tables and int(self._ask(FOLDS)[0][0]) != 0
        return mark_version_table(tables, name, folds=folds)

    def time_zone(self) -> str | None:
        instants = (item.type == "timestamp" for columns in self._describe_stored().values() for item in columns)
        return find_zone(self._ask, str(self._url.query.get("init_command", ""))) if any(instants) else None

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

    def look_over(self) -> Overview:
        """What there is; the transaction is over then."""
        more = {"mark": LIVE_COMMENT_OF.format(self._connection.escape(self._version_table)), "size": SIZE}
        join = "GROUP_CONCAT(`{}` SEPARATOR '\n')"
        rows, revisions, answers = look_over(
            self.tables(), quote, join, more, lambda sql: self._ask(sql)[0], self._ask_and_end
        )
        return Overview(rows, revisions, mark_in(answers["mark"]), int(answers["size"]))

    def _ask_and_end(self, sql: str) -> tuple[Any, ...]:
        return execute_all(self.session, [sql, "ROLLBACK"])[0][0]

    def unreadable_outside(self) -> list[str]:
        return []

    def outside_objects(self, excluded: Collection[str] = ()) -> Iterator[OutsideObject]:
        del excluded
        return iter(())

    def count(self, table: str) -> int:
        with self._name_errors(table):
            [(count,)] = self._ask(f"SELECT count(*) FROM {quote(table)}")
        return int(count)

    def counts(self, tables: Iterable[str]) -> dict[str, int]:
        return count_all(tables, quote, lambda sql: self._ask(sql)[0])

    def rows(
        self, table: Table, dangling: ForeignKey | None = None, within: KeyRange | Where | None = None
    ) -> Iterator[Values]:
        columns = columns_of(self._describe_stored(), table)
        order = ", ".join(map(quote, table.primary_key))
        expressions = self._ask_for_sent(columns)
        selected = [item.selected for item in columns] + [sql for _, sql in expressions if sql]
        sql = f"SELECT {', '.join(selected) or '1'} FROM {quote(table.name)} AS own"
        if dangling:
            names = dangling.columns, dangling.referred, "own", quote(dangling.table)
            sql += f" WHERE {leads_nowhere(*names, quote)}"
        elif within:
            sql += f" WHERE {within.write(quote)}"
        readers = enumerate(map(reader_of, columns))
        converters = [(i, by_value(convert)) for i, convert in readers if convert is not None]
        rows = self._stream(table.name, f"{sql} ORDER BY {order}" if order else sql)
        if expressions:
            rows = (self._show(table, raw, expressions) for raw in rows)
        yield from convert_rows(in_batches(rows), converters) if columns else ([] for _ in rows)

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

    def rows_to_digest(self, table: Table) -> Iterator[Values]:
        return self.rows(table)

    def digest(self, table: Table) -> str | None:
        """By the server: a sum of hashes, in two parts of 64 bits."""
        columns = columns_of(self._describe_stored(), table)
        # Of texts as an app sees them the server knows nothing.
        if not columns or self._texts:
            return None
        with self._name_errors(table.name):
            summed = sum_rows(self._ask, quote(table.name), columns)
        types = [item.full_type for item in columns]
        return f"{types}:{summed[0]}:{summed[1]}" if summed else None

    def count_readable(self, table: str) -> int:
        return self.count(table)

    def whole(self) -> str | None:
        return None

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


@contextlib.contextmanager
def reading(
    url: URL, tls_ca: Path | None, version_table: str = VERSION_TABLE, view: View | None = None
) -> Iterator[MySqlReader]:
    """One consistent read of a database; the connection is its own.

    :param version_table: what Alembic's own table is called.
    :param view: how an app's connections show texts, where they are to be read so.
    """
    with connect_to(url, tls_ca, shared=True, several=True, conv=RAW) as connection:
        database = current_of(connection)
        reader = MySqlReader(url, connection, database, version_table, tls_ca, ShownTexts(view) if view else None)
        try:
            reader.begin()
            yield reader
        except pymysql.Error as error:
            # What others ran meanwhile, over connections of their own, waited for locks of their own.
            if number_of(error) == ER.LOCK_WAIT_TIMEOUT and is_of(error, connection):
                raise reader.describe_lock() from error
            raise
        finally:
            reader.abandon()
