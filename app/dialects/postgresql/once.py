"""PostgreSQL: parts that are loaded once; see :mod:`..once`."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import URL

from ...errors import FerryError
from ..once import MOST_WAITED_S, TABLE, begin_part, claim_words
from .connect import Connection, connect_to
from .names import own_place, quote


def claim(connection: Connection, schema: str, part: str) -> None:
    """Take a part's name in the transaction that loads it; whoever has it in another one is waited for.

    :raises PartLoaded: it is in.
    """
    if part:
        query = f"INSERT INTO {quote(schema)}.{TABLE} VALUES ({claim_words(part)}) ON CONFLICT DO NOTHING"
        begin_part(part, connection.execute(query.encode()).rowcount)


class Sharing:
    """A room in which several load."""

    _tls_ca: Path | None

    @contextlib.contextmanager
    def sharing(self, staging: URL) -> Iterator[None]:
        place = own_place(staging)
        if place is None:
            raise FerryError("Parts are loaded into staging alone.")
        table = f"{quote(place.schema)}.{TABLE}"
        with connect_to(staging, self._tls_ca, any_path=True) as connection:
            connection.execute(f"CREATE TABLE {table} (name text PRIMARY KEY)".encode())
        yield
        with connect_to(staging, self._tls_ca, any_path=True) as connection, connection.transaction():
            connection.execute(f"SET LOCAL lock_timeout = '{MOST_WAITED_S}s'".encode())
            connection.execute(f"DROP TABLE {table}".encode())
