"""MySQL and MariaDB: the plan of a cut-over, on disk before anything is changed, and the steps that it consists of.

Every step can be done again, so whoever finds a plan finishes it or undoes it, by looking at which tables are where.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import Enum
from typing import Any

import pymysql

from ...errors import CutOverUnfinished
from ..model import SchemaObject
from .connect import quote
from .copy import NOT_LIVE, charset_of, explain_refusal, session_of
from .fence import Content, content
from .objects import SEQUENCE, MySqlObject, event_with, objects, strip_database, tables, tables_in
from .session import Connection, execute, exists, is_refusal, one_at_a_time

PLAN = "cutover_plan"
"""A table of the control database; it has a row as long as a cut-over is under way."""

_ROUTINES = ("function", "procedure")
_DEFAULTS = (
    "SELECT table_name, column_name, column_default FROM information_schema.columns WHERE table_schema = %s "
    "AND column_default LIKE CONCAT('%%val(', %s, '%%') ORDER BY table_name, column_name"
)
_SEQUENCE_NAMED = re.compile(r"\b(?:nextval|lastval|setval)\((?:`(?:[^`]|``)+`\.)?`((?:[^`]|``)+)`", re.IGNORECASE)


class Live(Enum):
    """Which tables have the target's names."""

    OLD = "old"
    NEW = "new"
    MIXED = "mixed"


@dataclass(frozen=True)
class Plan:
    """What a cut-over does.

    :ivar leaving: the target's tables and sequences, which go to ``old``.
    :ivar coming: those of staging, which take their names.
    :ivar staying: sequences that the target keeps; staging's go to ``old``.
    :ivar closing: those sequences among ``leaving``.
    :ivar later: staging's tables with a default that names a sequence which does not stay.
    :ivar live: the target's objects; they are kept in ``old``, where no event runs.
    :ivar new: staging's objects, which the target gets.
    :ivar defaults: table, column and expression of each default that names a sequence of staging.
    :ivar content: what the leaving tables hold.
    """

    staging: str
    target: str
    old: str
    leaving: list[str]
    coming: list[str]
    live: list[MySqlObject]
    new: list[MySqlObject]
    defaults: list[tuple[str, str, str]]
    content: Content
    staying: list[str] = field(default_factory=list)
    closing: list[str] = field(default_factory=list)
    later: list[str] = field(default_factory=list)

    @property
    def forward(self) -> str:
        """The pairs of RENAME TABLE that make staging live."""
        leaving, copies = (self.target, self.old, self.leaving), (self.staging, self.old, self.staying)
        return self._pairs([leaving, copies, (self.staging, self.target, self.coming)])

    @property
    def back(self) -> str:
        """Those that undo it."""
        coming, copies = (self.target, self.staging, self.coming), (self.old, self.staging, self.staying)
        return self._pairs([coming, copies, (self.old, self.target, self.leaving)])

    @staticmethod
    def _pairs(moves: Sequence[tuple[str, str, Sequence[str]]]) -> str:
        return ", ".join(
            f"{quote(source)}.{quote(name)} TO {quote(to)}.{quote(name)}"
            for source, to, names in moves
            for name in names
        )

    @property
    def names(self) -> list[str]:
        """All names of tables that are live before or after."""
        return sorted({*self.leaving, *self.coming})

    def triggers(self, of: Sequence[MySqlObject]) -> list[MySqlObject]:
        return [item for item in of if item.kind == "trigger"]


def make_plan(
    connection: Connection, staging: str, target: str, old: str, digests: Content, staying: Sequence[str] = ()
) -> Plan:
    """Look at both databases; nothing is changed.

    :param digests: what the target's tables hold.
    :param staying: sequences that the target keeps.
    """
    defaults = execute(connection, _DEFAULTS, staging, f"{quote(staging)}.")
    drawing = execute(connection, _DEFAULTS, staging, "`")
    in_target, in_staging = tables_in(connection, target, staging)
    return Plan(
        staging,
        target,
        old,
        [name for name in in_target if name not in staying],
        [name for name in in_staging if name not in staying],
        _of(connection, target),
        _of(connection, staging),
        [(table, column, strip_database(default, staging)) for table, column, default in defaults],
        digests,
        list(staying),
        [name for name, kind in in_target.items() if kind == SEQUENCE and name not in staying],
        sorted({table for table, _, default in drawing if not _named_in(default) <= {*staying}}),
    )


def _of(connection: Connection, database: str) -> list[MySqlObject]:
    """A database's objects but its sequences, which are moved as tables are."""
    return [item for item in objects(connection, database) if isinstance(item, MySqlObject) and item.kind != "sequence"]


def prepare_plan(connection: Connection, control: str) -> None:
    """Make the place of the plan: before the server's last checkpoint, as with everything that is not renamed."""
    table = f"{quote(control)}.{PLAN}"
    sql = f"CREATE TABLE IF NOT EXISTS {table} (id INT PRIMARY KEY, plan LONGTEXT NOT NULL) CHARACTER SET utf8mb4"
    execute(connection, f"{sql} ENGINE=InnoDB")


