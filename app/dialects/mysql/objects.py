"""MySQL and MariaDB: what a database holds besides rows, as statements that do not spell its name.

The owner (``DEFINER``) is left out: whoever creates an object again is its owner, with his rights, as only an
administrator may name another one. The body of a trigger, routine or event is text that nobody rewrites: where it
spells a database, it goes on meaning that one.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ...errors import DoesNotFit
from ..model import SchemaObject
from .catalogue import Catalogue, Fact, ask_facts
from .connect import quote
from .driver import version_of
from .session import Connection, execute, execute_all, spell, using

SEQUENCE = "SEQUENCE"
VERSIONED = "SYSTEM VERSIONED"

MARK = re.compile(r" ?\bferry ([0-9a-f]{8})\b")
"""The generation mark, in the comment of Alembic's table; whatever else stands there is the user's."""

_TABLES = (
    "SELECT table_name, table_type FROM information_schema.tables WHERE table_schema = %s "
    "AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE') ORDER BY BINARY table_name"
)
_LISTED = (
    Fact(*("database", "''", "schema_name", "0", ()), "schemata WHERE schema_name = %s"),
    Fact(
        *("table", "table_name", "''", "0", ("table_type",)),
        "tables WHERE table_schema = %s AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED', 'SEQUENCE')",
    ),
    Fact(
        *("routine", "routine_type", "routine_name", "0", ("lower(routine_type)",)),
        "routines WHERE routine_schema = %s",
    ),
    Fact(*("view", "table_name", "''", "0", ()), "views WHERE table_schema = %s"),
    # In the order in which they fire.
    Fact(
        *("trigger", "event_object_table", "CONCAT(action_timing, ' ', event_manipulation)", "action_order"),
        ("trigger_name", "action_statement", "sql_mode", "collation_connection"),
        "triggers WHERE trigger_schema = %s",
    ),
)

_OWNER = re.compile(
    r"\A(CREATE\s+(?:OR\s+REPLACE\s+)?(?:ALGORITHM\s*=\s*\w+\s+)?)"
    r"DEFINER\s*=\s*(?:`(?:[^`]|``)*`|'[^']*'|\w+)(?:\s*@\s*(?:`(?:[^`]|``)*`|'[^']*'|[\w.%]+))?\s+",
    re.IGNORECASE,
)
_IDENTIFIER = re.compile(r"`((?:[^`]|``)+)`")
_OF_ALEMBIC = re.compile(r"CREATE TABLE `(?:[^`]|``)+` \(\s*`version_num` ")
"""How the table begins that may have a mark, whatever an app calls it."""
_COUNTER = re.compile(r" AUTO_INCREMENT=[0-9]+")
_STATUS = re.compile(
    r"\b(ON COMPLETION (?:NOT )?PRESERVE) (ENABLE|DISABLE ON SLAVE|DISABLE ON REPLICA)(?= COMMENT | DO )"
)
# Of a column that has the collation of its table MySQL says the collation; of one that was made with those very words,
# as in a copy, the character set as well (seen). It is the same column.
_SAID_TWICE = re.compile(
    r"^(  `(?:[^`]|``)+` (?:[^'\n]|'(?:[^']|'')*')*?) CHARACTER SET (\w+)(?= COLLATE \2_)", re.MULTILINE
)


@dataclass(frozen=True)
class MySqlObject(SchemaObject):
    """An object with what its statement needs of the session that runs it.

    :ivar session: names and values: sql_mode, collation_connection, time_zone.
    :ivar position: of a sequence, its next value and its round; rows of a kind, so no part of the definition.
    """

    session: tuple[tuple[str, str], ...] = ()
    position: tuple[int, int] | None = field(default=None, compare=False, repr=False)


def tables(connection: Connection, database: str) -> dict[str, str]:
    """Everything that rows are in, sequences too: name -> type, in the order in which the server locks them."""
    return {str(name): str(kind) for name, kind in execute(connection, _TABLES, database)}


def tables_in(connection: Connection, *databases: str) -> list[dict[str, str]]:
    """As :func:`tables`, of several databases."""
    answers = execute_all(connection, [spell(connection, _TABLES, database) for database in databases])
    return [{str(name): str(kind) for name, kind in rows} for rows in answers]


def definition(connection: Connection, database: str, table: str, kind: str) -> str:
    """The statement that creates a table or sequence, as the server gives it."""
    [row] = execute(connection, _show(database, table, kind))
    return _definition_in(row)


def _show(database: str, table: str, kind: str) -> str:
    return f"SHOW CREATE {'SEQUENCE' if kind == SEQUENCE else 'TABLE'} {quote(database)}.{quote(table)}"


def _definition_in(row: tuple[Any, ...]) -> str:
    return _SAID_TWICE.sub(r"\1", str(row[1]))


def strip_database(sql: str, database: str) -> str:
    """Take a database's name out of where the server puts it in: sequences in defaults and views (seen)."""
    return re.sub(rf"\b(nextval|lastval|setval)\({re.escape(quote(database))}\.", r"\1(", sql, flags=re.IGNORECASE)


