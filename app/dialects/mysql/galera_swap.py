"""MariaDB: the swap of a database in a running Galera cluster, by one RENAME TABLE at one place of its order.

Every node runs a RENAME TABLE at the same place of the cluster's order. What was written to the old tables, and comes
later, is refused by certification at the node that took it. So nobody may write between the last look and that place::

    LOCK TABLES ... READ at every node; the look; the rename, over a connection of its own; all locks let go

They are let go only when the rename is seen to wait for a table here. Until it has its place, and all before it is
applied, it is shown as waiting for that ("to execute in isolation"); then for the tables, which are ours (seen). So
whatever is before it was applied while our lock was held, and is not on these tables.

A rename that was sent cannot be ended: KILL does nothing while it waits for its place, and then the server refuses it
(both seen). So it begins with a table of ours, its ticket. Who drops the ticket, at whatever node, has called the
rename off, or comes after it: which of them it is the order says, to all nodes alike. Besides, it is sent last of all;
the locks then stay for some seconds even if this process ends, and its connection does not stay if it is late.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path

import pymysql
from sqlalchemy import URL

from ...errors import CutOverUnfinished, FerryError
from .connect import quote, words_of
from .fence import MySqlFence
from .galera import at, check_objects, find_nodes, read_uid, wait_for_all
from .galera_fence import SENT_S, GaleraFence
from .session import PATIENT_S, Connection, Factory, Running, execute, id_of, is_refusal, until, waiting
from .swap import check, make_unwritten_plan, undo
from .swap import recover as recover_alone
from .swap import swap as swap_alone
from .swap_plan import Live, Plan, finish, look, prepare_old, read_plan, refuse_late, write_plan

_PLACE_S = 30.0
"""For a rename's place in the order of all; where others' statements are before it, they may wait for our locks."""
_END_S = 60.0
_OFF_S = 10.0
"""For a statement that waits for nobody, unless the rename has its place before it."""


def make_fence(url: URL, tls_ca: Path | None, factory: Factory, database: str) -> MySqlFence:
    """The fence of a database, whatever its server is."""
    return GaleraFence(url, tls_ca, database) if read_uid(url, tls_ca) else MySqlFence(factory, database)


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
    """As :func:`swap.swap`, whatever the server is.

    In a cluster writers wait until the rename has its place, at every node.

    :raises Protected: the cluster is not whole, or the new database has more than tables and views.
    """
    if not isinstance(fence, GaleraFence):
        swap_alone(factory, staging, target, old, control, fence, token, timeout_s)
        return
    here = at(find_nodes(fence.url, fence.tls_ca).here, fence.tls_ca)
    with here(to_database=False, shared=True, several=True) as connection:
        check(connection, staging, target, old, control)
        _make_ticket(connection, staging, control)
        for database in (target, staging):
            check_objects(connection, database)
        try:
            if not fence.is_held:
                fence.lock(timeout_s, [id_of(connection)])
            plan = make_unwritten_plan(connection, staging, target, old, token)
            write_plan(connection, control, plan)
            _carry_out(here, connection, plan, control, fence)
        finally:
            fence.release()
        finish(connection, plan, control)
        _drop_ticket(connection, plan, control)
    _wait_everywhere(fence)


def _spell_ticket(staging: str, control: str, name: str = "ticket") -> str:
    """The ticket of one cut-over: a rename of an earlier one, should it come yet, finds none."""
    return f"{quote(control)}.cutover_{name}_{hashlib.sha256(staging.encode()).hexdigest()[:16]}"


def _make_ticket(connection: Connection, staging: str, control: str) -> None:
    ticket = _spell_ticket(staging, control)
    execute(connection, f"CREATE TABLE IF NOT EXISTS {ticket} (id INT PRIMARY KEY) ENGINE=InnoDB")


def _drop_ticket(connection: Connection, plan: Plan, control: str) -> None:
    """Call the rename off, unless it was before; what is left of its ticket is dropped, too."""
    for name in ("ticket", "used"):
        execute(connection, f"DROP TABLE IF EXISTS {_spell_ticket(plan.staging, control, name)}")


def _carry_out(here: Factory, connection: Connection, plan: Plan, control: str, fence: GaleraFence) -> None:
    """Rename; whatever fails, look what has become of it, unless that cannot be seen yet."""
    try:
        prepare_old(connection, plan)
        if plan.names:
            _rename(here, plan, control, fence)
        refuse_late(connection, plan, control)
    except (FerryError, pymysql.Error) as error:
        if isinstance(error, CutOverUnfinished):
            raise
        if look(connection, plan) is Live.OLD:
            _drop_ticket(connection, plan, control)
            undo(connection, plan, control)
            raise
        raise CutOverUnfinished(
            f"The cut-over of {plan.target} was interrupted: {words_of(error)}",
            hint="Run the command again; it ends the cut-over first.",
        ) from error


def _rename(here: Factory, plan: Plan, control: str, fence: GaleraFence) -> None:
    """Send the rename, and let all writers go on when it has its place, or was called off.

    :raises CutOverUnfinished: it has not ended, and nobody can say here whether it will rename.
    """
    assert fence.locks  # noqa: S101 # writers wait
    session = (f"wait_timeout = {SENT_S}", f"lock_wait_timeout = {PATIENT_S}")
    ticket, used = (_spell_ticket(plan.staging, control, name) for name in ("ticket", "used"))
    with here(to_database=False, session=session, read_timeout=PATIENT_S) as worker:
        fence.check()
        execute(worker, "SELECT 1")
        fence.locks.stay()
        running = Running(worker, f"RENAME TABLE {ticket} TO {used}, {plan.forward}")
        try:
            has_place = _has_place(running, fence.locks.watch)
            if not has_place:
                _call_off(fence, ticket)
        finally:
            fence.release()
        if not running.join(_END_S if has_place else _OFF_S):
            running.connection.cut()
            raise _say_undecided(plan, "the rename has not ended")
        if running.error is not None and not _is_answer(running.error):
            raise _say_undecided(plan, words_of(running.error)) from running.error
        running.result()


def _has_place(running: Running, watch: Connection) -> bool:
    """Whether the rename has its place and waits for our locks, or has ended with an answer."""
    try:
        until(lambda: running.done or waiting(watch, [running]), _PLACE_S)
        return waiting(watch, [running]) or (running.done and (running.error is None or _is_answer(running.error)))
    except (pymysql.Error, OSError):
        return False


def _call_off(fence: GaleraFence, ticket: str) -> None:
    """Take the ticket away at another node, while nobody can write yet.

    Where that waits, the rename, or something of others, is before it, and waits for our locks itself.
    """
    assert fence.locks  # noqa: S101 # writers wait
    for node in fence.locks.nodes.others:
        with (
            contextlib.suppress(FerryError, pymysql.Error, OSError),
            at(node, fence.tls_ca)(to_database=False) as other,
        ):
            running = Running(other, f"DROP TABLE IF EXISTS {ticket}")
            if running.join(_OFF_S) and running.error is None:
                return
            running.connection.cut()


def _is_answer(error: BaseException) -> bool:
    """Whether the server refused the rename, and did not just fall silent."""
    return isinstance(error, pymysql.Error) and is_refusal(error)


def _say_undecided(plan: Plan, why: str) -> CutOverUnfinished:
    return CutOverUnfinished(
        f"The cut-over of {plan.target} did not end: {why}. What is live is decided by the next command.",
        hint="Run the command again; it ends the cut-over first.",
    )


def _wait_everywhere(fence: GaleraFence) -> None:
    """See every node have what is live now, before anybody is told that it is."""
    for node in find_nodes(fence.url, fence.tls_ca).all:
        with at(node, fence.tls_ca)(to_database=False, several=True) as connection:
            wait_for_all(connection)


def recover(
    url: URL, tls_ca: Path | None, factory: Factory, staging: str, target: str, old: str, control: str
) -> list[str]:
    """As :func:`swap.recover`, whatever the server is; a rename that is still to come is called off first."""
    if not read_uid(url, tls_ca):
        return recover_alone(factory, staging, target, old, control)
    with factory(to_database=False, shared=True, several=True) as connection:
        wait_for_all(connection)
        plan = read_plan(connection, control)
        if plan is None:
            return []
        notes = recover_alone(factory, staging, target, old, control, _drop_ticket)
        _drop_ticket(connection, plan, control)
        return notes
