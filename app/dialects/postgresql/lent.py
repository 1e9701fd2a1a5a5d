"""PostgreSQL: the instant of a transaction, lent to others by its snapshot (manual, 9.28.5)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

from sqlalchemy import URL

from ...errors import DatabaseUnreachable
from ..lent import Instant
from ..model import KeyRange, LogicalType, Table
from ..reader import Reader
from .connect import Connection
from .large import are_there
from .names import Place, quote
from .read import PostgresqlReader, export_snapshot, reading

# Of a table whose rows are read by somebody else: with fewer ranges its own session reads it at once.
LEAST_RANGES = 2
_MAY_EXPORT = "SELECT pg_catalog.has_function_privilege('pg_catalog.pg_export_snapshot()', 'EXECUTE')"
# An identifier of a cluster is copied with its files; the instant at which a server was started is not.
_SERVER = "SELECT pg_catalog.pg_postmaster_start_time()::pg_catalog.text"
_SIZE = "SELECT pg_catalog.pg_table_size(%s::pg_catalog.regclass)"
_ENDS = """
SELECT max(key) FROM (SELECT {key} AS key, ntile(%s) OVER (ORDER BY {key}) AS part FROM {table}) AS own
GROUP BY part ORDER BY part
"""


class Lending:
    """What :class:`..lent.Lends` asks for."""

    _tls_ca: Path | None
    version_table: str

    def _place(self, url: URL) -> Place:
        raise NotImplementedError

    def lend(self, reader: Reader) -> Instant | None:
        """Not where there are large objects: what rows name of them is read by who carries them."""
        connection = _connection_of(reader)
        if are_there(connection) or not _ask(connection, _MAY_EXPORT):
            return None
        return Instant(export_snapshot(connection), str(_ask(connection, _SERVER)))

    def divide(self, reader: Reader, table: Table, size: int) -> list[KeyRange]:
        assert isinstance(reader, PostgresqlReader)  # noqa: S101 # a room's own
        kinds = {column.name: column.type for column in table.columns}
        key = next(iter(table.primary_key), None)
        if key is None or kinds[key] is not LogicalType.INT:
            return []
        place, connection = reader.place(table.name), reader.connection
        parts = int(_ask(connection, _SIZE, place.removeprefix("ONLY "))) // size
        if parts < LEAST_RANGES:
            return []
        rows = connection.execute(_ENDS.format(key=quote(key), table=place).encode(), [parts]).fetchall()
        ends = [int(end) for (end,) in rows]
        if len(set(ends)) < len(ends):
            return []  # of a key of several columns: too many rows have the same first one
        return [KeyRange(key, above, up_to) for above, up_to in pairwise([None, *ends[:-1], None])]

    @contextmanager
    def reader_at(self, url: URL, instant: Instant) -> Iterator[PostgresqlReader]:
        with reading(url, self._tls_ca, self._place(url).schema, self.version_table, at=instant.name) as reader:
            if _ask(reader.connection, _SERVER) != instant.server:
                raise DatabaseUnreachable("The source's URL leads to another server from here.")
            yield reader


def _connection_of(reader: Reader) -> Connection:
    assert isinstance(reader, PostgresqlReader)  # noqa: S101 # a room's own
    return reader.connection


def _ask(connection: Connection, sql: str, *values: Any) -> Any:
    row = connection.execute(sql.encode(), values or None).fetchone()
    return row[0] if row else None
