"""PostgreSQL: everything that a schema holds besides tables and columns, listed to be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from ..model import Definition
from ..spelling import normalise
from .connect import Connection
from .mark import MARK
from .names import literal
from .objects import Found, ask_for_objects, sort_objects

Rows = list[tuple[Any, ...]]
_ON_ITS_OWN = ("index", "row security")
"""Kinds of :func:`.sort_objects` that are listed here in another form."""

_TABLE = "(SELECT r.relname::text FROM pg_class r WHERE r.oid = coalesce(pg_partition_root(t.oid), t.oid))"
"""What a partition has of its own is listed with the table that it is a part of; what it has from that, once."""
_INDEXES = f"""
SELECT {_TABLE}, CASE WHEN k.oid IS NULL THEN c.relname::text ELSE k.conname::text END, i.indisunique,
    ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum = ANY (i.indkey)
        AND a.attnum > 0 ORDER BY a.attnum),
    regexp_replace(pg_get_indexdef(c.oid, 0, true), '^.*? USING ', '')
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
LEFT JOIN pg_constraint k ON k.conindid = c.oid AND k.contype IN ('u', 'x')
WHERE n.nspname = %s AND NOT i.indisprimary AND NOT i.indisexclusion AND NOT c.relispartition ORDER BY 1, 2
"""
_CONSTRAINTS = f"""
SELECT {_TABLE}, k.conname::text, k.contype::text,
    ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = t.oid AND a.attnum = ANY (k.conkey)
        ORDER BY a.attnum),
    regexp_replace(pg_get_constraintdef(k.oid, true), ' NOT VALID$', '')
FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = %s AND k.contype IN ('c', 'f', 'x', 'p') AND k.coninhcount = 0 ORDER BY 1, 2
"""
_COLUMNS = """
SELECT t.relname::text, a.attname::text, a.attidentity::text, a.attgenerated::text,
    coalesce(pg_get_expr(d.adbin, d.adrelid), ''),
    CASE WHEN a.attcollation NOT IN (0, y.typcollation)
        THEN (SELECT k.collname::text FROM pg_collation k WHERE k.oid = a.attcollation) END,
    col_description(t.oid, a.attnum), a.attnotnull AND NOT t.relispartition, t.relispartition
FROM pg_attribute a JOIN pg_class t ON t.oid = a.attrelid JOIN pg_namespace n ON n.oid = t.relnamespace
JOIN pg_type y ON y.oid = a.atttypid LEFT JOIN pg_attrdef d ON d.adrelid = t.oid AND d.adnum = a.attnum
WHERE n.nspname = %s AND t.relkind IN ('r', 'p') AND a.attnum > 0 AND NOT a.attisdropped ORDER BY 1, 2
"""
_TABLES = """
SELECT t.relname::text, obj_description(t.oid, 'pg_class'), t.relrowsecurity, t.relforcerowsecurity,
    t.relkind = 'p' AND NOT t.relispartition
FROM pg_class t JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = %s AND t.relkind IN ('r', 'p', 'v', 'm') ORDER BY 1
"""
# Around the schema: staging has the use of an extension wherever it lies, and no run looks into other schemas.
_AROUND = """
SELECT 'extension', extname::text FROM pg_extension WHERE extname <> 'plpgsql'
UNION ALL SELECT 'event trigger', e.evtname::text FROM pg_event_trigger e JOIN pg_proc p ON p.oid = e.evtfoid
    JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = %(schema)s
