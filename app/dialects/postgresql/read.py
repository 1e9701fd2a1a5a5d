"""PostgreSQL: reflection to logical types and reading rows as canonical values, all at one instant."""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from functools import cached_property
from itertools import count
from pathlib import Path
from typing import Any

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import URL

from ...errors import DoesNotFit, FerryError
from ..at_once import count_all, look_over
from ..batches import by_value, convert_rows
from ..dumping import Dump
from ..model import (
    Counter,
    Definition,
    ForeignKey,
    KeyRange,
    OutsideObject,
    Overview,
    SchemaObject,
    Table,
    Values,
    Where,
    mark_version_table,
)
from ..reader import Reader
from ..samples import leads_nowhere
from . import inventory, locks, objects
from .catalogue import SIZE, Catalogue, ask_for_catalogue, sort_catalogue
from .connect import Connection, connect_to, words_of
from .counters import read_counters
from .driver import BEGIN, Question
from .extensions import look_in
from .large import References, are_there, find_references, find_unreadable, read_objects
from .locks import describe_lock
from .mark import COMMENT, mark_in
from .names import literal, quote
from .types import Declared, converter

FIRST_ROWS, MOST_ROWS = 4, 2000
BATCH_BYTES = 4 << 20
"""What a batch of rows should not exceed, by the look of the rows before."""
_HASHES_RECORDS = 14_00_00
"""The first version that has ``hash_record_extended()``: SQL has no other function that hashes bytes so, and to make
texts of them takes three times as long."""


@contextlib.contextmanager
def reading(
    url: URL, tls_ca: Path | None, schema: str, version_table: str, *, at: str = ""
) -> Iterator[PostgresqlReader]:
    """A consistent read of a schema.

    :param at: the name of an instant that :func:`export_snapshot` gave; by default it is this one.
    :raises FerryError: there is no such schema.
    :raises LockHeld: others, named, kept a table locked.
    """
    with connect_to(url, tls_ca, any_path=True) as connection:
        try:
            [rows] = begin(connection, schema, ask_for_catalogue(schema), at=at)
            yield PostgresqlReader(connection, schema, version_table, sort_catalogue(rows))
        except psycopg.errors.LockNotAvailable as error:
            raise describe_lock(lambda: connect_to(url, tls_ca), schema) from error


class NoSuchSchema(FerryError):
    """A database has no schema of that name."""


def begin(connection: Connection, schema: str, *questions: Question, at: str = "") -> list[list[tuple[Any, ...]]]:
    """Begin a transaction that sees one instant of a schema, works in that and writes nothing.

    :param at: see :func:`reading`.
    :return: the rows of each question, asked in it.
    :raises FerryError: there is no such schema.
    """
    is_there = "SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (schema,)
    path = look_in(schema, with_tables=True)
    instant: list[Question] = [(f"SET TRANSACTION SNAPSHOT {literal(at)}", ())] if at else []
    rows, _, *answers = connection.ask_at_once(BEGIN, *instant, is_there, path, *questions)[1 + len(instant) :]
    if not rows:
        raise NoSuchSchema(f"There is no schema {schema} in the database {connection.info.dbname}.")
    return answers


def export_snapshot(connection: Connection) -> str:
    """The name under which another session sees what the transaction of this one sees, as long as that is open."""
    row: Any = connection.execute("SELECT pg_export_snapshot()").fetchone()
    return str(row[0])


def read_fingerprint(connection: Connection, schema: str) -> str:
    """A digest of a schema's definitions, in a transaction that is begun here; empty where there is no such schema."""
    try:
        answers = begin(connection, schema, *objects.ask_for_definitions(schema))
    except NoSuchSchema:
        return ""
    return objects.digest_of(objects.sort_definitions(answers, schema))


