"""A database file of a test, written by SQLite itself and read by the room."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from app.dialects.model import Table, Values
from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.names import url_of

DIALECT = SqliteDialect()


NO_OLD = url_of(Path("unused.db"))
"""A swap of files does not move the old one: it was copied before."""


@contextlib.contextmanager
def connect(path: Path, timeout_s: float = 5) -> Iterator[sqlite3.Connection]:
    """A connection that commits each statement."""
    connection = sqlite3.connect(path, isolation_level=None, timeout=timeout_s)
    try:
        yield connection
    finally:
        connection.close()


def script(path: Path, *statements: str) -> Path:
    with connect(path) as connection:
        for statement in statements:
            connection.execute(statement)
    return path


def rows(path: Path, table: str) -> list[Values]:
    with DIALECT.reader(url_of(path)) as reader:
        return list(reader.rows(reader.tables()[table]))


def reflected(path: Path, name: str) -> Table:
    with DIALECT.reader(url_of(path)) as reader:
        return reader.tables()[name]


COLUMNS = {
    "i": "INTEGER",
    "b": "BOOLEAN",
    "f": "FLOAT",
    "d": "NUMERIC(10, 2)",
    "t": "VARCHAR(5)",
    "r": "BLOB",
    "a": "DATE",
    "m": "TIME",
    "j": "JSON",
    "y": "",
}


TABLE = f"CREATE TABLE t ({', '.join(f'{name} {kind}' for name, kind in COLUMNS.items())})"
