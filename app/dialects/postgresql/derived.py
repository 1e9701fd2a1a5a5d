"""PostgreSQL: what the server keeps of rows besides the rows: materialized views, filled again behind a load."""

from __future__ import annotations

import psycopg

from ...errors import DoesNotFit
from .connect import Connection, is_lost, is_out_of_space, words_of
from .extensions import lent
from .names import Place, quote
from .objects import find_objects

# One that was made WITH NO DATA, and was not refreshed since, stays so.
_POPULATED = """
SELECT c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind = 'm' AND c.relispopulated
"""

# What a function reads the server does not tell: a view that calls one may depend on any other. One that says that it
# reads nothing, or comes with an extension, reads no view of the app's.
_CALLING = """
SELECT count(DISTINCT c.oid) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_rewrite w ON w.ev_class = c.oid
JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = w.oid AND d.refclassid = 'pg_proc'::regclass
JOIN pg_proc p ON p.oid = d.refobjid AND p.pronamespace <> 'pg_catalog'::regnamespace AND p.provolatile <> 'i'
    AND NOT EXISTS (SELECT FROM pg_depend e
        WHERE e.classid = 'pg_proc'::regclass AND e.objid = p.oid AND e.deptype = 'e')
WHERE n.nspname = %s AND c.relkind IN ('m', 'v')
"""


def find_populated(connection: Connection, schema: str) -> list[str]:
    """The materialized views that hold rows, each behind those that it is made of."""
    populated = {name for (name,) in connection.execute(_POPULATED.encode(), (schema,))}
    if not populated:
        return []
    items = (one.item for one in find_objects(connection, schema))
    return [item.name for item in items if item.kind == "materialized view" and item.name in populated]


def refresh_all(connection: Connection, place: Place) -> list[str]:
    """Fill the materialized views of a schema that hold rows; returns their names, raises as :func:`refresh`."""
    views = find_populated(connection, place.schema)
    if views:
        with lent(connection, place.target, place.schema):
            refresh(connection, place, views)
    return views


def refresh(connection: Connection, place: Place, views: list[str]) -> None:
    """Fill materialized views anew, one after the other, and again where one may read others by a function.

    :raises DoesNotFit: one cannot be computed over the rows that there are, with the server's words.
    """
    [(calling,)] = connection.execute(_CALLING.encode(), (place.schema,)).fetchall()
    # Each further turn carries what is computed now one view further.
    for name in views * (min(calling, len(views)) + 1):
        try:
            connection.execute(f"REFRESH MATERIALIZED VIEW {quote(place.schema)}.{quote(name)}".encode())
        except psycopg.Error as error:
            if is_lost(error) or is_out_of_space(error):
                raise
            raise DoesNotFit(
                f"The materialized view {name!r} cannot be refreshed over the new rows: {words_of(error)}",
                hint="Repair these rows in the source, or let a revision make the view so that it fits them.",
            ) from error