class PostgresqlReader:
    """A read-only transaction, which sees one schema at one instant."""

    def __init__(self, connection: Connection, schema: str, version_table: str, catalogue: Catalogue) -> None:
        self._connection, self._catalogue = connection, catalogue
        self._version_table = version_table
        self._schema = schema
        self._cursors = count(1)
        self._read_to_end: list[str] = []

    @property
    def connection(self) -> Connection:
        """For who asks more of the same instant."""
        return self._connection

    @cached_property
    def _get_known(self) -> dict[str, tuple[bool, dict[str, Declared]]]:
        """By a table's name: whether it is partitioned, and its columns by name."""
        columns: dict[int, dict[str, Declared]] = defaultdict(dict)
        for table, name, *rest in self._catalogue.columns:
            columns[table][name] = Declared(name, *rest)
        return {name: (kind == "p", columns[oid]) for oid, name, kind in self._catalogue.tables}

    def token(self) -> bytes | None:
        """What :func:`.locks.token` says at this instant; asked before anything else is read.

        None where there are large objects: what is written into one is no write to a table.
        """
        token = locks.token(self._connection, self._schema)
        return None if are_there(self._connection) else token

    def time_zone(self) -> str | None:
        return None

    def tables(self) -> dict[str, Table]:
        """A partitioned table is one table; one that inherits from another is a table beside it, with its own rows."""
        return dict(self._tables)

    @cached_property
    def _tables(self) -> dict[str, Table]:
        keys, unique = _sort_keys(self._catalogue.keys)
        foreign: dict[int, list[ForeignKey]] = defaultdict(list)
        for table, parent, ours, theirs in self._catalogue.foreign_keys:
            foreign[table].append(ForeignKey(tuple(ours), parent, tuple(theirs)))
        tables = {
            name: self._table(name, keys.get(oid, ()), unique[oid], sorted(foreign[oid], key=lambda key: key.columns))
            for oid, name, _ in self._catalogue.tables
        }
        return mark_version_table(tables, self._version_table, folds=False)

    def _table(
        self, name: str, key: tuple[str, ...], unique: list[tuple[str, ...]], foreign: list[ForeignKey]
    ) -> Table:
        columns = self._get_known[name][1]
        # A generated column may be part of a key, but does not travel.
        own_key = key if set(key) <= set(columns) else ()
        return Table(
            name,
            tuple(column.column() for column in columns.values()),
            own_key,
            tuple(sorted(names for names in unique if set(names) <= set(columns))),
            tuple(foreign),
        )

    def objects(self) -> list[SchemaObject]:
        return objects.objects(self._connection, self._schema)

    def definitions(self) -> list[Definition]:
        return inventory.list_definitions(self._connection, self._schema)

    def numbers(self) -> dict[str, int]:
        return {}

    def counters(self) -> list[Counter]:
        return read_counters(self._connection, self._schema)

    def texts(self) -> list[str]:
        return []

    def look_over(self) -> Overview:
        """What there is; the transaction is over then."""
        more = {"mark": COMMENT.format(literal(self._schema)), "size": SIZE.format(literal(self._schema))}
        join = 'string_agg("{0}"::text, chr(10) ORDER BY "{0}")'
        rows, revisions, answers = look_over(
            self.tables(), self._from, join, more, self._connection.ask_row, self._ask_and_end
        )
        return Overview(rows, revisions, mark_in(answers["mark"]), int(answers["size"]))

    def _ask_and_end(self, sql: str) -> tuple[Any, ...]:
        return self._connection.ask_at_once((sql, ()), ("ROLLBACK", ()))[0][0]

    def outside(self) -> dict[str, list[str]]:
        return find_references(self._connection, self._schema)

    def unreadable_outside(self) -> list[str]:
        return find_unreadable(self._connection)

    def outside_objects(self, excluded: Collection[str] = ()) -> Iterator[OutsideObject]:
        return read_objects(self._connection, self._schema, excluded)

    def count(self, table: str) -> int:
        rows = self._connection.execute(f"SELECT count(*) FROM {self._from(table)}".encode()).fetchone()
        return int(rows[0]) if rows else 0

    def counts(self, tables: Iterable[str]) -> dict[str, int]:
        return count_all(tables, self._from, self._connection.ask_row)

    def _from(self, table: str) -> str:
        if table not in self._get_known:
            raise FerryError(f"There is no table {table} in the schema {self._schema}.")
        only = "" if self._get_known[table][0] else "ONLY "
        return f"{only}{quote(self._schema)}.{quote(table)}"

    def close_cursors(self) -> None:
        """For who alters a table in the transaction; nothing must be being read."""
        self._connection.execute("CLOSE ALL")
        self._read_to_end.clear()

    def place(self, table: str) -> str:
        """The table as a statement names it."""
        return self._from(table)

    def list_declared(self, table: str) -> list[Declared]:
        """The columns of a table as the catalogs know them."""
        return list(self._get_known[table][1].values())

    def rows(
        self, table: Table, dangling: ForeignKey | None = None, within: KeyRange | Where | None = None
    ) -> Iterator[Values]:
        source, columns = self._from(table.name), self._columns(table)
        order = ", ".join(self._get_known[table.name][1][name].order("own") for name in table.primary_key)
        sql = f"SELECT {', '.join(column.read() for column in columns)} FROM {source} AS own"
        if dangling:
            names = dangling.columns, dangling.referred, "own", self._from(dangling.table)
            sql += f" WHERE {leads_nowhere(*names, quote)}"
        elif within:
            sql += f" WHERE {within.write(quote)}"
        converters = [(i, by_value(convert)) for i, column in enumerate(columns) if (convert := converter(column))]
        yield from convert_rows(self._batches(f"{sql} ORDER BY {order}" if order else sql, columns), converters)

    @cached_property
    def _references(self) -> References | None:
        return References(self._connection) if are_there(self._connection) else None

    def _columns(self, table: Table) -> list[Declared]:
        known = self._get_known[table.name][1]
        if missing := [name for name in table.column_names if name not in known]:
            raise DoesNotFit(f"{table.name} has no column {', '.join(missing)}.")
        return [known[name] for name in table.column_names]

    def rows_to_digest(self, table: Table) -> Iterator[Values]:
        return self.rows(table)

    def digest(self, table: Table) -> str | None:
        """By the server: two sums of its own 64-bit hashes of each row in binary form.

        Equal bytes of other types may be other values, so the types are part of it. None for rows that may name large
        objects: they have the number, and not the content.
        """
        columns = self._columns(table)
        if self._references and any(column.base == "oid" for column in columns):
            return None
        types = [(column.base, column.modifier) for column in columns]
        query = _digest_query(columns, self._from(table.name), self._connection.info.server_version)
        try:
            with self._going_on():
                _, [sums], _ = self._connection.ask_at_once(("SAVEPOINT sums", ()), (query, ()), ("RELEASE sums", ()))
                return repr((types, sums))
        except (psycopg.errors.ProgramLimitExceeded, psycopg.errors.OutOfMemory):
            return None  # a row is longer than the server lets a value be
        except psycopg.errors.InternalError_ as error:
            if "invalid memory alloc" not in words_of(error):
                raise
            return None  # so it says of a row with several values that are long

    @contextlib.contextmanager
    def _going_on(self) -> Iterator[None]:
        """After an error behind the savepoint ``sums`` the transaction goes on."""
        try:
            yield
        except psycopg.Error:
            if self._connection.info.transaction_status is TransactionStatus.INERROR:
                self._connection.execute("ROLLBACK TO SAVEPOINT sums")
            raise

    def count_readable(self, table: str) -> int:
        return self.count(table)

    def whole(self) -> str | None:
        return None

    def values(self, table: Table, column: str) -> Iterator[Any]:
        declared, name = self._get_known[table.name][1][column], quote(column)
        convert = converter(declared)
        query = f"SELECT {declared.read()} FROM {self._from(table.name)} WHERE {name} IS NOT NULL"
        for batch in self._batches(query, [declared]):
            for (value,) in batch:
                yield convert(value) if convert else value

    def _batches(self, query: str, columns: list[Declared]) -> Iterator[Sequence[Sequence[Any]]]:
        """The rows of a query in bounded memory, in binary form, with what their large objects are known by.

        A cursor that is not read to its end is left to the end of the transaction: closing it here could happen
        wherever the garbage collector finds it.
        """
        name = quote(f"ferry_{next(self._cursors)}")
        closing = "".join(f"CLOSE {former}; " for former in self._read_to_end)
        self._read_to_end.clear()
        self._connection.execute(f"{closing}DECLARE {name} NO SCROLL CURSOR FOR {query}".encode())
        size = FIRST_ROWS
        places = [index for index, column in enumerate(columns) if column.base == "oid"]
        while batch := self._connection.execute(f"FETCH {size} FROM {name}".encode(), binary=True).fetchall():
            yield list(self._references.tag(batch, places)) if places and self._references else batch
            if len(batch) < size:
                break
            size = _next_size(batch)
        # With the next one that is declared, or with the transaction.
        self._read_to_end.append(name)


