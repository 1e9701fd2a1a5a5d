"""PostgreSQL: what is not part of a table's own definition, as statements that do not spell the schema.

The session's ``search_path`` begins with the schema: the server's own functions then leave its name out. Three of them
spell it all the same, at the beginning, where it is cut off.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..model import SchemaObject
from .connect import Connection
from .driver import Question
from .names import quote


def _independent(catalog: str, oid: str) -> str:
    """A condition: the object was made by hand, by no extension and by no other object."""
    return (
        f"NOT EXISTS (SELECT FROM pg_depend e WHERE e.classid = '{catalog}'::regclass AND e.objid = {oid} "
        "AND e.deptype IN ('e', 'i'))"
    )


_ENUMS = f"""
SELECT 'pg_type', t.oid, 'type', t.typname::text, '', format('CREATE TYPE %%I AS ENUM (%%s)', t.typname,
    (SELECT string_agg(quote_literal(l.enumlabel), ', ' ORDER BY l.enumsortorder)
        FROM pg_enum l WHERE l.enumtypid = t.oid))
FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = %s AND t.typtype = 'e' AND {_independent("pg_type", "t.oid")}
"""

_DOMAINS = f"""
SELECT 'pg_type', t.oid, 'type', t.typname::text, '', concat_ws(' ',
    format('CREATE DOMAIN %%I AS %%s', t.typname, format_type(t.typbasetype, t.typtypmod)),
    CASE WHEN t.typcollation NOT IN (0, b.typcollation) THEN
        (SELECT 'COLLATE ' || quote_ident(k.collname) FROM pg_collation k WHERE k.oid = t.typcollation) END,
    'DEFAULT ' || t.typdefault, CASE WHEN t.typnotnull THEN 'NOT NULL' END,
    (SELECT string_agg(format('CONSTRAINT %%I %%s', c.conname, pg_get_constraintdef(c.oid)), ' ' ORDER BY c.conname)
        FROM pg_constraint c WHERE c.contypid = t.oid AND c.contype = 'c'))
FROM pg_type t JOIN pg_type b ON b.oid = t.typbasetype JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = %s AND t.typtype = 'd' AND {_independent("pg_type", "t.oid")}
"""

_COMPOSITES = f"""
SELECT 'pg_type', t.oid, 'type', t.typname::text, '', format('CREATE TYPE %%I AS (%%s)', t.typname,
    (SELECT string_agg(format('%%I %%s', a.attname, format_type(a.atttypid, a.atttypmod)), ', ' ORDER BY a.attnum)
        FROM pg_attribute a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped))
FROM pg_type t JOIN pg_class c ON c.oid = t.typrelid AND c.relkind = 'c' JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = %s AND {_independent("pg_type", "t.oid")}
"""

_RANGES = f"""
SELECT 'pg_type', t.oid, 'type', t.typname::text, '', format('CREATE TYPE %%I AS RANGE (SUBTYPE = %%s%%s)', t.typname,
    format_type(r.rngsubtype, NULL), CASE WHEN r.rngsubdiff <> 0 THEN ', SUBTYPE_DIFF = ' || r.rngsubdiff::regproc END)
FROM pg_range r JOIN pg_type t ON t.oid = r.rngtypid JOIN pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = %s AND r.rngcanonical = 0 AND {_independent("pg_type", "t.oid")}
"""

_FUNCTIONS = f"""
SELECT 'pg_proc', p.oid, CASE p.prokind WHEN 'p' THEN 'procedure' ELSE 'function' END,
    format('%%I(%%s)', p.proname, pg_get_function_identity_arguments(p.oid)), '', pg_get_functiondef(p.oid)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
WHERE n.nspname = %s AND p.prokind <> 'a' AND {_independent("pg_proc", "p.oid")}
"""

_SEQUENCES = f"""
SELECT 'pg_class', c.oid, 'sequence', c.relname::text, '', format(
    'CREATE SEQUENCE %%I AS %%s START %%s INCREMENT %%s MINVALUE %%s MAXVALUE %%s CACHE %%s%%s', c.relname,
    format_type(s.seqtypid, NULL), s.seqstart, s.seqincrement, s.seqmin, s.seqmax, s.seqcache,
    CASE WHEN s.seqcycle THEN ' CYCLE' ELSE '' END)
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND {_independent("pg_class", "c.oid")} AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
        AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0)
