"""PostgreSQL: which schema the control area is.

A role's search path begins with the schema of its own name. A control area called ``ferry`` would so become the schema
of an app whose role is called ``ferry``: everything unqualified would go to it (seen). So its name is one that no role
has; where a role of that name came later, or an older version did not look, it gets another name. The live schema is
never one that holds our control tables.
"""

from __future__ import annotations

import secrets
from typing import Any

from ...errors import LockHeld, Protected
from ..sessions import forget, remember
from .connect import Connection
from .extensions import oid_of
from .names import HOLD, Place, controls, parse, prefix_of, quote

TABLES = frozenset({"identity", "ledger", "journal", "lease"})
LARGE_OBJECTS = "large_objects"
"""The table of :mod:`.large_records`; a control area has it where it was needed."""
_OWN = TABLES | {LARGE_OBJECTS}

_ALIVE, _YOUNG = "SELECT 1 FROM", "heartbeat_at > (now() AT TIME ZONE 'UTC') - interval '60 seconds'"

_TABLES = """
SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_namespace n
LEFT JOIN pg_catalog.pg_class c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
WHERE n.nspname = ANY (%s)
"""


_OTHERS = """
SELECT n.nspname::text, c.relname::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n
ON n.oid = c.relnamespace WHERE n.nspname = ANY (%s) AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'c')
AND NOT c.relname = ANY (%s)
UNION ALL SELECT n.nspname, p.oid::pg_catalog.regprocedure::text FROM pg_catalog.pg_proc p
JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname = ANY (%s)
UNION ALL SELECT n.nspname, t.typname FROM pg_catalog.pg_type t
JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace
WHERE n.nspname = ANY (%s) AND t.typtype IN ('e', 'd', 'r')
ORDER BY 1, 2
"""


def control_of(connection: Connection, target: str, *, there: bool = True) -> str:
    """The name of a target's control area: of the one that is there, else of the one that would be made.

    :param there: the connection is to the target's own database, and not to another one of its server.
    """
    known = _key_of(connection, target)
    if there and (area := remember(known, str)):
        return area
    forget(known)
    names = controls(target)
    tables, roles = _look_among(connection, names)
    tables = tables if there else {}
    areas = [name for name in names if is_control(tables.get(name, frozenset()))]
    if areas:
        # Only settle() gives it another name.
        return remember(known, lambda: areas[0])
    # An empty schema may be ours, just made, or one of a process without a run; one with anybody's tables is not.
    # Where none is left, settle_name() says so.
    free = (name for name in names if name not in roles and tables.get(name, frozenset()) <= {LARGE_OBJECTS})
    return next(free, names[0])


def is_known(connection: Connection, place: Place) -> bool:
    """Whether a schema was seen to be the control area of its target, in this command and in this database."""
    known = _key_of(connection, place.target)
    if area := remember(known, str):
        return area == place.schema
    forget(known)
    return False


def _key_of(connection: Connection, target: str) -> tuple[str | int, ...]:
    return "control of", connection.info.host, connection.info.port, connection.info.dbname, target


def settle(connection: Connection, target: str) -> list[str]:
    """Give the live schema and the control area names that are in nobody's way; return what was done, in sentences."""
    forget(_key_of(connection, target))
    of_schema = bring_back(connection, target)
    name = settle_name(connection, target)
    of_area = name and f"The control area is the schema {name} now: a role has its former name."
    return [sentence for sentence in (of_schema, of_area) if sentence]


def settle_name(connection: Connection, target: str) -> str | None:
    """Give a control area another name where a role has its; return that, or None where nothing was to be done.

    :raises Protected: the app's own tables came to lie in it; they are named.
    """
    names = controls(target)
    there, roles = _look_among(connection, names)
    for name in names:
        if not is_control(there.get(name, frozenset())):
            continue
        if others := sorted(there[name] - _OWN):
            raise Protected(
                f"Tables of the app lie in {name}, the control area of Flask-Ferry: {', '.join(others)}.",
                hint="Move them: "
                + "; ".join(f"ALTER TABLE {quote(name)}.{quote(one)} SET SCHEMA {quote(target)}" for one in others),
            )
        if name not in roles:
            return None
        if connection.execute(f"{_ALIVE} {quote(name)}.lease WHERE {_YOUNG}".encode()).fetchone():
            raise LockHeld("Another run is at work on this database.", hint="Run the command again when it has ended.")
        free = next((other for other in names if other not in roles and other not in there), None)
        if free is None:
            raise Protected(
                f"Every name that the control area could have, {name} to {names[-1]}, is a role's or taken.",
                hint=f"Rename one of these schemas or roles: ALTER SCHEMA {quote(names[-1])} RENAME TO ...",
            )
        connection.execute(f"ALTER SCHEMA {quote(name)} RENAME TO {quote(free)}".encode())
        return free
    return None


