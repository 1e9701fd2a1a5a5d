"""SQLite: reflection to logical types and reading rows as canonical values."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import replace
from typing import Any, TypeVar

import xxhash

from ...errors import DoesNotFit
from ..batches import convert_rows, in_batches, to_bytes
from ..model import (
    Column,
    Counter,
    Definition,
    ForeignKey,
    KeyRange,
    LogicalType,
    OutsideObject,
    SchemaObject,
    Table,
    Values,
    Where,
    mark_version_table,
)
from ..samples import leads_nowhere
from ..sessions import remember
from . import inventory
from . import mark as mark_of
from .counters import read_counters
from .functions import lacking, refuse_lacking
from .mark import VIEW, numbers_of
from .names import quote
from .pages import digest_of_pages
from .types import column_converter, converter, is_utf8, logical_type
from .virtual import has_plain_rows, is_keyed_by_rowid, kind_of

T = TypeVar("T")
_READ, _AT_ONCE = "ferry_read", 100
"""A function of our own, and with how many values it may be called (sqlite.org/limits.html, 6)."""


def user_tables(connection: sqlite3.Connection) -> list[str]:
    """Ordinary tables; SQLite's own, virtual tables and their shadows left out."""
    rows = connection.execute(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' "
        "AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
    )
    return sorted(name for (name,) in rows)


