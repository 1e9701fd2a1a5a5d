"""PostgreSQL: owners and privileges of what is live, given to what takes its place.

Both belong to an object, not to its name. Objects of the same name get those of the live one; whatever is new gets the
owner that all of the live schema's have, and what default privileges say. A revision's own grants stay.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import psycopg

from .connect import Connection
from .driver import Question
from .extensions import look_in
from .names import quote

# A sequence of a column's has the owner of its table, always.
_OBJECTS = """
SELECT o.kind, o.name, pg_get_userbyid(o.owner)::text, o.acl IS NULL, o.owned, ARRAY(
    SELECT concat_ws(' ', g.grantee, g.privilege_type, g.is_grantable)
    FROM aclexplode(coalesce(o.acl, acldefault(o.letter::"char", o.owner))) g WHERE g.grantee <> o.owner)
FROM (
    SELECT 'pg_class'::regclass AS class, c.oid, c.relnamespace AS space, c.relowner AS owner, c.relacl AS acl,
        CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS kind, quote_ident(c.relname) AS name,
        CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END AS letter, c.relkind = 'S' AND EXISTS (
            SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid
                AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0) AS owned
    FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
    UNION ALL
    SELECT 'pg_proc'::regclass, p.oid, p.pronamespace, p.proowner, p.proacl, 'ROUTINE',
        format('%%I(%%s)', p.proname, pg_get_function_identity_arguments(p.oid)), 'f', false FROM pg_proc p
    UNION ALL
    SELECT 'pg_type'::regclass, t.oid, t.typnamespace, t.typowner, t.typacl, 'TYPE', quote_ident(t.typname), 'T', false
    FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
    WHERE t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND c.relkind = 'c')
) o JOIN pg_namespace n ON n.oid = o.space
WHERE n.nspname = %s AND NOT EXISTS (
    SELECT FROM pg_depend e WHERE e.classid = o.class AND e.objid = o.oid AND e.deptype IN ('e', 'i'))
ORDER BY 1, 2
"""

_COLUMNS = """
SELECT quote_ident(c.relname), quote_ident(a.attname), ARRAY(SELECT concat_ws(' ', g.grantee, g.privilege_type,
    g.is_grantable) FROM aclexplode(a.attacl) g WHERE g.grantee <> c.relowner)
FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND a.attnum > 0 AND NOT a.attisdropped AND (%s OR a.attacl IS NOT NULL) ORDER BY 1, 2
"""

_SCHEMA = """
SELECT pg_get_userbyid(n.nspowner)::text, ARRAY(SELECT concat_ws(' ', g.grantee, g.privilege_type, g.is_grantable)
    FROM aclexplode(n.nspacl) g WHERE g.grantee <> n.nspowner) FROM pg_namespace n WHERE n.nspname = %s
"""

_DEFAULTS = """
SELECT pg_get_userbyid(d.defaclrole)::text, CASE d.defaclobjtype WHEN 'r' THEN 'TABLES' WHEN 'S' THEN 'SEQUENCES'
    WHEN 'f' THEN 'ROUTINES' ELSE 'TYPES' END, ARRAY(
    SELECT concat_ws(' ', g.grantee, g.privilege_type, g.is_grantable) FROM aclexplode(d.defaclacl) g)
