"""PostgreSQL: types and functions that the app's own code makes, alters or drops outside the schema being built.

No lock on a table says so, as :mod:`.upgrade` looks for. It is what a revision does that names no schema for a type,
where the app's search path does not lead to its tables.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .guard import Executes

OBJECTS = """
WITH one (class, oid, space, name, writer) AS (
    SELECT 'pg_catalog.pg_type'::pg_catalog.regclass, oid, typnamespace, typname, xmin FROM pg_catalog.pg_type
        WHERE typtype IN ('d', 'e', 'r')
    UNION ALL SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass, oid, pronamespace, proname, xmin
        FROM pg_catalog.pg_proc)
SELECT pg_catalog.concat_ws(' ', one.class::oid, one.oid, one.writer, pg_catalog.format('%I.%I', n.nspname, one.name))
FROM one JOIN pg_catalog.pg_namespace n ON n.oid = one.space
WHERE n.oid <> {staging} AND n.nspname <> 'information_schema' AND n.nspname !~ '^pg_' AND NOT EXISTS (
    SELECT FROM pg_catalog.pg_depend d WHERE d.classid = one.class AND d.objid = one.oid AND d.deptype = 'e')
"""
"""The types and functions of all schemas but staging, whose OID it is, the server's own and extensions left out."""

# A new value of a type is a row of another catalog, and of what was dropped there is no row at all.
LOCKED = """
SELECT pg_catalog.concat_ws(' ', l.classid, l.objid) FROM pg_catalog.pg_locks l
WHERE l.pid = pg_catalog.pg_backend_pid() AND l.locktype = 'object'
    AND l.mode IN ('ExclusiveLock', 'AccessExclusiveLock')
"""
"""What the transaction altered or dropped, of every kind."""

Objects = Mapping[str, tuple[int, str]]
"""Catalog and OID of an object: the number of the transaction that wrote its row, and its name."""


def read_objects(rows: Iterable[str]) -> Objects:
    """The rows of :data:`OBJECTS`."""
    parts = (row.split(" ", 3) for row in rows)
    return {f"{catalog} {oid}": (int(writer), name) for catalog, oid, writer, name in parts}


def find_changed(cursor: Executes, before: Objects, now: Objects, locked: Iterable[str]) -> list[str]:
    """The names of those that the transaction which is open made, altered or dropped.

    :param locked: the rows of :data:`LOCKED`.
    """
    since = {key: item for key, item in now.items() if key not in before or before[key][0] != item[0]}
    names = {name for writer, name in since.values() if is_own(cursor, writer)}
    return sorted(names | {before[key][1] for key in locked if key in before})


def is_own(cursor: Executes, writer: int) -> bool:
    """Whether a row that this transaction sees was written by it, and not by another one that has ended."""
    row = cursor.execute("SELECT pg_catalog.txid_current()").fetchone()
    current = int(row[0])
    # The row has the lower half of the number only.
    distance = (writer - current + 2**31) % 2**32 - 2**31
    status = cursor.execute("SELECT pg_catalog.txid_status(%s)", (current + distance,)).fetchone()
    return status is not None and status[0] == "in progress"
