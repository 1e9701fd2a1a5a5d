"""PostgreSQL: all tables of a schema, asked of the catalogs in one statement."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .driver import Question
from .types import Declared

# Tables that an extension made are the extension's.
OWN_TABLES = """
SELECT c.oid, c.relname, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND NOT c.relispartition AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.relname COLLATE "C"
"""

COLUMNS = """
WITH RECURSIVE domain (oid, base, modifier) AS (
    SELECT oid, typbasetype, typtypmod FROM pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT d.oid, t.typbasetype, t.typtypmod FROM domain d JOIN pg_type t ON t.oid = d.base AND t.typtype = 'd')
SELECT a.attrelid, a.attname::text,
    CASE WHEN n.nspname = 'pg_catalog' OR t.typname = 'citext' THEN t.typname::text ELSE '' END, t.typtype::text,
    coalesce(d.modifier, a.atttypmod), format_type(a.atttypid, a.atttypmod),
    a.attnotnull OR own.typnotnull
FROM pg_attribute a
JOIN pg_type own ON own.oid = a.atttypid
LEFT JOIN (SELECT domain.* FROM domain JOIN pg_type i ON i.oid = domain.base AND i.typtype <> 'd') d ON d.oid = own.oid
JOIN pg_type t ON t.oid = coalesce(d.base, own.oid) JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE a.attrelid = ANY (%s) AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
ORDER BY a.attrelid, a.attnum
"""

_KEYS = """
SELECT i.indrelid, i.indisprimary, array_agg(a.attname::text ORDER BY k.place)
FROM pg_index i CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY k (number, place)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = ANY (%s) AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
    AND k.place <= i.indnkeyatts
GROUP BY i.indexrelid, i.indrelid, i.indisprimary
"""

# Columns of version 18, which others lack: rows are not followed by a key that nobody enforces, or that several rows of
# the table it refers to cover together (PERIOD).
_PLAIN = (
    "COALESCE((to_jsonb(f) ->> 'conenforced')::boolean, true) "
    "AND NOT COALESCE((to_jsonb(f) ->> 'conperiod')::boolean, false)"
)

_FOREIGN_KEYS = f"""
SELECT f.conrelid, CASE WHEN p.relnamespace = c.relnamespace THEN p.relname ELSE n.nspname || '.' || p.relname END,
    ARRAY(SELECT a.attname::text FROM unnest(f.conkey) WITH ORDINALITY k (number, place)
        JOIN pg_attribute a ON a.attrelid = f.conrelid AND a.attnum = k.number ORDER BY k.place),
    ARRAY(SELECT a.attname::text FROM unnest(f.confkey) WITH ORDINALITY k (number, place)
        JOIN pg_attribute a ON a.attrelid = f.confrelid AND a.attnum = k.number ORDER BY k.place)
FROM pg_constraint f JOIN pg_class c ON c.oid = f.conrelid
JOIN pg_class p ON p.oid = f.confrelid JOIN pg_namespace n ON n.oid = p.relnamespace
WHERE f.contype = 'f' AND f.conparentid = 0 AND f.conrelid = ANY (%s) AND {_PLAIN}
"""


_IN_PLACE = """(SELECT c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = %s AND c.relname = %s AND c.relkind IN ('r', 'p'))"""


def ask_for_table(schema: str, name: str) -> tuple[Question, Question]:
    """For whether a table is there, and for its columns; see :func:`sort_columns`."""
    columns = COLUMNS.replace("= ANY (%s)", f"= {_IN_PLACE}")
    return (f"SELECT oid FROM {_IN_PLACE} AS own", (schema, name)), (columns, (schema, name))


def sort_columns(rows: list[tuple[Any, ...]]) -> list[Declared]:
    """The columns of one table."""
    return [Declared(*rest) for _, *rest in rows]


@dataclass(frozen=True)
class Catalogue:
    """Tables, and by their OIDs what they have; each in the order of the statement it is from.

    :ivar tables: OID, name, kind.
    :ivar keys: table, whether it is the primary one, columns.
    :ivar foreign_keys: table, the table referred to, columns here and there.
    :ivar columns: table and the members of :class:`.Declared`.
    """

    tables: list[Any]
    keys: list[Any]
    foreign_keys: list[Any]
    columns: list[Any]


def _rows_of(query: str, columns: int) -> str:
    """A query's rows as one value; the first column is an OID."""
    names = [f"c{number}" for number in range(columns)]
    values = ", ".join([f"q.{names[0]}::int8", *(f"q.{name}" for name in names[1:])])
    query = query.replace("ANY (%s)", "ANY (ARRAY(SELECT oid FROM own))")
    return f"(SELECT json_agg(json_build_array({values})) FROM ({query}) AS q ({', '.join(names)}))"


_IN_ORDER = 'SELECT oid, relname::text, relkind FROM own ORDER BY relname COLLATE "C"'
_ALL = (
    f"WITH own AS MATERIALIZED ({OWN_TABLES}) SELECT {_rows_of(_IN_ORDER, 3)}, {_rows_of(_KEYS, 3)}, "
    f"{_rows_of(_FOREIGN_KEYS, 4)}, {_rows_of(COLUMNS, 7)}"
)


SIZE = (
    "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0) + CASE WHEN EXISTS (SELECT FROM "
    "pg_largeobject_metadata) THEN pg_total_relation_size('pg_catalog.pg_largeobject') ELSE 0 END FROM pg_class c "
    "JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = {} AND c.relkind IN ('r', 'm', 'S')"
)
"""The size of a schema, with that of all large objects where the database has any."""


def ask_for_catalogue(schema: str) -> Question:
    """What :func:`sort_catalogue` takes the answer to: all tables of a schema."""
    return _ALL, (schema,)


def sort_catalogue(rows: list[Any]) -> Catalogue:
    [row] = rows
    return Catalogue(*(value or [] for value in row))