def tables_with_sql(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """The ordinary tables, each with the statement that creates it."""
    names = set(user_tables(connection))
    rows = connection.execute("SELECT name, sql FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall()
    return [(name, sql) for name, sql in rows if name in names]


def carried_virtual(connection: sqlite3.Connection) -> dict[str, str]:
    """Virtual tables with rows that are read and written like those of any table, each with its statement."""
    rows = connection.execute(
        "SELECT m.name, m.sql FROM sqlite_schema m JOIN pragma_table_list l "
        "ON l.schema = 'main' AND l.name = m.name AND l.type = 'virtual' ORDER BY m.name"
    )
    return {name: sql for name, sql in rows.fetchall() if has_plain_rows(sql)}


def reflect_virtual(connection: sqlite3.Connection, name: str, sql: str) -> Table:
    """A virtual table; the rowid of one for texts is a column here, as others refer to it."""
    table = reflect(connection, name)
    if is_keyed_by_rowid(sql):
        key = Column("rowid", LogicalType.INT, nullable=False, loose=True)
        return replace(table, columns=(key, *table.columns), primary_key=("rowid",), virtual=True)
    return replace(table, primary_key=table.column_names[:1], virtual=True)


def reflect(connection: sqlite3.Connection, name: str) -> Table:
    """One table in logical types, in the order of its columns."""
    columns, key = [], []
    info = connection.execute(f"PRAGMA table_xinfo({quote(name)})")
    for _, column, declared, not_null, _, in_key, hidden in info:
        if in_key:
            key.append((in_key, column))
        if hidden == 0:
            kind, length, scale = logical_type(declared)
            columns.append(Column(column, kind, not not_null, length, scale, loose=True))
    return Table(
        name,
        tuple(columns),
        tuple(column for _, column in sorted(key)),
        _unique(connection, name),
        _foreign_keys(connection, name),
    )


def reflect_all(connection: sqlite3.Connection) -> dict[str, Table]:
    """All tables whose rows are carried, by name."""
    ordinary = {name: reflect(connection, name) for name in user_tables(connection)}
    virtual = carried_virtual(connection)
    return ordinary | {name: reflect_virtual(connection, name, sql) for name, sql in virtual.items()}


def _unique(connection: sqlite3.Connection, table: str) -> tuple[tuple[str, ...], ...]:
    uniques = []
    for _, index, unique, _, partial in connection.execute(f"PRAGMA index_list({quote(table)})").fetchall():
        names = [row[2] for row in connection.execute(f"PRAGMA index_info({quote(index)})")]
        if unique and not partial and None not in names:
            uniques.append(tuple(names))
    return tuple(sorted(uniques))


def _foreign_keys(connection: sqlite3.Connection, table: str) -> tuple[ForeignKey, ...]:
    keys: dict[int, tuple[str, list[str], list[str | None]]] = {}
    for number, _, parent, column, referred, *_ in connection.execute(f"PRAGMA foreign_key_list({quote(table)})"):
        _, columns, theirs = keys.setdefault(number, (parent, [], []))
        columns.append(column)
        theirs.append(referred)
    references = []
    for parent, columns, theirs in keys.values():
        # A foreign key may leave its columns out and mean the parent's primary key.
        referred = tuple(name for name in theirs if name) or _primary_key(connection, parent)
        references.append(ForeignKey(tuple(columns), parent, referred))
    return tuple(sorted(references, key=lambda key: key.columns))


def _primary_key(connection: sqlite3.Connection, table: str) -> tuple[str, ...]:
    rows = connection.execute("SELECT name FROM pragma_table_info(?) WHERE pk > 0 ORDER BY pk", (table,))
    return tuple(name for (name,) in rows)


class Digest:
    """A sum of hashes of rows, in whatever order they come."""

    def __init__(self) -> None:
        self._count = self._total = 0

    def add(self, row: bytes) -> None:
        """Add a row as :func:`to_bytes` has it."""
        self._count += 1
        self._total += xxhash.xxh3_128_intdigest(row)

    def __str__(self) -> str:
        return f"{self._count}:{self._total:x}"


class SqliteReader:
    """A read transaction on one database file."""

    def __init__(self, connection: sqlite3.Connection, version_table: str) -> None:
        self._connection, self._version_table = connection, version_table
        self._sources: dict[str, tuple[str, str]] = {}
        self._digests: dict[tuple[str, ...], str] = {}

    def time_zone(self) -> str | None:
        return None

    def tables(self) -> dict[str, Table]:
        tables = self._remember("tables", lambda: reflect_all(self._connection))
        return mark_version_table(tables, self._version_table, folds=True)

    def _remember(self, what: str, ask: Callable[[], T]) -> T:
        """What follows from the statements of the schema alone, found once for a command and each schema.

        The view of the generation is no part of it: each cut-over makes another.
        """
        rows = self._connection.execute(
            "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name <> ? ORDER BY rowid", (VIEW,)
        )
        return remember(("SQLite", what, *rows.fetchall()), ask)

    def objects(self) -> list[SchemaObject]:
        rows = self._connection.execute(
            "SELECT m.type, m.name, m.tbl_name, m.sql, coalesce(l.type, '') FROM sqlite_schema m "
            "LEFT JOIN pragma_table_list l ON l.schema = 'main' AND l.name = m.name "
            "WHERE m.sql IS NOT NULL AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' AND m.name <> ? ORDER BY m.rowid",
            (VIEW,),
        )
        items = []
        for kind, name, table, sql, detail in rows:
            if kind != "table":
                items.append(SchemaObject(kind, name, table, sql))
            elif detail == "virtual" and not has_plain_rows(sql):
                items.append(SchemaObject(kind_of(sql), name, table, sql))
        return items

    def definitions(self) -> list[Definition]:
        return list(self._remember("definitions", lambda: inventory.list_definitions(self._connection)))

    def mark(self) -> str:
        return mark_of.mark_in(*self._connection.execute(mark_of.QUERY).fetchone())

    def numbers(self) -> dict[str, int]:
        return numbers_of(self._connection)

    def counters(self) -> list[Counter]:
        return read_counters(self._connection)

    def texts(self) -> list[str]:
        return []

    def outside(self) -> dict[str, list[str]]:
        """Nothing: all that a row means is in it."""
        return {}

    def unreadable_outside(self) -> list[str]:
        return []

    def outside_objects(self, excluded: Collection[str] = ()) -> Iterator[OutsideObject]:
        del excluded
        return iter(())

    def count(self, table: str) -> int:
        place, _ = self._source(table)
        return int(self._connection.execute(f"SELECT count(*) FROM {place}").fetchone()[0])

    def counts(self, tables: Iterable[str]) -> dict[str, int]:
        return {table: self.count(table) for table in tables}

    def _source(self, table: str) -> tuple[str, str]:
        """How a table is named to be read, and what sorts the columns of its key.

        An index in an order that nobody has registered must not be looked at, and the key is sorted by bytes then.

        :raises DoesNotFit: there is no other way to read it.
        """
        if table not in self._sources:
            collations = self._connection.execute(
                "SELECT DISTINCT x.coll FROM pragma_index_list(?) AS i, pragma_index_xinfo(i.name) AS x", (table,)
            )
            unknown = [name for (name,) in collations.fetchall() if not self._knows_collation(name)]
            if unknown and not self._has_rowid(table):
                # It lies in such an index itself.
                raise lacking(f"The table {table}", f"the collation {unknown[0]}")
            self._sources[table] = (f"{quote(table)} NOT INDEXED", " COLLATE BINARY") if unknown else (quote(table), "")
        return self._sources[table]

    def _has_rowid(self, table: str) -> bool:
        rows = self._connection.execute("SELECT wr FROM pragma_table_list(?) WHERE schema = 'main'", (table,))
        return not rows.fetchone()[0]

    def _knows_collation(self, name: str) -> bool:
        """Whether it can be sorted by; a list of them has those that a schema only names, too."""
        try:
            self._connection.execute(f"SELECT '' < '' COLLATE {quote(name)}")
        except sqlite3.OperationalError:
            return False
        return True

    def rows(
        self,
        table: Table,
        dangling: ForeignKey | None = None,
        within: KeyRange | Where | None = None,
        *,
        watch: Callable[[bytes], None] | None = None,
    ) -> Iterator[Values]:
        converters = [(i, column_converter(column)) for i, column in enumerate(table.columns)]
        names = ", ".join(map(quote, table.column_names))
        place, collation = self._source(table.name)
        order = ", ".join(quote(name) + collation for name in table.primary_key) or "rowid"
        name = quote(table.name)
        where = ""
        if dangling:
            where = f" WHERE {leads_nowhere(dangling.columns, dangling.referred, 'own', quote(dangling.table), quote)}"
        elif within:
            where = f" WHERE {within.write(quote)}"
        # What is behind the name says by which index it may not be read.
        sql = f"SELECT {names} FROM {name} AS own{place.removeprefix(name)}{where} ORDER BY {order}"
        with self._name_errors(table):
            yield from convert_rows(in_batches(self._connection.execute(sql), watch), converters)

    def rows_to_digest(self, table: Table) -> Iterator[Values]:
        digest = Digest()
        yield from self.rows(table, watch=digest.add)
        self._digests[table.name, *table.column_names] = str(digest)

    @contextlib.contextmanager
    def _name_errors(self, table: Table) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            if "decode" in str(error):
                raise self._undecodable(table) from error
            refuse_lacking(error, f"The table {table.name}")
            raise

    def digest(self, table: Table) -> str:
        """Of the values as they are stored, by kind and bits: nothing is converted, nothing sorted."""
        if known := self._digests.get((table.name, *table.column_names)):
            return known
        names = ", ".join(map(quote, table.column_names))
        place, _ = self._source(table.name)
        digest = Digest()
        with self._name_errors(table):
            for row in self._connection.execute(f"SELECT {names} FROM {place}"):
                digest.add(to_bytes(row))
        return str(digest)

    def count_readable(self, table: str) -> int:
        """By a function that SQLite calls with all values: a text that is none is refused before Python sees it.

        It is one of C code: within one of Python's a signal would be raised, which SQLite tells from nothing else.
        """
        described = self.tables()[table]
        place, _ = self._source(table)
        names = list(map(quote, described.column_names))
        calls = [f"{_READ}({', '.join(names[i : i + _AT_ONCE])})" for i in range(0, len(names), _AT_ONCE)]
        self._connection.create_function(_READ, -1, "1".format)
        with self._name_errors(described):
            try:
                [(count,)] = self._connection.execute(f"SELECT count({' + '.join(calls)}) FROM {place}")
            except sqlite3.OperationalError as error:
                if "user-defined function raised" in str(error):
                    raise self._undecodable(described) from error
                raise
        return int(count)

    def whole(self) -> str | None:
        """A digest of the file's pages, which a copy of it has, too."""
        return digest_of_pages(self._connection)

    def values(self, table: Table, column: str) -> Iterator[Any]:
        convert = converter(next(c for c in table.columns if c.name == column))
        name = quote(column)
        for (value,) in self._connection.execute(f"SELECT {name} FROM {quote(table.name)} WHERE {name} IS NOT NULL"):
            yield convert(value)

    def _undecodable(self, table: Table) -> DoesNotFit:
        """Name the first text that is not UTF-8: a second, slower look, at one column after the other."""
        key = ", ".join(map(quote, table.primary_key)) or "rowid"
        self._connection.text_factory = bytes
        try:
            for column in table.columns:
                name = quote(column.name)
                texts = f"SELECT {name}, {key} FROM {quote(table.name)} WHERE typeof({name}) = 'text' ORDER BY {key}"
                for value, *parts in self._connection.execute(texts):
                    if not is_utf8(value):
                        key_values = [v.decode(errors="replace") if isinstance(v, bytes) else v for v in parts]
                        return DoesNotFit(
                            f"{table.name}.{column.name} holds text that is not UTF-8 (key {key_values}).",
                            hint="Repair this value in the source and run again.",
                        )
        finally:
            self._connection.text_factory = str
        return DoesNotFit(f"{table.name} holds text that is not UTF-8.")