def in_the_way(connection: Connection, target: str) -> str | None:
    """The control area where a session of this role takes it for its schema, or None."""
    row = connection.execute("SELECT current_schema()::text").fetchone()
    name = row[0] if row else None
    if name not in controls(target):
        return None
    return name if is_control(_tables_in(connection, [name]).get(name, frozenset())) else None


def is_control(tables: frozenset[str]) -> bool:
    """Whether a schema with these tables is a control area."""
    return tables >= TABLES


def without_controls(connection: Connection, schemas: list[str]) -> list[str]:
    """Those of some schemas that are no control area."""
    # By its name as well: an app may have four tables that are called as ours are.
    there = _tables_in(connection, [name for name in schemas if parse(name) is not None])
    return [name for name in schemas if not is_control(there.get(name, frozenset()))]


def bring_back(connection: Connection, target: str) -> str | None:
    """Give a live schema its name back that an older version left renamed; return what was done, or None.

    That version ran a backup's statements as a script, and a COMMIT among them made the rename last. What stands under
    the live name since is kept, as the app may have written to it.
    """
    hold = prefix_of(target) + HOLD
    if oid_of(connection, hold) is None:
        return None
    with connection.transaction():
        remark = ""
        if oid_of(connection, target) is not None:
            aside = f"found_{secrets.token_hex(4)}"
            connection.execute(f"ALTER SCHEMA {quote(target)} RENAME TO {quote(aside)}".encode())
            remark = f" What had its name is kept as the schema {aside}."
        connection.execute(f"ALTER SCHEMA {quote(hold)} RENAME TO {quote(target)}".encode())
    return f"The live schema {target} was left renamed by a restore that was cut short; it has its name again.{remark}"


def oddities(connection: Connection, target: str) -> list[str]:
    """What lies where it should not; nothing is changed."""
    hold, lines, names = prefix_of(target) + HOLD, [], controls(target)
    names += [second for name in names for second in controls(name)]
    (is_held, rows, others) = connection.ask_at_once(
        ("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = %s", (hold,)),
        (_TABLES, (names,)),
        (_OTHERS, (names, sorted(_OWN), names, names)),
    )
    if is_held:
        lines.append(
            f"The live schema {target} was left renamed to {hold} by a restore that was cut short; the next command "
            "that writes brings it back, e.g.: flask db-backup"
        )
    there = _by_schema(rows)
    # Those that are a target's, or that a fault of an older version made of one: the used one first.
    areas = [name for name in names if is_control(there.get(name, frozenset()))]
    strangers = [
        f"{name} is not Flask-Ferry's, but lies in {schema}, a control area; move it"
        for schema, name in others
        if schema in areas
    ]
    return lines + _doubles(connection, areas) + strangers


def _doubles(connection: Connection, areas: list[str]) -> list[str]:
    if len(areas) < 2:
        return []
    entries = {name: _entries(connection, name) for name in areas}
    return [
        f"There are two control areas: {areas[0]}, which is used, with {entries[areas[0]]} ledger entries, and "
        f"{second} with {entries[second]}. {_way_on(areas[0], second, entries)}"
        for second in areas[1:]
    ]


def _way_on(used: str, second: str, entries: dict[str, int]) -> str:
    drop = f"DROP SCHEMA {quote(second)} CASCADE"
    if not entries[second]:
        return f"The second one holds nothing; remove it: {drop}"
    aside = f"ALTER SCHEMA {quote(used)} RENAME TO found_control; ALTER SCHEMA {quote(second)} RENAME TO {quote(used)}"
    if not entries[used]:
        return f"The used one holds nothing; let the second one be used: {aside}"
    return f"Keep the one whose newest entry is of what is live; where it is the used one: {drop}; else: {aside}"


def _entries(connection: Connection, schema: str) -> int:
    row = connection.execute(f"SELECT count(*) FROM {quote(schema)}.ledger".encode()).fetchone()
    return int(row[0]) if row else 0


def _tables_in(connection: Connection, schemas: list[str]) -> dict[str, frozenset[str]]:
    return _by_schema(connection.execute(_TABLES.encode(), (schemas,)).fetchall()) if schemas else {}


def _by_schema(rows: list[tuple[Any, ...]]) -> dict[str, frozenset[str]]:
    by_schema: dict[str, set[str]] = {}
    for schema, table in rows:
        by_schema.setdefault(schema, set()).update([table] if table else [])
    return {name: frozenset(tables) for name, tables in by_schema.items()}


def _look_among(connection: Connection, names: list[str]) -> tuple[dict[str, frozenset[str]], frozenset[str]]:
    """The tables of schemas that have some names, and the roles that have one of them."""
    roles = "SELECT rolname::text FROM pg_catalog.pg_roles WHERE rolname = ANY (%s)"
    rows, named = connection.ask_at_once((_TABLES, (names,)), (roles, (names,)))
    return _by_schema(rows), frozenset(name for (name,) in named)
