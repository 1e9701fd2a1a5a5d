"""SQLite: canonical rows inserted, those that it refuses named."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import islice
from typing import Any

from ...errors import LoadError
from ..model import LoadResult, Refusal, Table, Values
from ..values import untag
from .equal import name_equal_rows
from .functions import refuse_lacking
from .names import quote
from .write import Unfit, writer

_PRAGMAS = (
    "foreign_keys = OFF",
    "synchronous = OFF",
    "journal_mode = MEMORY",
    "temp_store = MEMORY",
    "cache_size = -8000",
)
"""Of a session that loads. The cache has room for pages of indexes, which are written in no order: 2 MB have not."""
MOST_ROWS = 100
"""For one call of the driver, which costs little here: more rows are more than a processor has at hand."""


def load(connection: sqlite3.Connection, table: Table, rows: Iterable[Values], batch_rows: int) -> LoadResult:
    """Insert canonical rows in one transaction.

    :param rows: in the order of the table's columns; read once, never held whole.
    :param batch_rows: rows per call of the driver, 1 or more.
    :return: the number of rows that are in, and those that were refused, numbered from 1.
    :raises LoadError: something else than a row was refused.
    """
    for pragma in _PRAGMAS:
        connection.execute(f"PRAGMA {pragma}")
    names = ", ".join(map(quote, table.column_names))
    sql = f"INSERT INTO {quote(table.name)} ({names}) VALUES ({', '.join('?' * len(table.columns))})"
    loaded, refused, number = 0, [], 0
    connection.execute("BEGIN")
    binder = Binder(connection, table)
    source = iter(rows)
    while batch := list(islice(source, min(batch_rows, MOST_ROWS))):
        failed = binder.insert(sql, batch)
        refused += [Refusal(number + index + 1, batch[index], words) for index, words in failed]
        loaded += len(batch) - len(failed)
        number += len(batch)
    refused = name_equal_rows(connection, table, refused)
    connection.execute("COMMIT")
    return LoadResult(loaded, refused)


class _Probe:
    """Columns of the same types in a table of this connection's own, to see what SQLite makes of a tagged value."""

    def __init__(self, connection: sqlite3.Connection, table: Table) -> None:
        self._connection = connection
        info = connection.execute("SELECT name, type FROM pragma_table_xinfo(?)", (table.name,)).fetchall()
        declared = dict(info)
        types = [quote(declared[name]) if declared.get(name) else "" for name in table.column_names]
        columns = ", ".join(f"c{index} {kind}" for index, kind in enumerate(types))
        rows = connection.execute("SELECT strict FROM pragma_table_list(?) WHERE schema = 'main'", (table.name,))
        (strict,) = rows.fetchone()
        connection.execute(f"CREATE TEMP TABLE ferry_probe ({columns}){' STRICT' if strict else ''}")

    def check(self, index: int, value: Any) -> None:
        """:raises Unfit: SQLite would hold something else."""
        self._connection.execute(f"INSERT INTO temp.ferry_probe (c{index}) VALUES (?)", (value,))
        (content,) = self._connection.execute(f"SELECT c{index} FROM temp.ferry_probe").fetchone()
        self._connection.execute("DELETE FROM temp.ferry_probe")
        if repr(content) != repr(value):
            raise Unfit(f"SQLite would hold a {_NAMES[type(value)]} as {_NAMES[type(content)]}, or another one")


_NAMES: dict[type, str] = {int: "integer", float: "real", str: "text", bytes: "blob", type(None): "NULL"}


class Binder:
    """Canonical rows of a table as what the driver binds; those refused that SQLite would change."""

    def __init__(self, connection: sqlite3.Connection, table: Table) -> None:
        self._connection, self._table = connection, table
        self._writers = [writer(column) for column in table.columns]
        self._probe: _Probe | None = None

    def bind(self, row: Values) -> list[Any]:
        """:raises Unfit: a value that its column would not hold as it is, with the column's name."""
        parameters = list(row)
        for index, value in enumerate(row):
            if value is None:
                continue
            try:
                if type(value) is dict:
                    parameters[index] = self._untag(index, value)
                elif (write := self._writers[index]) is not None:
                    parameters[index] = write(value)
            except _REFUSED_VALUE as error:
                raise Unfit(f"column {self._table.columns[index].name}: {error}") from error
        return parameters

    def _untag(self, index: int, tagged: dict[str, str]) -> Any:
        if "$large" in tagged:
            raise Unfit("the value names a large object of PostgreSQL's, whose content cannot be kept here")
        value = untag(tagged)
        self._probe = self._probe or _Probe(self._connection, self._table)
        self._probe.check(index, value)
        return value

    def insert(self, sql: str, rows: list[Values]) -> list[tuple[int, str]]:
        """Insert rows; (index, words) of those that are refused."""
        fit, refused = [], []
        for index, row in enumerate(rows):
            try:
                fit.append((index, self.bind(row)))
            except Unfit as error:
                refused.append((index, str(error)))
        failed = insert_batch(self._connection, sql, [parameters for _, parameters in fit])
        return sorted(refused + [(fit[place][0], words) for place, words in failed])


_REFUSED_VALUE = (sqlite3.IntegrityError, OverflowError, UnicodeEncodeError, Unfit)
"""A constraint; an integer beyond 64 bits; half of a surrogate pair; what SQLite would change."""


def insert_batch(connection: sqlite3.Connection, sql: str, rows: list[list[Any]]) -> list[tuple[int, str]]:
    """Insert rows; when the server refuses one, insert them one by one and return (index, words) of those."""
    connection.execute("SAVEPOINT batch")
    try:
        connection.executemany(sql, rows)
    except _REFUSED_VALUE:
        connection.execute("ROLLBACK TO batch")
        refused = []
        for index, row in enumerate(rows):
            try:
                connection.execute(sql, row)
            except _REFUSED_VALUE as error:
                refused.append((index, str(error)))
        return refused
    except sqlite3.Error as error:
        refuse_lacking(error, f"What is loaded ({sql.partition(' (')[0]})")
        raise LoadError(f"The database refused rows: {error} ({sql})") from error
    finally:
        connection.execute("RELEASE batch")
    return []
