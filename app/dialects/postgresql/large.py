"""PostgreSQL: large objects, which lie in the database and in no schema: only numbers of theirs are in tables."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from .connect import Connection
from .names import quote

# The extension lo has a domain of its own for them.
_COLUMNS = """
SELECT c.relname::text, a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_type t ON t.oid = a.atttypid
WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND a.attnum > 0 AND NOT a.attisdropped
    AND 'oid'::regtype IN (t.oid, t.typbasetype)
ORDER BY 1, a.attnum
"""


def find_references(connection: Connection, schema: str) -> dict[str, list[str]]:
    """By table: the columns that name large objects there are, and by how many values."""
    references: dict[str, list[str]] = defaultdict(list)
    for table, column in connection.execute(_COLUMNS.encode(), (schema,)).fetchall():
        row: Any = connection.execute(
            f"SELECT count(*) FROM {quote(schema)}.{quote(table)} "
            f"WHERE {quote(column)} IN (SELECT oid FROM pg_catalog.pg_largeobject_metadata)".encode()
        ).fetchone()
        if row[0]:
            values = "1 value names a large object" if row[0] == 1 else f"{row[0]} values name large objects"
            references[table].append(f"{table}.{column}: {values}")
    return dict(references)
