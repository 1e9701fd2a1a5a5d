"""PostgreSQL: objects and whole tables of the target made in staging, as they are."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import psycopg

from ...errors import DoesNotFit
from ..base import SchemaObject
from .connect import Connection, words_of
from .extensions import extension_schemas, lent, set_path
from .names import Place, quote
from .objects import Node, dependencies, found_objects, objects

_IN_PLACE = ("type", "sequence")
"""These have no CREATE OR REPLACE, and may have come along with a carried table."""

_CONSTRAINTS = """
SELECT c.relname::text, k.conname::text FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND NOT c.relname = ANY (%s)
"""


def create_objects(connection: Connection, place: Place, wanted: Sequence[SchemaObject]) -> None:
    """Create objects in a schema, in the order given; those that a carried table brought along are left.

    :raises DoesNotFit: one of them does not fit, with the server's words.
    """
    with lent(connection, place.target, place.schema):
        for item in wanted:
            if item.kind in _IN_PLACE and _is_there(connection, place.schema, item):
                continue
            _create(connection, item)


def _is_there(connection: Connection, schema: str, item: SchemaObject) -> bool:
    name = f"{quote(schema)}.{quote(item.name)}"
    row = connection.execute("SELECT coalesce(to_regtype(%s)::oid, to_regclass(%s)::oid)", (name, name)).fetchone()
    return row is not None and row[0] is not None


def _create(connection: Connection, item: SchemaObject) -> None:
    what = f"The {item.kind} {item.name!r}, which no revision made,"
    if not item.sql:
        raise DoesNotFit(
            f"{what} cannot be made again by Flask-Ferry.",
            hint="Let a revision make it, or drop it from the live database.",
        )
    try:
        with connection.transaction():
            connection.execute(item.sql.encode())
            if item.kind in ("view", "materialized view"):
                connection.execute(f"SELECT * FROM {quote(item.name)} LIMIT 0".encode())
    except (psycopg.errors.DatabaseError, UnicodeEncodeError) as error:
        if isinstance(error, psycopg.OperationalError):
            raise
        raise DoesNotFit(
            f"{what} does not fit the new schema: {words_of(error)}",
            hint=f"Drop or rewrite this {item.kind} in the live database, or let a revision do it.",
        ) from error


def needed_by(connection: Connection, schema: str, tables: Iterable[str]) -> list[SchemaObject]:
    """What tables and their triggers need besides themselves: types, functions, sequences; in an order that creates."""
    rows = connection.execute(
        "SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relname = ANY (%s)",
        (schema, list(tables)),
    )
    start: set[Node] = {("pg_class", oid) for (oid,) in rows}
    found, needs = found_objects(connection, schema), dependencies(connection)
    start |= {one.node for one in found if one.item.kind in ("trigger", "policy", "rule") and one.item.table in tables}
    reached: set[Node] = set()
    ahead = set(start)
    while ahead:
        reached |= ahead
        ahead = set().union(*(needs.get(node, set()) for node in ahead)) - reached
    known = {item.name: item for item in objects(connection, schema) if item.kind == "sequence"}
    kinds = ("type", "function", "procedure", "sequence", "aggregate")
    wanted = [one.item for one in found if one.node in reached - start and one.item.kind in kinds]
    return [known[item.name] if item.kind == "sequence" else item for item in wanted]


def drop_tables(connection: Connection, place: Place, tables: Sequence[str]) -> list[SchemaObject]:
    """Drop tables that are to be made anew; return what was on them, to be created again.

    :raises DoesNotFit: a table that stays refers to one of them.
    """
    set_path(connection, [place.schema, *extension_schemas(connection, place.schema)])
    before = objects(connection, place.schema)
    rules = set(connection.execute(_CONSTRAINTS.encode(), (place.schema, list(tables))).fetchall())
    with connection.transaction():
        for table in tables:
            connection.execute(f"DROP TABLE IF EXISTS {quote(place.schema)}.{quote(table)} CASCADE".encode())
        left = set(connection.execute(_CONSTRAINTS.encode(), (place.schema, list(tables))).fetchall())
        if lost := sorted(rules - left):
            raise DoesNotFit(
                "Tables that revisions made refer to carried ones, which cannot be brought anew: "
                f"{', '.join(f'{name} on {table}' for table, name in lost)}.",
                hint="Let a revision make the tables that others refer to.",
            )
    after = {(item.kind, item.name) for item in objects(connection, place.schema)}
    return [item for item in before if (item.kind, item.name) not in after and item.table not in tables]