def write_plan(connection: Connection, control: str, plan: Plan) -> None:
    """Put the plan on disk."""
    execute(connection, f"INSERT INTO {quote(control)}.{PLAN} VALUES (1, %s)", json.dumps(asdict(plan)))


def read_plan(connection: Connection, control: str) -> Plan | None:
    """The plan of a cut-over that has not ended, if there is one."""
    if PLAN not in tables(connection, control):
        return None
    rows = execute(connection, f"SELECT plan FROM {quote(control)}.{PLAN}")
    if not rows:
        return None
    data: dict[str, Any] = json.loads(rows[0][0])
    for name in ("live", "new"):
        data[name] = [MySqlObject(**{**item, "session": _pairs_of(item["session"])}) for item in data[name]]
    data["defaults"] = _pairs_of(data["defaults"])
    return Plan(**{**data, "defaults": list(data["defaults"])})


def _pairs_of(lists: list[list[str]]) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(item) for item in lists)


def delete_plan(connection: Connection, control: str) -> None:
    """The cut-over has ended."""
    execute(connection, f"DELETE FROM {quote(control)}.{PLAN}")


def look(connection: Connection, plan: Plan) -> Live:
    """Which tables are where; a step is done when its source is gone or its destination is there."""
    old, staging = tables_in(connection, plan.old, plan.staging)
    steps = [name in old for name in (*plan.leaving, *plan.staying)]
    steps += [name not in staging for name in plan.coming]
    if all(steps):
        return Live.NEW
    return Live.MIXED if any(steps) else Live.OLD


def rename_back(connection: Connection, plan: Plan) -> None:
    """Undo those steps of a rename that are done; no server that is supported has ever done some of them only."""
    old, staging = tables_in(connection, plan.old, plan.staging)
    pairs = [(plan.target, plan.staging, name) for name in plan.coming if name not in staging]
    pairs += [(plan.old, plan.staging, name) for name in plan.staying if name in old]
    pairs += [(plan.old, plan.target, name) for name in plan.leaving if name in old]
    moves = (f"{quote(source)}.{quote(name)} TO {quote(to)}.{quote(name)}" for source, to, name in pairs)
    execute(connection, f"RENAME TABLE {', '.join(moves)}")


def find_late_writes(connection: Connection, plan: Plan) -> list[str]:
    """The tables in ``old`` that do not hold what they held when the target was last looked at."""
    now = content(connection, plan.old, spelled=plan.target)
    return sorted(name for name in {*now, *plan.content} if now.get(name) != plan.content.get(name))


def refuse_late(connection: Connection, plan: Plan, control: str) -> None:
    """Refuse to finish a cut-over over rows that were written to the old tables meanwhile.

    A swap finds this out while nobody can write, and undoes itself; afterwards the new tables may have been written,
    too, and nobody but the user can say what belongs together.

    :raises CutOverUnfinished: with the tables, and where they are.
    """
    if late := find_late_writes(connection, plan):
        raise CutOverUnfinished(
            f"{plan.target} is the new database, and rows that were written to the old one during the cut-over are "
            f"only in {plan.old}: see the tables {', '.join(late)}.",
            hint=f"Bring these rows over, then run: DELETE FROM {quote(control)}.{PLAN}; and the command again.",
        )


def prepare_old(connection: Connection, plan: Plan) -> None:
    """Make the generation, with what needs no tables; a refusal comes now, while nothing is changed."""
    if not exists(connection, plan.old):
        execute(connection, f"CREATE DATABASE {quote(plan.old)} {charset_of(connection, plan.target)}")
    install(connection, plan.old, [item for item in plan.live if item.kind in (*_ROUTINES, "event")], live=False)


def drop_triggers(connection: Connection, database: str, wanted: Sequence[MySqlObject]) -> None:
    """Drop triggers: a table with one cannot go to another database (error 1435)."""
    for item in reversed(wanted):
        execute(connection, f"DROP TRIGGER IF EXISTS {quote(database)}.{quote(item.name)}")


def missing_triggers(connection: Connection, database: str, wanted: Sequence[MySqlObject]) -> list[MySqlObject]:
    """The triggers among some objects that a database has not."""
    if not any(item.kind == "trigger" for item in wanted):
        return []
    sql = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = %s"
    there = {name for (name,) in execute(connection, sql, database)}
    return [item for item in wanted if item.kind == "trigger" and item.name not in there]


def bring_routines(connection: Connection, plan: Plan) -> None:
    """Give the target staging's routines; nothing of them needs a table."""
    _bring(connection, plan, _ROUTINES)


def _named_in(default: str) -> set[str]:
    """The sequences that a default names."""
    return {name.replace("``", "`") for name in _SEQUENCE_NAMED.findall(default)}


def defaults_of_staying(plan: Plan) -> list[tuple[str, str]]:
    """Table and statement of those whose defaults are to name sequences of which none is closed, nor was.

    The server opens the sequences of all of a table's defaults, also of those that are not changed: it would wait for
    one that is closed, and does not look for one that is changed (both seen).
    """
    return [(table, sql) for table, sql in _set_defaults(plan.defaults) if table not in plan.later]