"""

_VIEWS = f"""
SELECT 'pg_class', c.oid, CASE c.relkind WHEN 'm' THEN 'materialized view' ELSE 'view' END, c.relname::text,
    c.relname::text, format('CREATE %%s %%I%%s AS %%s',
        CASE c.relkind WHEN 'm' THEN 'MATERIALIZED VIEW' ELSE 'VIEW' END, c.relname,
        ' WITH (' || array_to_string(c.reloptions, ', ') || ')', rtrim(pg_get_viewdef(c.oid), ';'))
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('v', 'm') AND {_independent("pg_class", "c.oid")}
"""

_INDEXES = f"""
SELECT 'pg_class', c.oid, 'index', c.relname::text, t.relname::text, pg_get_indexdef(c.oid, 0, true)
FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace
WHERE n.nspname = %s AND t.relkind IN ('r', 'p', 'm') AND NOT t.relispartition AND {_independent("pg_class", "t.oid")}
    AND NOT EXISTS (SELECT FROM pg_constraint k WHERE k.conindid = c.oid AND k.contype IN ('p', 'u', 'x'))
"""

_RULES = f"""
SELECT 'pg_rewrite', r.oid, 'rule', format('%%s on %%s', r.rulename, c.relname), c.relname::text,
    rtrim(pg_get_ruledef(r.oid, true), ';')
FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND r.rulename <> '_RETURN' AND {_independent("pg_class", "c.oid")}
"""

# Two tables may each have a trigger (rule, policy) of one name: the table is part of the name here.
_TRIGGERS = f"""
SELECT 'pg_trigger', g.oid, 'trigger', format('%%s on %%s', g.tgname, c.relname), c.relname::text,
    pg_get_triggerdef(g.oid, true) || CASE g.tgenabled WHEN 'O' THEN '' ELSE format('; ALTER TABLE %%I %%s TRIGGER %%I',
        c.relname, CASE g.tgenabled WHEN 'D' THEN 'DISABLE' WHEN 'R' THEN 'ENABLE REPLICA' ELSE 'ENABLE ALWAYS' END,
        g.tgname) END
FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND NOT g.tgisinternal AND NOT c.relispartition AND {_independent("pg_class", "c.oid")}
"""

_POLICIES = f"""
SELECT 'pg_policy', p.oid, 'policy', format('%%s on %%s', p.polname, c.relname), c.relname::text, concat_ws(' ',
    format('CREATE POLICY %%I ON %%I AS %%s FOR %%s TO %%s', p.polname, c.relname,
        CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
        CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE' WHEN 'd' THEN 'DELETE'
            ELSE 'ALL' END,
        (SELECT string_agg(CASE r WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(r)) END, ', ')
            FROM unnest(p.polroles) r)),
    'USING (' || pg_get_expr(p.polqual, p.polrelid) || ')',
    'WITH CHECK (' || pg_get_expr(p.polwithcheck, p.polrelid) || ')')
FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND {_independent("pg_class", "c.oid")}
"""

_ROW_SECURITY = f"""
SELECT 'row security', c.oid, 'row security', format('row security of %%s', c.relname), c.relname::text,
    format('ALTER TABLE %%I ENABLE ROW LEVEL SECURITY', c.relname)
    || CASE WHEN c.relforcerowsecurity THEN format('; ALTER TABLE %%I FORCE ROW LEVEL SECURITY', c.relname) ELSE '' END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relrowsecurity AND {_independent("pg_class", "c.oid")}
