"""PostgreSQL: sequences that stand still while a schema is cut over, and whose successors go on behind them.

A number is given out by ``nextval()`` outside of all tables, so no lock on a table stops it. ``ALTER SEQUENCE`` does:
it takes a lock that ``nextval()`` and ``setval()`` wait for, and readers do not. ``LOCK TABLE`` refuses sequences.

``pg_sequences`` does wait for it, so it is taken for the swap alone.

Who waits for it has looked up the sequence already, and gets his number from the former one when the lock is gone (a
table's name is looked up again, seen). A transaction that drew a number keeps a lock to its end, and may wait for our
locks of tables: such a sequence is not locked, as one of the two would have to give way. Where somebody waits, or keeps
it, the new one leaves out numbers for them, and after the cut-over it is looked whether more were taken.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import psycopg

from ..at_once import ask_all
from .connect import Connection
from .names import literal, quote

LEFT_OUT = 1000
"""Numbers for each session that waits for a sequence or keeps it; a statement may draw many."""
TRIES, TRY_MS = 5, 100
"""To lock sequences: readers wait as well by then. Far less than ``deadlock_timeout``."""
WAIT_S = 1.0
"""For so long it is waited for those who wait, after the cut-over."""

_OWN = """
SELECT c.relname::text, q.seqincrement FROM pg_class c JOIN pg_sequence q ON q.seqrelid = c.oid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND pg_has_role(c.relowner, 'USAGE') AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
AND NOT EXISTS (SELECT FROM pg_locks l WHERE l.relation = c.oid AND l.pid IS DISTINCT FROM pg_backend_pid()
    AND l.granted AND l.mode <> 'AccessShareLock'
    AND (%s OR EXISTS (SELECT FROM pg_locks w WHERE w.pid = l.pid AND NOT w.granted)))
ORDER BY 1
"""
_PAIRS = """
SELECT c.relname::text, o.seqincrement, o.seqcache, s.seqincrement, s.seqmin, s.seqmax,
    (SELECT count(DISTINCT l.pid) FROM pg_locks l WHERE l.relation = c.oid AND l.pid IS DISTINCT FROM pg_backend_pid()
        AND l.mode <> 'AccessShareLock')
FROM pg_class c JOIN pg_sequence o ON o.seqrelid = c.oid JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class t ON t.relname = c.relname JOIN pg_sequence s ON s.seqrelid = t.oid
JOIN pg_namespace m ON m.oid = t.relnamespace
WHERE n.nspname = %s AND m.nspname = %s AND sign(o.seqincrement) = sign(s.seqincrement)
    AND CASE c.relkind WHEN 'S' THEN has_sequence_privilege(c.oid, 'SELECT') END ORDER BY 1
"""


def lock_sequences(connection: Connection, schema: str) -> None:
    """Let nobody draw from the sequences of a schema until the transaction ends; nothing of them changes.

    But those of other owners, and those that another transaction keeps.
    """
    for number in range(TRIES):
        # First all but those that who waits for us keeps: who draws and commits is gone in no time.
        rows = connection.execute(_OWN.encode(), (schema, number > 0)).fetchall()
        changes = [f"ALTER SEQUENCE {quote(schema)}.{quote(name)} INCREMENT {step}" for name, step in rows]
        try:
            with connection.transaction():
                texts = [f"SET LOCAL lock_timeout = {TRY_MS}", *changes, "SET LOCAL lock_timeout = '60s'"]
                connection.execute("; ".join(texts).encode())
            return
        except (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected, psycopg.errors.UndefinedTable):
            pass  # the next attempt


@dataclass(frozen=True)
class Drawn:
    """A sequence at the instant of its cut-over.

    :ivar following: what the former one would have given out next. :ivar step: from one number to the next.
    :ivar end: where the new one goes on, unless it is further already; numbers before it are left to those who wait.
    """

    name: str
    following: int
    step: int
    end: int
    waiters: int

    def is_passed(self, following: int) -> bool:
        """Whether the former one gave out numbers that the new one may give out, too."""
        return following > self.end if self.step > 0 else following < self.end


def advance(connection: Connection, live: str, staging: str) -> list[Drawn]:
    """Let staging's sequences give out nothing that the live ones gave out, and never go back.

    Called as late as possible: of who comes after it and before COMMIT nobody knows.
    """
    pairs = connection.execute(_PAIRS.encode(), (live, staging)).fetchall()
    names = [str(row[0]) for row in pairs]
    there, coming = (_read(connection, schema, names) for schema in (live, staging))
    sequences, settings = [], []
    for name, step, cache, new_step, least, most, waiters in pairs:
        following, now = (_next(places[name], by) for places, by in ((there, step), (coming, new_step)))
        left_out = min(LEFT_OUT * cache * waiters, max((most - following if step > 0 else following - least), 0) // 2)
        # A whole number of steps, as what was never given out is no reason to leave the row of numbers.
        one = Drawn(name, following, step, following + left_out // abs(step) * step, waiters)
        sequences.append(one)
        if not (now >= one.end if step > 0 else now <= one.end):
            settings.append(_setting(staging, name, one.end, (least, most), ascends=step > 0))
    _set_all(connection, settings)
    return sequences


def go_on(connection: Connection, live: str, old: str, sequences: Iterable[Drawn]) -> list[str]:
    """After the cut-over: let the new sequences go on behind what was drawn from the former ones all the same.

    :return: what there is to say: numbers that may have been given out twice.
    """
    items = {one.name: one for one in sequences}
    deadline = time.monotonic() + WAIT_S
    while (
        any(one.waiters for one in items.values()) and time.monotonic() < deadline and _are_waited_for(connection, old)
    ):
        time.sleep(0.01)
    places, notes, settings = _read(connection, old, list(items)), [], []
    for name, one in items.items():
        following = _next(places[name], one.step)
        if one.is_passed(following):
            notes.append(
                f"In the instant of the cut-over {name} gave out numbers to who was about to draw one: those from "
                f"{one.end} to {following - one.step} may have been given out twice."
            )
            settings.append(f"SELECT setval({_spell(live, name)}, {following}, false)")
    _set_all(connection, settings)
    return notes


def _are_waited_for(connection: Connection, schema: str) -> bool:
    query = (
        "SELECT 1 FROM pg_locks l JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace "
        "WHERE n.nspname = %s AND c.relkind = 'S' LIMIT 1"
    )
    return connection.execute(query.encode(), (schema,)).fetchone() is not None


def _read(connection: Connection, schema: str, names: list[str]) -> dict[str, Any]:
    queries = {name: f"SELECT ARRAY[last_value, is_called::int] FROM {quote(schema)}.{quote(name)}" for name in names}
    return ask_all(queries, connection.ask_row)


def _next(place: Any, step: int) -> int:
    last, is_called = place
    return int(last) + step * int(is_called)


def _spell(schema: str, name: str) -> str:
    return f"{literal(f'{quote(schema)}.{quote(name)}')}::regclass"


def _setting(schema: str, name: str, following: int, bounds: tuple[int, int], *, ascends: bool) -> str:
    """A value beyond the last one leaves the sequence with nothing to give out, as the live one had nothing."""
    least, most = bounds
    end = most if ascends else least
    is_beyond = following > end if ascends else following < end
    value = end if is_beyond else max(least, min(most, following))
    return f"SELECT setval({_spell(schema, name)}, {value}, {str(is_beyond).lower()})"


def _set_all(connection: Connection, settings: list[str]) -> None:
    if settings:
        connection.execute("; ".join(settings).encode())