def _set_defaults(defaults: Sequence[tuple[str, str, str]]) -> list[tuple[str, str]]:
    """Table and statement, one for all defaults of a table."""
    settings: dict[str, list[str]] = {}
    for table, column, default in defaults:
        settings.setdefault(table, []).append(f"ALTER COLUMN {quote(column)} SET DEFAULT ({default})")
    return [(table, f"ALTER TABLE {quote(table)} {', '.join(parts)}") for table, parts in settings.items()]


def _repair_defaults(connection: Connection, plan: Plan) -> None:
    """Let defaults that name a sequence of staging still name it where it is now.

    An application that relies on such a default meanwhile has an error: a statement that uses two tables cannot be
    run while both are closed.
    """
    if not plan.defaults:
        return
    connection.select_db(plan.target)
    defaults = execute(connection, _DEFAULTS, plan.target, f"{quote(plan.staging)}.")
    wanted = [(table, column, strip_database(default, plan.staging)) for table, column, default in defaults]
    for _, sql in _set_defaults(wanted):
        execute(connection, sql)


def finish(connection: Connection, plan: Plan, control: str) -> None:
    """After the rename, when everybody may come in: views and events, and everything that the generation keeps.

    :raises CutOverUnfinished: the new database is live, and an object of it could not be created.
    """
    try:
        _repair_defaults(connection, plan)
        _bring(connection, plan, ("view", "event"))
        install(connection, plan.old, plan.live, live=False)
    except pymysql.Error as error:
        if not is_refusal(error):
            raise
        raise CutOverUnfinished(
            f"The new database is live in {plan.target}, but one of its objects could not be created: {error}",
            hint="Run the command again; it goes on from here.",
        ) from error
    if not tables(connection, plan.staging):
        execute(connection, f"DROP DATABASE IF EXISTS {quote(plan.staging)}")
    delete_plan(connection, control)


def _bring(connection: Connection, plan: Plan, kinds: Sequence[str]) -> None:
    """Give the target staging's objects in the place of its own; what is the same in both stays as it is."""
    wanted = [item for item in plan.new if item.kind in kinds]
    former = [item for item in plan.live if item.kind in kinds]
    names = {(item.kind, item.name) for item in wanted}
    for item in former:
        if (item.kind, item.name) not in names:
            execute(connection, _drop(plan.target, item))
    install(connection, plan.target, [item for item in wanted if item not in former], live=True)


def _drop(database: str, item: SchemaObject) -> str:
    return f"DROP {item.kind.upper()} IF EXISTS {quote(database)}.{quote(item.name)}"


def install(connection: Connection, database: str, wanted: Sequence[MySqlObject], *, live: bool) -> None:
    """Create objects in the place of those that have their names; triggers that are there stay.

    :param live: events run; else they do not.
    """
    if not wanted:
        return
    connection.select_db(database)
    missing = missing_triggers(connection, database, wanted)
    with one_at_a_time(connection):
        for kind in (*_ROUTINES, "view", "trigger", "event"):
            items = missing if kind == "trigger" else [item for item in wanted if item.kind == kind]
            _install_all(connection, database, items, live=live)


def _install_all(connection: Connection, database: str, items: Sequence[MySqlObject], *, live: bool) -> None:
    while items:
        failed = [(item, error) for item in items if (error := _install(connection, database, item, live=live))]
        if len(failed) == len(items):
            raise failed[0][1]
        items = [item for item, _ in failed]


def _install(connection: Connection, database: str, item: MySqlObject, *, live: bool) -> pymysql.Error | None:
    """Create one object; what the server says if it refuses a view, which may need another one."""
    sql = item.sql
    with session_of(connection, item):
        match item.kind:
            case "view":
                sql = sql.replace("CREATE ", "CREATE OR REPLACE ", 1)
            case "event":
                sql = sql if live else event_with(NOT_LIVE, sql)
        # Also a trigger that is not there: a server that was killed may have kept the name of it (seen).
        if item.kind != "view":
            execute(connection, _drop(database, item))
        try:
            execute(connection, sql)
        except pymysql.Error as error:
            if item.kind != "view" or not is_refusal(error):
                raise
            return error
    return None


def try_trigger(connection: Connection, control: str, table: str, wanted: Sequence[SchemaObject]) -> None:
    """See that a trigger can be created before any is dropped.

    :raises DoesNotFit: it cannot, e.g. for want of a privilege.
    """
    for item in wanted[:1]:
        name = f"{quote(control)}.cutover_try"
        try:
            execute(connection, f"DROP TRIGGER IF EXISTS {name}")
            place = f"{quote(control)}.{table}"
            execute(connection, f"CREATE TRIGGER {name} BEFORE INSERT ON {place} FOR EACH ROW SET @ferry = 1")
            execute(connection, f"DROP TRIGGER {name}")
        except pymysql.Error as error:
            if not is_refusal(error):
                raise
            raise explain_refusal(item, error) from error