"""

_STATISTICS = """
SELECT 'pg_statistic_ext', s.oid, 'statistics', s.stxname::text, c.relname::text, pg_get_statisticsobjdef(s.oid)
FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid JOIN pg_namespace n ON n.oid = s.stxnamespace
WHERE n.nspname = %s
"""

# These no statement is made for: create_objects() refuses them by name.
_OTHERS = """
SELECT o.class::text, o.oid, i.type, coalesce(i.name, i.identity), '', '' FROM (
    SELECT 'pg_operator' class, oid, oprnamespace space FROM pg_operator
    UNION ALL SELECT 'pg_opclass', oid, opcnamespace FROM pg_opclass
    UNION ALL SELECT 'pg_opfamily', oid, opfnamespace FROM pg_opfamily
    UNION ALL SELECT 'pg_collation', oid, collnamespace FROM pg_collation
    UNION ALL SELECT 'pg_conversion', oid, connamespace FROM pg_conversion
    UNION ALL SELECT 'pg_ts_config', oid, cfgnamespace FROM pg_ts_config
    UNION ALL SELECT 'pg_ts_dict', oid, dictnamespace FROM pg_ts_dict
    UNION ALL SELECT 'pg_ts_parser', oid, prsnamespace FROM pg_ts_parser
    UNION ALL SELECT 'pg_ts_template', oid, tmplnamespace FROM pg_ts_template
    UNION ALL SELECT 'pg_proc', oid, pronamespace FROM pg_proc WHERE prokind = 'a'
    UNION ALL SELECT 'pg_class', oid, relnamespace FROM pg_class WHERE relkind = 'f'
    UNION ALL SELECT 'pg_type', oid, typnamespace FROM pg_type WHERE typtype = 'b' AND typcategory <> 'A'
    UNION ALL SELECT 'pg_type', rngtypid, typnamespace FROM pg_range JOIN pg_type t ON t.oid = rngtypid
        WHERE rngcanonical <> 0
) o JOIN pg_namespace n ON n.oid = o.space
CROSS JOIN LATERAL pg_identify_object(o.class::regclass, o.oid, 0) i
WHERE n.nspname = %s AND NOT EXISTS (
    SELECT FROM pg_depend e WHERE e.classid = o.class::regclass AND e.objid = o.oid AND e.deptype = 'e')
"""

_QUERIES = (
    _ENUMS,
    _DOMAINS,
    _COMPOSITES,
    _RANGES,
    _OTHERS,
    _FUNCTIONS,
    _SEQUENCES,
    _VIEWS,
    _STATISTICS,
    _INDEXES,
    _RULES,
    _TRIGGERS,
    _POLICIES,
    _ROW_SECURITY,
)

# What a rule, constraint, default, index, row type or array depends on is needed by what they belong to.
_DEPENDENCIES = """
WITH belongs (class, oid, owner_class, owner) AS (
    SELECT 'pg_rewrite'::regclass::oid, oid, 'pg_class'::regclass::oid, ev_class FROM pg_rewrite
        WHERE rulename = '_RETURN'
    UNION ALL SELECT 'pg_constraint'::regclass, oid, 'pg_type'::regclass, contypid FROM pg_constraint
        WHERE contypid <> 0
    UNION ALL SELECT 'pg_constraint'::regclass, oid, 'pg_class'::regclass, conrelid FROM pg_constraint
        WHERE conrelid <> 0
    UNION ALL SELECT 'pg_attrdef'::regclass, oid, 'pg_class'::regclass, adrelid FROM pg_attrdef
    UNION ALL SELECT 'pg_class'::regclass, indexrelid, 'pg_class'::regclass, indrelid FROM pg_index
    UNION ALL SELECT 'pg_class'::regclass, oid, 'pg_type'::regclass, reltype FROM pg_class WHERE relkind = 'c'
    UNION ALL SELECT 'pg_type'::regclass, t.oid, 'pg_class'::regclass, typrelid FROM pg_type t
        JOIN pg_class c ON c.oid = typrelid AND c.relkind <> 'c'
    UNION ALL SELECT 'pg_type'::regclass, typarray, 'pg_type'::regclass, oid FROM pg_type WHERE typarray <> 0)
SELECT DISTINCT coalesce(b.owner_class, d.classid)::regclass::text, coalesce(b.owner, d.objid),
    coalesce(r.owner_class, d.refclassid)::regclass::text, coalesce(r.owner, d.refobjid)
