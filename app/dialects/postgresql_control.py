"""PostgreSQL: which schema the control area is.

A role's search path begins with the schema of its own name. A control area called ``ferry`` would so become the schema
of an app whose role is called ``ferry``: everything unqualified would go to it (seen). So its name is one that no role
has; where a role of that name came later, or an older version did not look, it gets another name. The live schema is
never one that holds our control tables.
"""

from __future__ import annotations

from ..errors import Protected
from .postgresql_connect import Connection
from .postgresql_names import controls, quote

TABLES = frozenset({"identity", "ledger", "journal", "lease"})

_TABLES = """
SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_namespace n
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
WHERE n.nspname = ANY (%s)
"""


def control_of(connection: Connection, target: str, *, there: bool = True) -> str:
    """The name of a target's control area: of the one that is there, else of the one that would be made.

    :param there: the connection is to the target's own database, and not to another one of its server.
    """
    names = controls(target)
    found = _tables_in(connection, names) if there else {}
    made = [name for name in names if is_control(found.get(name, frozenset()))]
    if made:
        return made[0]
    roles = _roles_among(connection, names)
    # An empty schema may be ours, just made; one with anybody's tables is not.
    return next(name for name in names if name not in roles and not found.get(name))


def settle_name(connection: Connection, target: str) -> str | None:
    """Give a control area another name where a role has its; return that, or None where nothing was to be done.

    :raises Protected: the app's own tables came to lie in it; they are named.
    """
    names = controls(target)
    there, roles = _tables_in(connection, names), _roles_among(connection, names)
    for name in names:
        if not is_control(there.get(name, frozenset())):
            continue
        if others := sorted(there[name] - TABLES):
            raise Protected(
                f"Tables of the app lie in {name}, the control area of Flask-Ferry: {', '.join(others)}.",
                hint="Move them: "
                + "; ".join(f"ALTER TABLE {quote(name)}.{quote(one)} SET SCHEMA {quote(target)}" for one in others),
            )
        if name not in roles:
            return None
        free = next(other for other in names if other not in roles and other not in there)
        connection.execute(f"ALTER SCHEMA {quote(name)} RENAME TO {quote(free)}".encode())
        return free
    return None


def is_control(tables: frozenset[str]) -> bool:
    """Whether a schema with these tables is a control area."""
    return tables >= TABLES


def without_controls(connection: Connection, schemas: list[str]) -> list[str]:
    """Those of some schemas that are no control area."""
    there = _tables_in(connection, schemas)
    return [name for name in schemas if not is_control(there.get(name, frozenset()))]


def _tables_in(connection: Connection, schemas: list[str]) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for schema, table in connection.execute(_TABLES.encode(), (schemas,)):
        found.setdefault(schema, set()).update([table] if table else [])
    return {name: frozenset(tables) for name, tables in found.items()}


def _roles_among(connection: Connection, names: list[str]) -> frozenset[str]:
    rows = connection.execute("SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY (%s)", (names,))
    return frozenset(name for (name,) in rows)