def _next_size(batch: Sequence[Sequence[Any]]) -> int:
    """How many rows to ask for next: few where the last ones are large."""
    sample = batch[-16:]
    size = sum(len(value) for row in sample for value in row if isinstance(value, str | bytes))
    return max(1, min(4 * len(batch), MOST_ROWS, BATCH_BYTES * len(sample) // (size + 1)))


def _digest_query(columns: list[Declared], source: str, server_version: int) -> str:
    """Number of rows and two sums of their hashes.

    Of functions of others only a type's own way to text is called, as where rows are read.
    """
    if server_version >= _HASHES_RECORDS:
        row = f"pg_catalog.record_send(ROW({', '.join(column.sent for column in columns)}))"
        hash_of = "pg_catalog.hash_record_extended(ROW(own.row)"
    else:
        row = f"ROW({', '.join(quote(column.name) for column in columns)})::text"
        hash_of = "pg_catalog.hashtextextended(own.row"
    sums = ", ".join(f"sum({hash_of}, {seed}::bigint))" for seed in (0, 1))
    # With OFFSET a row is put together once, and not for each of its hashes.
    return f"SELECT count(*), {sums} FROM (SELECT {row} AS row FROM {source} OFFSET 0) AS own"


class PostgresqlImage:
    """A target at one instant: a transaction whose snapshot ``pg_dump`` shares."""

    def __init__(self, reader: PostgresqlReader, token: bytes, begin_dump: Callable[[Path], Dump]) -> None:
        self.reader: Reader = reader
        self.token, self.begin_dump = token, begin_dump

    def dump(self, to: Path) -> None:
        self.begin_dump(to).beside()


def _sort_keys(keys: list[Any]) -> tuple[dict[int, tuple[str, ...]], dict[int, list[tuple[str, ...]]]]:
    primary: dict[int, tuple[str, ...]] = {}
    unique: dict[int, list[tuple[str, ...]]] = defaultdict(list)
    for table, is_primary, names in keys:
        if is_primary:
            primary[table] = tuple(names)
        else:
            unique[table].append(tuple(names))
    return primary, unique