FROM pg_default_acl d JOIN pg_namespace n ON n.oid = d.defaclnamespace WHERE n.nspname = %s ORDER BY 1, 2
"""


_ROLES: Question = ("SELECT oid::text, quote_ident(rolname) FROM pg_roles", ())


@dataclass(frozen=True)
class Owned:
    """An object with its owner and its grants, each ``<OID of the role> <privilege> <t or f: may grant it on>``.

    :ivar untouched: the grants are those that every new object has.
    :ivar follows: its owner is that of a table.
    """

    kind: str
    name: str
    owner: str
    untouched: bool
    follows: bool
    grants: frozenset[str]


def adopt(connection: Connection, live: str, staging: str) -> None:
    """Give staging's objects the owners and privileges of the live ones; leaves ``search_path`` at staging.

    :raises psycopg.errors.InsufficientPrivilege: this user may not.
    """
    roles = _name_roles(connection.execute(_ROLES[0].encode()).fetchall())
    former = _objects(connection, live)
    adopt_defaults(connection, live, staging, roles)
    owners = {one.owner for one in former.values()}
    defaults: dict[str, set[str]] = defaultdict(set)
    for _, kind, grants in connection.execute(_DEFAULTS.encode(), (staging,)):
        defaults[kind.removesuffix("S")] |= set(grants)
    objects = _objects(connection, staging)
    for place, new in objects.items():
        old = former.get(place)
        owner = old.owner if old else (next(iter(owners)) if len(owners) == 1 else new.owner)
        if owner != new.owner and not new.follows:
            _give(connection, staging, new, owner)
        for statement in _regrant(old, new, defaults[new.kind], roles) if old else ():
            connection.execute(statement.encode())
    _adopt_columns(connection, live, staging, roles)


def _give(connection: Connection, schema: str, new: Owned, owner: str) -> None:
    """Give an object to its owner, who may create objects in the schema only for as long as that takes."""
    within = f"CREATE ON SCHEMA {quote(schema)}"
    connection.execute(f"GRANT {within} TO {quote(owner)}".encode())
    connection.execute(f"ALTER {new.kind} {new.name} OWNER TO {quote(owner)}".encode())
    connection.execute(f"REVOKE {within} FROM {quote(owner)}".encode())


def _name_roles(rows: list[tuple[Any, ...]]) -> dict[str, str]:
    """Quoted names by OID, as text; 0 is everybody."""
    return {"0": "PUBLIC", **dict(rows)}


def _objects(connection: Connection, schema: str) -> dict[tuple[str, str], Owned]:
    _, rows = connection.ask_at_once(look_in(schema, with_tables=True), (_OBJECTS, (schema,)))
    objects = {}
    for kind, name, owner, untouched, follows, grants in rows:
        objects[kind, name] = Owned(kind, name, owner, untouched, follows, frozenset(grants))
    return objects


def _regrant(old: Owned, new: Owned, defaults: set[str], roles: dict[str, str]) -> Iterator[str]:
    """What makes the grants of the live object of those that a new one has, which a revision may have added to.

    :param defaults: by default privileges, to every new object of this kind.
    """
    for grant in sorted(new.grants - old.grants):
        # Nobody meant it for this one, and the live one does not have it: e.g. that everybody may call a function.
        if new.untouched or grant in defaults:
            role, privilege, _ = grant.split()
            yield f"REVOKE {privilege} ON {new.kind} {new.name} FROM {roles[role]}"
    for grant in sorted(old.grants - new.grants):
        yield _statement(grant, f"{new.kind} {new.name}", roles)


def _statement(grant: str, on: str, roles: dict[str, str], column: str = "") -> str:
    role, privilege, on_again = grant.split()
    return f"GRANT {privilege}{column} ON {on} TO {roles[role]}{' WITH GRANT OPTION' if on_again == 't' else ''}"


def _adopt_columns(connection: Connection, live: str, staging: str, roles: dict[str, str]) -> None:
    rows, former = connection.ask_at_once((_COLUMNS, (staging, True)), (_COLUMNS, (live, False)))
    present = {(table, column): set(grants) for table, column, grants in rows}
    for table, column, grants in former:
        for grant in sorted(set(grants) - present.get((table, column), set(grants))):
            connection.execute(_statement(grant, f"TABLE {table}", roles, f" ({column})").encode())


def adopt_defaults(connection: Connection, live: str, staging: str, roles: dict[str, str] | None = None) -> None:
    """Let what is created in staging get the privileges that it would get in the live schema."""
    named, rows, former = connection.ask_at_once(_ROLES, (_DEFAULTS, (staging,)), (_DEFAULTS, (live,)))
    roles = roles or _name_roles(named)
    present = {(role, kind): set(grants) for role, kind, grants in rows}
    for role, kind, grants in former:
        for grant in sorted(set(grants) - present.get((role, kind), set())):
            begin = f"ALTER DEFAULT PRIVILEGES FOR ROLE {quote(role)} IN SCHEMA {quote(staging)} "
            connection.execute((begin + _statement(grant, kind, roles)).encode())


def adopt_schema(connection: Connection, live: str, staging: str) -> None:
    """Give the staging schema itself the privileges of the live one, and its owner where this user may."""
    named, [(owner, grants)], [(own_owner, present)] = connection.ask_at_once(
        _ROLES, (_SCHEMA, (live,)), (_SCHEMA, (staging,))
    )
    roles = _name_roles(named)
    for grant in sorted(set(grants) - set(present)):
        connection.execute(_statement(grant, f"SCHEMA {quote(staging)}", roles).encode())
    if owner != own_owner:
        try:
            with connection.transaction():
                connection.execute(f"ALTER SCHEMA {quote(staging)} OWNER TO {quote(owner)}".encode())
        except psycopg.errors.InsufficientPrivilege:
            return  # it stays this user's, who owned the live one, too, to be able to rename it
