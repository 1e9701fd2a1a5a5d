"""PostgreSQL: the staging schemas and generations of a target, each with the large objects that were made for it."""

from __future__ import annotations

from sqlalchemy import URL

from ..model import Beside
from . import server
from .connect import Connection
from .large_records import Records
from .names import GENERATION, Place, parse, with_schema


def list_beside(connection: Connection, url: URL, target: str) -> list[Beside]:
    """All staging schemas and generations of a target."""
    schemas = [name for (name,) in connection.execute("SELECT nspname::text FROM pg_namespace ORDER BY 1")]
    # A run may have brought large objects before it made its schema.
    schemas += [name for name in Records(connection, target).stagings() if name not in schemas]
    there = []
    for schema in schemas:
        parts = parse(schema)
        if parts and parts[0] == target and parts[1]:
            there.append(Beside(parts[2], with_schema(url, schema), parts[1] == GENERATION))
    return there


def drop(connection: Connection, place: Place) -> None:
    """Drop a staging schema or generation, if it is there, and then the large objects that were made for it.

    :raises FerryError: it is neither, or something outside depends on it.
    """
    server.drop(connection, place.schema)
    Records(connection, place.target).discard(place.schema)