def comparable(sql: str, database: str) -> str:
    """A table's definition without what rows and marks change, and without the database's name."""
    sql = strip_database(_COUNTER.sub("", sql), database)
    return MARK.sub("", sql).replace(" COMMENT=''", "") if _OF_ALEMBIC.match(sql) else sql


def list_all(connection: Connection, database: str) -> Catalogue:
    """Names of everything but events: ``database`` where it is there, ``table``, ``routine``, ``view``, ``trigger``."""
    return ask_facts(functools.partial(execute, connection), _LISTED, database)


def tables_of(listed: Catalogue) -> dict[str, str]:
    """As :func:`tables`, of what was listed."""
    return {name: kind for name, _, kind, *_ in sorted(listed["table"], key=lambda row: row[0].encode())}


def definitions_of(connection: Connection, database: str, kinds: Mapping[str, str]) -> dict[str, str]:
    """The statements that create tables and sequences.

    :param kinds: as :func:`tables` has them.
    """
    rows = execute_all(connection, [_show(database, name, kind) for name, kind in kinds.items()])
    return {name: _definition_in(row) for name, [row] in zip(kinds, rows, strict=True)}


def define_all(connection: Connection, database: str, listed: Catalogue) -> tuple[dict[str, str], list[str]]:
    """The statements that create the tables and sequences, and the names of events."""
    kinds = tables_of(listed)
    *rows, events = execute_all(
        connection,
        [*(_show(database, name, kind) for name, kind in kinds.items()), f"SHOW EVENTS FROM {quote(database)}"],
    )
    return {name: _definition_in(row) for name, [row] in zip(kinds, rows, strict=True)}, _names_of(events)


def _list_with_events(connection: Connection, database: str) -> tuple[Catalogue, list[str]]:
    events = list[tuple[Any, ...]]()

    def ask(sql: str, *values: str) -> list[tuple[Any, ...]]:
        rows, more = execute_all(connection, [spell(connection, sql, *values), f"SHOW EVENTS FROM {quote(database)}"])
        events.extend(more)
        return rows

    return ask_facts(ask, _LISTED, database), _names_of(events)


def _names_of(events: list[tuple[Any, ...]]) -> list[str]:
    # SHOW EVENTS says so where the privilege is missing; information_schema would show none.
    return sorted(str(row[1]) for row in events)


def schema_fingerprint(connection: Connection, database: str) -> str:
    """A digest of all tables' definitions and all objects; an empty text where there is no such database."""
    listed = list_all(connection, database)
    if not listed["database"]:
        return ""
    statements, events = define_all(connection, database, listed)
    return fingerprint_of(database, statements, objects(connection, database, listed, events))


def fingerprint_of(database: str, statements: dict[str, str], items: list[SchemaObject]) -> str:
    """As :func:`schema_fingerprint`, of tables' definitions and objects that were asked for before."""
    definitions: list[Any] = [(name, comparable(sql, database)) for name, sql in statements.items()]
    definitions += items
    return hashlib.sha256(repr(definitions).encode()).hexdigest()


def objects(
    connection: Connection, database: str, listed: Catalogue | None = None, events: list[str] | None = None
) -> list[SchemaObject]:
    """Sequences, routines, views, triggers and events, in an order that creates them.

    :param listed: what :func:`list_all` says, where it was asked before.
    :param events: their names, where they were asked for as well.
    :raises DoesNotFit: one that the user may not see the body of, or of a kind that is not known here.
    """
    if listed is None or events is None:
        listed, events = _list_with_events(connection, database)
    # Where it is the default database, the server leaves its name out of a body.
    has_bodies = listed["routine"] or listed["view"] or events
    with using(connection, database) if has_bodies else contextlib.nullcontext():
        return [
            *_sequences(connection, database, listed),
            *_routines(connection, database, listed),
            *_views(connection, database, listed),
            *_triggers(listed),
            *_events(connection, database, events),
        ]