FROM pg_depend d LEFT JOIN belongs b ON b.class = d.classid AND b.oid = d.objid
LEFT JOIN belongs r ON r.class = d.refclassid AND r.oid = d.refobjid
WHERE d.deptype IN ('n', 'a', 'i') AND d.objid >= 16384 AND d.refobjid >= 16384
"""

_SPELLED = (
    "CREATE OR REPLACE FUNCTION {}.",
    "CREATE OR REPLACE PROCEDURE {}.",
    "CREATE STATISTICS {}.",
)

_ALL_OBJECTS = " UNION ALL ".join(
    f"SELECT {place}, q.d::text, q.a::text, q.b::oid, q.c::text, q.e::text, q.f::text "
    f"FROM ({query}) AS q (a, b, c, d, e, f)"
    for place, query in enumerate(_QUERIES)
)

Node = tuple[str, int]


@dataclass(frozen=True)
class Found:
    """An object with its place in the catalogs."""

    node: Node
    item: SchemaObject


def find_objects(connection: Connection, schema: str) -> list[Found]:
    """All objects, in an order that creates them; sequences without where they are."""
    rows, needs = connection.ask_at_once(*ask_for_objects(schema))
    return sort_objects(rows, needs, schema)


def ask_for_objects(schema: str) -> list[Question]:
    """What :func:`sort_objects` takes the answers to, for who asks for more at once."""
    return [(_ALL_OBJECTS, (schema,) * len(_QUERIES)), (_DEPENDENCIES, ())]


def sort_objects(rows: list[Any], needs: list[Any], schema: str) -> list[Found]:
    """All objects, in an order that creates them; sequences without where they are."""
    known: dict[Node, SchemaObject] = {}
    shortened = [(place, _short(name, schema), *row) for place, name, *row in rows]
    for _, short, catalog, oid, kind, table, sql in sorted(shortened, key=lambda row: row[:2]):
        known[catalog, oid] = SchemaObject(kind, short, table, _strip_schema(sql, schema))
    return [Found(node, known[node]) for node in _in_order(known, _by_node(needs))]


def dependencies(connection: Connection) -> dict[Node, set[Node]]:
    """What objects depend on, of the whole database."""
    return _by_node(connection.execute(_DEPENDENCIES.encode()).fetchall())


def _by_node(rows: list[Any]) -> dict[Node, set[Node]]:
    needs: dict[Node, set[Node]] = defaultdict(set)
    for catalog, oid, needed_catalog, needed in rows:
        needs[catalog, oid].add((needed_catalog, needed))
    return needs


def _in_order(known: dict[Node, SchemaObject], needs: dict[Node, set[Node]]) -> Iterator[Node]:
    """Each after what it needs, and otherwise in the order they are known in."""
    visited: set[Node] = set()

    def visit(node: Node) -> Iterator[Node]:
        if node in visited:
            return
        visited.add(node)
        # By name: OIDs are others in another schema, and the order is part of the fingerprint.
        for needed in sorted(needs.get(node, ()) & known.keys(), key=lambda one: (known[one].kind, known[one].name)):
            yield from visit(needed)
        yield node

    for node in known:
        yield from visit(node)


def _short(name: str, schema: str) -> str:
    return name.removeprefix(f"{schema}.").removeprefix(f"{quote(schema)}.")


def _strip_schema(sql: str, schema: str) -> str:
    for beginning in _SPELLED:
        for name in (schema, quote(schema)):
            if sql.startswith(spelled := beginning.format(name)):
                return beginning.removesuffix("{}.") + sql.removeprefix(spelled)
    return sql


def objects(connection: Connection, schema: str) -> list[SchemaObject]:
    """All objects, in an order that creates them; sequences go on where they are."""
    items = []
    for item in (one.item for one in find_objects(connection, schema)):
        if item.kind == "sequence":
            item = SchemaObject(
                item.kind, item.name, item.table, f"{item.sql}; {_position(connection, schema, item.name)}"
            )
        items.append(item)
    return items


def _position(connection: Connection, schema: str, name: str) -> str:
    query = f"SELECT last_value, is_called FROM {quote(schema)}.{quote(name)}"
    row: Any = connection.execute(query.encode()).fetchone()
    literal = "'" + quote(name).replace("'", "''") + "'"
    return f"SELECT setval({literal}, {row[0]}, {str(row[1]).lower()})"


_TABLES = f"""
SELECT 'table', c.relname::text, c.relkind::text, c.relpersistence::text, c.relispartition, pg_get_partkeydef(c.oid),
    pg_get_expr(c.relpartbound, c.oid), c.reloptions, c.relrowsecurity, c.relforcerowsecurity, c.relreplident::text,
    ARRAY(SELECT p.relname::text FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent WHERE i.inhrelid = c.oid
        ORDER BY i.inhseqno)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'f') AND {_independent("pg_class", "c.oid")}
