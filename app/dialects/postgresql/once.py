"""PostgreSQL: parts that are loaded once; see :mod:`..once`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import psycopg
from sqlalchemy import URL

from ...errors import FerryError, LoadError
from .. import once
from ..model import Table
from ..once import TABLE, begin_part, claim_words
from .connect import SETTINGS, Connection, connect_to, is_lost, is_out_of_space, words_of
from .names import own_place, quote
from .swap import end_backends

_IS_PARTITIONED = """
SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relname = %s AND c.relkind = 'p'
"""
_OWN_TYPES = """
SELECT a.attname::text, t.typname::text FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace AND n.oid = t.typnamespace
WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped
"""


def settings_with(part: str) -> Mapping[str, str]:
    """Those of a session that loads a part: it may be cut off, and another one waits for it."""
    if not part:
        return SETTINGS
    return {
        **SETTINGS,
        "lock_timeout": f"{once.MOST_WAITED_S}s",
        "idle_in_transaction_session_timeout": f"{once.PATIENT_S}s",
        # In the middle of a COPY it is not idle; a machine that is gone is missed all the same.
        "tcp_keepalives_idle": str(once.PATIENT_S // 2),
        "tcp_keepalives_interval": "10",
        "tcp_keepalives_count": "3",
    }


def claim(connection: Connection, schema: str, part: str) -> None:
    """Take a part's name in the transaction that loads it; whoever has it in another one is waited for.

    :raises PartLoaded: it is in.
    """
    if part:
        query = f"INSERT INTO {quote(schema)}.{TABLE} VALUES ({claim_words(part)}) ON CONFLICT DO NOTHING"
        begin_part(part, connection.execute(query.encode()).rowcount)


def insist(connection: Connection, schema: str, drop: Callable[[], object]) -> None:
    """Drop what those who load parts of a schema may be at; where they do not end they are ended.

    :param drop: in a transaction of its own.
    """
    try:
        drop()
    except psycopg.errors.LockNotAvailable:
        which, table = "relation = to_regclass(%s)", f"{quote(schema)}.{TABLE}"
        if connection.execute(f"SELECT 1 FROM pg_locks WHERE {which} LIMIT 1".encode(), (table,)).fetchone() is None:
            raise
        end_backends(connection, f"pid IN (SELECT pid FROM pg_locks WHERE granted AND {which})", table)
        drop()


class Sharing:
    """A room in which several load, and one goes on with what another has loaded."""

    _tls_ca: Path | None

    def bring(self, source: URL, staging: URL, table: Table) -> int:
        origin, place = own_place(source), own_place(staging)
        if origin is None or place is None:
            raise FerryError("Rows are brought from one staging into another alone.")
        names = ", ".join(map(quote, table.column_names))
        into = f"INSERT INTO {quote(place.schema)}.{quote(table.name)} ({names}) OVERRIDING SYSTEM VALUE"
        with connect_to(staging, self._tls_ca, search_path=[place.schema]) as connection:
            try:
                # A type of the schema's own is another one in the other schema.
                types = dict(connection.execute(_OWN_TYPES, (origin.schema, table.name)).fetchall())
                values = ", ".join(
                    f"{quote(name)}::text::{quote(place.schema)}.{quote(types[name])}" if name in types else quote(name)
                    for name in table.column_names
                )
                of_parts = connection.execute(_IS_PARTITIONED, (origin.schema, table.name)).fetchone()
                only = "" if of_parts else "ONLY "  # rows of who inherits from it are brought with that
                query = f"{into} SELECT {values} FROM {only}{quote(origin.schema)}.{quote(table.name)}"
                return connection.execute(query.encode()).rowcount
            except psycopg.Error as error:
                if is_lost(error) or is_out_of_space(error):
                    raise
                raise LoadError(f"Rows of {table.name} do not go in: {words_of(error)}") from error

    @contextlib.contextmanager
    def sharing(self, staging: URL) -> Iterator[None]:
        place = own_place(staging)
        if place is None:
            raise FerryError("Parts are loaded into staging alone.")
        table = f"{quote(place.schema)}.{TABLE}"
        with connect_to(staging, self._tls_ca, any_path=True) as connection:
            connection.execute(f"CREATE TABLE {table} (name text PRIMARY KEY)".encode())
        yield
        with connect_to(staging, self._tls_ca, any_path=True) as connection:

            def end() -> None:
                with connection.transaction():
                    connection.execute(f"SET LOCAL lock_timeout = '{once.MOST_WAITED_S}s'".encode())
                    connection.execute(f"DROP TABLE {table}".encode())

            insist(connection, place.schema, end)
