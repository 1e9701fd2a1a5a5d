"""PostgreSQL: the staging schemas and generations of a target, each with the large objects that were made for it."""

from __future__ import annotations

import contextlib

import psycopg
from sqlalchemy import URL

from ..model import Beside
from . import server
from .connect import Connection
from .large_records import Records
from .mark import made_in
from .names import GENERATION, STAGING, Place, parse, quote, with_schema

DROP_WAIT = "10s"
"""Somebody who has a table of staging open keeps it; a run that failed ends with its own error soon after."""


def list_beside(connection: Connection, url: URL, target: str) -> list[Beside]:
    """All staging schemas and generations of a target."""
    records = Records(connection, target)
    names = "SELECT nspname::text FROM pg_namespace ORDER BY 1", ()
    rows, [(oid,)] = connection.ask_at_once(names, records.existence)
    schemas = [name for (name,) in rows]
    # A run may have brought large objects before it made its schema.
    schemas += [name for name in (records.stagings() if oid is not None else []) if name not in schemas]
    there = []
    for schema in schemas:
        parts = parse(schema)
        if parts and parts[0] == target and parts[1]:
            there.append(Beside(parts[2], with_schema(url, schema), parts[1] == GENERATION))
    return there


def drop(connection: Connection, place: Place, *, only_looks: bool = False) -> None:
    """Drop a staging schema or generation, if it is there, and then what was made for it elsewhere in the database.

    That is large objects, and extensions that its revisions made and nothing else depends on.

    :param only_looks: nothing of the command stays, so that what was made for a scratch schema goes, too.
    :raises FerryError: it is neither, or something outside depends on it.
    :raises LockHeld: somebody has a table of it open for longer than ``DROP_WAIT``.
    """
    comment = server.drop(connection, place.schema, wait=DROP_WAIT)
    parts = parse(place.schema)
    # A generation was live, or is a copy of what became so; what is scratch is dropped where a run succeeds, too.
    if parts and parts[1] == STAGING and (only_looks or not parts[2].endswith("scratch")):
        for name in made_in(comment):
            _take_back(connection, name)
    Records(connection, place.target).discard(place.schema)


def _take_back(connection: Connection, extension: str) -> None:
    """Drop an extension that nothing depends on; who only calls its functions in queries is not seen."""
    needed = psycopg.errors.DependentObjectsStillExist, psycopg.errors.InsufficientPrivilege
    with contextlib.suppress(*needed), connection.transaction():
        connection.execute(f"DROP EXTENSION IF EXISTS {quote(extension)}".encode())