ORDER BY 2
"""

# The server keeps a version of its own among the options (pg_attver, 15.20, seen), which pg_dump leaves out as well.
_COLUMNS = f"""
SELECT 'column', c.relname::text, a.attname::text, format_type(a.atttypid, a.atttypmod), a.attnotnull,
    pg_get_expr(d.adbin, d.adrelid), a.attidentity::text, a.attgenerated::text,
    (SELECT k.collname::text FROM pg_collation k WHERE k.oid = a.attcollation),
    ARRAY(SELECT o FROM unnest(a.attoptions) o WHERE o NOT LIKE 'pg\\_%%' ORDER BY o), a.attstorage::text
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE n.nspname = %s AND c.relkind IN ('r', 'p', 'f') AND a.attnum > 0 AND NOT a.attisdropped
    AND {_independent("pg_class", "c.oid")}
ORDER BY c.relname, a.attnum
"""

# Whether a foreign key was proved is no part of its definition: it is not, between loading and settling.
_CONSTRAINTS = f"""
SELECT 'constraint', c.relname::text, k.conname::text, CASE k.contype
    WHEN 'f' THEN regexp_replace(pg_get_constraintdef(k.oid, true), ' NOT VALID$', '')
    ELSE pg_get_constraintdef(k.oid, true) END
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND k.contype <> 't' AND {_independent("pg_class", "c.oid")}
ORDER BY 2, 3
"""

_INVALID = """
SELECT 'invalid index', c.relname::text FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND NOT i.indisvalid ORDER BY 2
"""

_OWNED = """
SELECT 'sequence', c.relname::text, t.relname::text, a.attname::text, format_type(s.seqtypid, NULL), s.seqstart,
    s.seqincrement, s.seqmin, s.seqmax, s.seqcache, s.seqcycle
FROM pg_sequence s JOIN pg_class c ON c.oid = s.seqrelid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype IN ('a', 'i')
    AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
JOIN pg_class t ON t.oid = d.refobjid JOIN pg_attribute a ON a.attrelid = t.oid AND a.attnum = d.refobjsubid
WHERE n.nspname = %s ORDER BY 2
"""


_DEFINITIONS = (_TABLES, _COLUMNS, _CONSTRAINTS, _INVALID, _OWNED)
# An aggregate takes the rows in the order of its subquery (PostgreSQL manual, 9.21).
_ALL_DEFINITIONS = f"SELECT {', '.join(f'(SELECT json_agg(q)::text FROM ({query}) q)' for query in _DEFINITIONS)}"


def ask_for_definitions(schema: str) -> list[Question]:
    """All definitions of a schema, for :func:`sort_definitions`."""
    return [(_ALL_DEFINITIONS, (schema,) * len(_DEFINITIONS)), *ask_for_objects(schema)]


def sort_definitions(answers: list[list[Any]], schema: str) -> list[Any]:
    """All definitions of a schema, free of its own name and of every OID."""
    [row], objects, needs = answers
    return [*row, *(one.item for one in sort_objects(objects, needs, schema))]


def digest_of(items: list[Any]) -> str:
    """A digest of what :func:`sort_definitions` says."""
    return hashlib.sha256(repr(items).encode()).hexdigest()