def without_owner(sql: str) -> str:
    """A statement without its ``DEFINER``."""
    return _OWNER.sub(r"\1", sql, count=1)


def event_with(status: str, sql: str) -> str:
    """An event's statement with another status; one that was disabled for good stays so.

    On a database that is not live it is ``DISABLE ON SLAVE``, which nobody uses by hand and the scheduler passes over.
    """
    return _STATUS.sub(rf"\1 {status}", sql, count=1)


def _sequences(connection: Connection, database: str, listed: Catalogue) -> list[SchemaObject]:
    sequences: list[SchemaObject] = []
    for name, kind in tables_of(listed).items():
        if kind == SEQUENCE:
            sql = definition(connection, database, name, kind)
            sequences.append(MySqlObject("sequence", name, name, sql, position=position(connection, database, name)))
    return sequences


def position(connection: Connection, database: str, sequence: str) -> tuple[int, int]:
    """The next value that a sequence gives to a session that has none in store, and its round."""
    sql = f"SELECT next_not_cached_value, cycle_count FROM {quote(database)}.{quote(sequence)}"
    [(value, rounds)] = execute(connection, sql)
    return int(value), int(rounds)


def _routines(connection: Connection, database: str, listed: Catalogue) -> list[SchemaObject]:
    routines: list[SchemaObject] = []
    for _, name, kind, *_ in listed["routine"]:
        if kind not in ("function", "procedure"):
            raise DoesNotFit(
                f"{database} has a {kind}, {name}, which is not supported.",
                hint="Make functions and procedures of it, or drop it first.",
            )
        [row] = execute(connection, f"SHOW CREATE {kind.upper()} {quote(database)}.{quote(name)}")
        if row[2] is None:
            raise DoesNotFit(
                f"The database user may not see the body of the {kind} {name}.",
                hint="Let its owner migrate, or grant what SHOW CREATE needs (MariaDB: SELECT ON mysql.proc).",
            )
        session = (("sql_mode", row[1]), ("collation_connection", row[4]))
        routines.append(MySqlObject(kind, name, "", without_owner(row[2]), session))
    return routines


def _views(connection: Connection, database: str, listed: Catalogue) -> list[SchemaObject]:
    views: dict[str, SchemaObject] = {}
    for name, *_ in listed["view"]:
        [row] = execute(connection, f"SHOW CREATE VIEW {quote(database)}.{quote(name)}")
        sql = strip_database(without_owner(row[1]), database)
        views[name] = MySqlObject("view", name, name, sql, (("collation_connection", row[3]),))
    return _in_order(views)


def _in_order(views: dict[str, SchemaObject]) -> list[SchemaObject]:
    """Those that others may be made of first.

    Whatever is spelled like a view counts as one, so names can seem to need each other: then any order must do, as
    whoever creates them tries again.
    """
    needs = {
        name: {identifier.replace("``", "`") for identifier in _IDENTIFIER.findall(item.sql)} & views.keys() - {name}
        for name, item in views.items()
    }
    ordered: list[SchemaObject] = []
    while needs:
        ready = [name for name, others in needs.items() if not others & needs.keys()] or [next(iter(needs))]
        for name in ready:
            del needs[name]
            ordered.append(views[name])
    return ordered


def _triggers(listed: Catalogue) -> list[SchemaObject]:
    triggers: list[SchemaObject] = []
    for table, when, name, body, sql_mode, collation, *_ in listed["trigger"]:
        sql = f"CREATE TRIGGER {quote(name)} {when} ON {quote(table)} FOR EACH ROW {body}"
        session = (("sql_mode", sql_mode), ("collation_connection", collation))
        triggers.append(MySqlObject("trigger", name, table, sql, session))
    return triggers


def _events(connection: Connection, database: str, names: list[str]) -> list[SchemaObject]:
    events: list[SchemaObject] = []
    for name in names:
        [row] = execute(connection, f"SHOW CREATE EVENT {quote(database)}.{quote(name)}")
        session = (("sql_mode", row[1]), ("time_zone", row[2]), ("collation_connection", row[5]))
        sql = event_with("ENABLE", without_owner(row[3]))
        events.append(MySqlObject("event", name, "", sql, session))
    return events


def is_mariadb(connection: Connection) -> bool:
    """Whether it is MariaDB that answers."""
    return version_of(connection).is_mariadb
