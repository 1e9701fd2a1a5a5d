"""MySQL and MariaDB: the generation mark, and the swap by one RENAME TABLE over everything.

One RENAME TABLE is atomic to other connections, and after a crash of the server either all of it has happened or
nothing (MariaDB from 10.6, measured in 1170 kills; MySQL 8.0, manual 15.1.1). Everything around it, the triggers above
all, which cannot change their database, is in a plan that was put on disk before.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

import pymysql

from ...errors import CutOverUnfinished, FerryError, Protected
from ..counters import refuse_drawn
from ..model import LateWrite
from . import sequences, swap_barrier
from .connect import number_of, quote, words_of
from .copy import check_view
from .fence import MySqlFence, content, token
from .objects import MySqlObject, is_mariadb, objects, tables, tables_in
from .session import Connection, Factory, blockers, execute, exists, id_of, list_held, until
from .swap_barrier import Barrier, NotThrough
from .swap_plan import (
    Live,
    Plan,
    bring_routines,
    defaults_of_staying,
    delete_plan,
    drop_triggers,
    find_late_writes,
    finish,
    install,
    look,
    make_plan,
    missing_triggers,
    prepare_old,
    prepare_plan,
    read_plan,
    refuse_late,
    rename_back,
    try_trigger,
    write_plan,
)

__all__ = ["MySqlFence", "recover", "swap", "token"]

CLOSED_S = 10.0
"""Readers wait while a statement of ours waits for one that does not end; so it does not wait for longer than this."""

_DENIED_OR_UNKNOWN = (1227, 1193)
_END_S = 60.0


def swap(
    factory: Factory,
    staging: str,
    target: str,
    old: str,
    control: str,
    fence: MySqlFence,
    token: bytes,
    timeout_s: float,
) -> None:
    """Make ``target`` what ``staging`` is, and ``old`` what ``target`` was, unless that was written since ``token``.

    Tables keep their indexes, keys and counters; views, triggers, routines and events go both ways. Events of ``old``
    do not run. The staging database is dropped, empty as it is then. The target's character set and collation stay.

    Writers wait from when the locks are taken until the end, readers while the tables are renamed and the old ones
    are looked through once more. Nobody else's statement comes between the last look at the target and the rename.

    :param control: the control database, created if it is absent.
    :param fence: of the target; held or not, it is not held afterwards. Its ``notes`` may grow.
    :param token: what :func:`token` said of the target.
    :param timeout_s: how long to wait for others who keep tables locked.
    :raises LateWrite: the target was written; nothing is changed.
    :raises LockHeld: others, named, kept tables locked for ``timeout_s``; nothing is changed.
    :raises DoesNotFit: an object that could not be created again; nothing is changed.
    :raises Protected: the server has too few connections to give, or lies behind other databases' foreign keys.
    :raises CutOverUnfinished: an earlier swap has not ended, or the new database is live and lacks an object.
    """
    with factory(to_database=False, shared=True, several=True) as connection:
        _check(connection, staging, target, old, control)
        fence.notes += _checkpoint(connection)
        try:
            if not fence.is_held:
                fence.lock(timeout_s, [id_of(connection)])
            plan = _make_plan(connection, staging, target, old, token, fence)
            write_plan(connection, control, plan)
            _carry_out(factory, connection, plan, control, fence, timeout_s)
        finally:
            fence.release()
        finish(connection, plan, control)


def _check(connection: Connection, staging: str, target: str, old: str, control: str) -> None:
    """Find out what would fail later, before anybody is kept waiting."""
    execute(connection, f"CREATE DATABASE IF NOT EXISTS {quote(control)} CHARACTER SET utf8mb4")
    if read_plan(connection, control):
        raise CutOverUnfinished(
            f"A cut-over of {target} was begun and has not ended.", hint="Run the command again; it is ended first."
        )
    in_old, in_target, in_staging = tables_in(connection, old, target, staging)
    if in_old:
        raise FerryError(f"{old}, where the live tables are to go, has tables already.")
    swap_barrier.prepare(connection, control)
    prepare_plan(connection, control)
    swap_barrier.check_connections(connection, len({*in_target, *in_staging}))
    _check_references(connection, target)
    for database in (target, staging):
        items = objects(connection, database)
        try_trigger(connection, control, swap_barrier.VETO, [item for item in items if item.kind == "trigger"])
        for item in items:
            if item.kind == "view":
                check_view(connection, database, item.name)


def _check_references(connection: Connection, target: str) -> None:
    """Foreign keys of other databases would silently go on pointing at the old tables (seen)."""
    sql = (
        "SELECT DISTINCT constraint_schema, table_name FROM information_schema.referential_constraints "
        "WHERE unique_constraint_schema = %s AND constraint_schema <> %s"
    )
    if outside := execute(connection, sql, target, target):
        raise Protected(
            f"Tables of other databases refer to tables of {target}: they would go on referring to the old ones.",
            details=[f"{schema}.{table}" for schema, table in outside],
            hint="Drop these foreign keys before, and create them again afterwards.",
        )


def _checkpoint(connection: Connection) -> list[str]:
    """Let the server write its pages out; what there is to say where it cannot be told to, nor has done so itself.

    A server that is killed over and over while tables are renamed that are younger than its last checkpoint may not
    start any more (MariaDB 10.11: 13 of 465 kills without a checkpoint in between, 0 of 740 with one).
    """
    if not is_mariadb(connection):
        return []
    before = _status(connection, "Innodb_lsn_current")
    try:
        execute(connection, "SET GLOBAL innodb_log_checkpoint_now = 1")
        return []
    except pymysql.Error as error:
        if number_of(error) not in _DENIED_OR_UNKNOWN:
            raise
        why = words_of(error)
    if _status(connection, "Innodb_lsn_last_checkpoint") >= before:
        return []
    return [
        f"The server could not be told to checkpoint before the cut-over: {why}. Should it crash again and again in "
        "the next minutes, the backup file is the way back."
    ]


def _status(connection: Connection, name: str) -> int:
    [(_, value)] = execute(connection, "SHOW GLOBAL STATUS LIKE %s", name)
    return int(value)


def _make_plan(connection: Connection, staging: str, target: str, old: str, expected: bytes, fence: MySqlFence) -> Plan:
    """The plan, made while writers wait.

    :raises LateWrite: the target is not what it was.
    """
    sight, drawn_beside = fence.look_again(connection), fence.drawn_beside
    if sight.token != expected:
        raise LateWrite
    if drawn_beside:
        refuse_drawn(sequences.read_all(connection, target).values(), drawn_beside)
    staying = sequences.find_staying(connection, target, staging, drawn_beside)
    return make_plan(connection, staging, target, old, dict(sight.tables), staying)


def _carry_out(
    factory: Factory, connection: Connection, plan: Plan, control: str, fence: MySqlFence, timeout_s: float
) -> None:
    """Rename, and bring what belongs to the tables; whatever fails, look what has become of it.

    Nothing is undone while a statement of ours may still rename: the plan stays for who ends it.
    """
    closed: Barrier | None = None
    try:
        prepare_old(connection, plan)
        drop_triggers(connection, plan.staging, plan.triggers(plan.new))
        closed = Barrier(factory, plan.target, control, plan.names)
        fence.release()
        try:
            _rename(connection, closed, plan, fence.drawn_beside, min(timeout_s, CLOSED_S))
            _complete(connection, closed, plan)
        finally:
            closed.open()
    except (LateWrite, FerryError, pymysql.Error) as error:
        if closed is not None and closed.is_undecided:
            raise CutOverUnfinished(
                f"The cut-over of {plan.target} did not end, and could not be ended: {words_of(error)} "
                "What is live is decided by the next command.",
                hint="Run the command again; it ends the cut-over first.",
            ) from error
        if look(connection, plan) is Live.OLD:
            undo(connection, plan, control)
            raise
        if isinstance(error, CutOverUnfinished):
            raise
        raise CutOverUnfinished(
            f"The cut-over of {plan.target} was interrupted: {words_of(error)}",
            hint="Run the command again; it ends the cut-over first.",
        ) from error


def _rename(
    connection: Connection, closed: Barrier, plan: Plan, drawn_beside: Mapping[str, int], timeout_s: float
) -> None:
    """Make staging's tables live, and see that nothing was written to the old ones since the last look at them.

    Once nobody uses a table with triggers any more, dropping and creating them waits for nobody, so what cannot be
    done in time is found out while nothing is changed. Should this process be killed in between, the target has no
    triggers until the next command; whether it was written then is seen by its content.
    """
    leaving = plan.triggers(plan.live)
    try:
        if leaving or plan.closing:
            closed.drain(sorted({*(item.table for item in leaving), *plan.closing}), timeout_s)
        if plan.closing:
            sequences.go_on(connection, closed, plan, drawn_beside)
        # The last one first: those that are left keep their order when the others are created again.
        for item in reversed(leaving):
            closed.through(f"DROP TRIGGER {quote(plan.target)}.{quote(item.name)}", item.table)
        if plan.forward:
            closed.rename(plan.forward, timeout_s)
    except (NotThrough, FerryError, pymysql.Error) as error:
        if closed.is_undecided:
            raise
        if look(connection, plan) is not Live.NEW:
            others = blockers(connection, plan.target) if isinstance(error, NotThrough) else []
            _triggers_back(connection, closed, plan)
            if isinstance(error, NotThrough):
                raise list_held(others, plan.target, timeout_s) from error
            raise
    if find_late_writes(closed.reader, plan):
        closed.rename(plan.back, timeout_s)
        _triggers_back(connection, closed, plan)
        raise LateWrite


def _triggers_back(connection: Connection, closed: Barrier, plan: Plan) -> None:
    """Give the old tables their triggers again, before anybody can write."""
    for item in missing_triggers(connection, plan.target, plan.live):
        closed.through(item.sql, item.table, item)


def _complete(connection: Connection, closed: Barrier, plan: Plan) -> None:
    """Give the new tables what they need before anybody can write to them."""
    bring_routines(connection, plan)
    for table, sql in defaults_of_staying(plan):
        closed.through(sql, table)
    for item in plan.triggers(plan.new):
        closed.through(item.sql, item.table, item)


def undo(connection: Connection, plan: Plan, control: str) -> None:
    """After a rename that was not done, or was undone: both databases as they were."""
    install(connection, plan.target, plan.triggers(plan.live), live=True)
    if exists(connection, plan.staging):
        install(connection, plan.staging, plan.triggers(plan.new), live=False)
    if not tables(connection, plan.old):
        execute(connection, f"DROP DATABASE IF EXISTS {quote(plan.old)}")
    delete_plan(connection, control)


def recover(factory: Factory, staging: str, target: str, old: str, control: str) -> list[str]:
    """Finish or undo a swap that was killed, by looking at which tables are where.

    Called under the lock only, as often as one likes; it may be killed itself.

    :return: what there is to say about it, in sentences.
    :raises CutOverUnfinished: rows are in the old tables only, or an object of the new database cannot be created.
    """
    with factory(to_database=False, shared=True, several=True) as connection:
        plan = read_plan(connection, control)
        if plan is None:
            return []
        if (plan.staging, plan.target, plan.old) != (staging, target, old):
            raise CutOverUnfinished(
                f"The cut-over that was begun is that of {plan.staging} to {plan.target}, not of {staging} to {target}."
            )
        _end_queued(connection, plan, control)
        if look(connection, plan) is Live.MIXED:
            rename_back(connection, plan)
        if look(connection, plan) is Live.OLD:
            notes = _without(connection, plan, plan.live) if content(connection, target) != plan.content else []
            undo(connection, plan, control)
            return notes
        refuse_late(connection, plan, control)
        notes = _without(connection, plan, plan.new)
        bring_routines(connection, plan)
        install(connection, target, plan.triggers(plan.new), live=True)
        finish(connection, plan, control)
        return notes


def _without(connection: Connection, plan: Plan, wanted: list[MySqlObject]) -> list[str]:
    """What is to be said of triggers that live tables were without for a while."""
    missing = ", ".join(item.name for item in missing_triggers(connection, plan.target, wanted))
    if not missing:
        return []
    when = "since a cut-over was interrupted, and may have been written"
    return [f"{plan.target} was without these triggers {when}: {missing}."]


def _end_queued(connection: Connection, plan: Plan, control: str) -> None:
    """End what a killed swap left waiting at the server, which would carry it out even now.

    :raises FerryError: it does not end.
    """
    numbers = _list_queued(connection, plan, control)
    for number in numbers:
        with contextlib.suppress(pymysql.Error):
            execute(connection, f"KILL {number}")
    if not until(lambda: not _list_queued(connection, plan, control), _END_S):
        raise FerryError("A statement that an interrupted cut-over left behind does not end.", hint="Run again.")


def _list_queued(connection: Connection, plan: Plan, control: str) -> list[int]:
    sql = "SELECT id, info FROM information_schema.processlist WHERE id <> CONNECTION_ID() AND info IS NOT NULL"
    area, live = f"{quote(control)}.", f"{quote(plan.target)}."
    ours = (f"RENAME TABLE {area}", f"RENAME TABLE {live}", f"LOCK TABLES {area}")
    triggers = (f"DROP TRIGGER {live}", *(item.sql for item in (*plan.live, *plan.new)))
    return [
        int(number)
        for number, info in execute(connection, sql)
        if (info.startswith(ours) and area in info) or info.startswith(triggers)
    ]