UNION ALL SELECT DISTINCT 'publication', pubname::text FROM pg_publication_tables WHERE schemaname = %(schema)s
UNION ALL SELECT DISTINCT 'schema', n.nspname::text FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid
    WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN (%(schema)s, 'pg_catalog', 'information_schema')
        AND n.nspname !~ '^(pg_toast|pg_temp)|(^|__)ferry(_control[0-9]?|_hold|_(staging|gen)_.*)?$'
        AND NOT EXISTS (SELECT FROM pg_depend d
            WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY 1, 2
"""
_TEXT = r"'(?:[^']|'')*'"
_OF_VARCHAR = re.compile(rf"\(({_TEXT})::character varying\)::text|({_TEXT})::character varying(?:::text)?")
_AS_TEXTS = re.compile(rf"\((ARRAY\[(?:{_TEXT}|[^\]'])*\])\)::text\[\]|(ARRAY\[(?:{_TEXT}|[^\]'])*\])::text\[\]")
_KINDS = {"c": "check", "f": "foreign key", "x": "exclude"}


def list_definitions(connection: Connection, schema: str) -> list[Definition]:
    """All definitions of a schema, asked for at once; what an extension made is the extension's."""
    queries = [(query, (schema,)) for query in (_INDEXES, _CONSTRAINTS, _COLUMNS, _TABLES)]
    around = _AROUND.replace("%(schema)s", literal(schema)), ()
    indexes, constraints, columns, tables, outside, rows, needs = connection.ask_at_once(
        *queries, around, *ask_for_objects(schema)
    )
    return [
        *_objects(sort_objects(rows, needs, schema)),
        *_indexes(indexes),
        *_constraints(constraints),
        *_columns(columns),
        *_tables(tables),
        *(Definition(kind, "", name) for kind, name in outside),
    ]


def _objects(items: list[Found]) -> Iterator[Definition]:
    for item in (one.item for one in items):
        if item.kind not in _ON_ITS_OWN:
            table = "" if item.table == item.name else item.table
            name = item.name.removesuffix(f" on {item.table}") if table else item.name
            yield Definition(item.kind, table, name, text=_normalise(item.sql))


def _indexes(rows: Rows) -> Iterator[Definition]:
    for table, name, unique, columns, text in rows:
        yield Definition("unique" if unique else "index", table, name, tuple(columns), _normalise(text))


def _constraints(rows: Rows) -> Iterator[Definition]:
    for table, name, kind, columns, text in rows:
        if kind == "p":
            yield Definition("primary key", table, "", tuple(columns), " , ".join(columns).lower())
        else:
            yield Definition(_KINDS[kind], table, name, tuple(columns), _normalise(text))


def _columns(rows: Rows) -> Iterator[Definition]:
    for table, column, identity, generated, expression, collation, comment, not_null, is_part in rows:
        if not_null:
            yield Definition("not null", table, column, (column,), "not null")
        if identity or expression.startswith("nextval("):
            yield Definition("autoincrement", table, column, (column,), "autoincrement")
        elif expression and not generated and not is_part:
            yield Definition("default", table, column, (column,), _normalise(expression))
        if generated:
            yield Definition("generated column", table, column, (column,), _normalise(expression))
        if collation:
            yield Definition("collation", table, column, (column,), collation)
        if comment:
            yield Definition("comment", table, column, (column,), comment)


def _tables(rows: Rows) -> Iterator[Definition]:
    for table, comment, secured, forced, partitioned in rows:
        if comment and (text := MARK.sub("", comment).strip()):
            yield Definition("comment", table, table, (), text)
        if secured:
            yield Definition("row security", table, table, (), "forced" if forced else "enabled")
        if partitioned:
            yield Definition("table option", table, "", (), "partitioned")


def _normalise(text: str) -> str:
    """A definition free of its spelling, that of a list of texts too.

    The server shows ``code IN ('a', 'b')`` as a cast of an array, and what it reads in that as an array of casts: so a
    definition that was dumped and restored is shown in other words, once (seen on 15; the parser takes a cast of an
    ``ARRAY[]`` as one of its elements, PostgreSQL manual, 4.2.12).
    """
    return normalise(_AS_TEXTS.sub(_first, _OF_VARCHAR.sub(_first, text)))


def _first(match: re.Match[str]) -> str:
    return next(group for group in match.groups() if group is not None)
