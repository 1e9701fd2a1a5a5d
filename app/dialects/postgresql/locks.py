"""PostgreSQL: all tables of a schema locked, politely; who kept them; and whether they were written."""

from __future__ import annotations

import contextlib
import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any

import psycopg

from ...errors import FerryError, LockHeld
from ..at_once import ask_all
from ..model import Look
from .connect import Connection
from .driver import Question
from .extensions import look_in
from .names import quote
from .objects import ask_for_definitions, digest_of, sort_definitions

Reconnect = Callable[[], AbstractContextManager[Connection]]

PATIENCE = 0.8
"""Of ``deadlock_timeout``: for so long others are let wait behind us at a time."""

WATCH_S = 0.05
LOOKS, LOOK_S = 5, 0.004
"""How often, and in which steps, it is looked at what others have locked, before each attempt."""

_LEAVES = """
SELECT c.oid, c.relname::text, c.relkind::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND c.relkind IN ('r', 'p') AND NOT EXISTS (
    SELECT FROM pg_depend d WHERE d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY c.relname COLLATE "C"
"""

# What definitions do not say, and a copy of another instant would not have: comments, and how much ANALYZE looks at.
_REMARKS = """
WITH n AS (SELECT oid FROM pg_namespace WHERE nspname = %s)
SELECT d.classoid::regclass::text, d.objoid, d.objsubid, d.description FROM pg_description d
WHERE (d.classoid, d.objoid) IN (
    SELECT 'pg_class'::regclass::oid, oid FROM pg_class WHERE relnamespace IN (TABLE n)
    UNION ALL SELECT 'pg_type'::regclass, oid FROM pg_type WHERE typnamespace IN (TABLE n)
    UNION ALL SELECT 'pg_proc'::regclass, oid FROM pg_proc WHERE pronamespace IN (TABLE n)
    UNION ALL SELECT 'pg_constraint'::regclass, oid FROM pg_constraint WHERE connamespace IN (TABLE n)
    UNION ALL SELECT 'pg_trigger'::regclass, g.oid FROM pg_trigger g JOIN pg_class c ON c.oid = g.tgrelid
        WHERE c.relnamespace IN (TABLE n))
UNION ALL SELECT 'statistics', a.attrelid, a.attnum, a.attstattarget::text FROM pg_attribute a
JOIN pg_class c ON c.oid = a.attrelid WHERE c.relnamespace IN (TABLE n) AND a.attstattarget >= 0 AND a.attnum > 0
    AND c.relkind NOT IN ('t', 'S') ORDER BY 1, 2, 3
"""

SHARE = "SHARE"
EXCLUSIVE = "ACCESS EXCLUSIVE"
_AGAINST_SHARE = (
    "RowExclusiveLock",
    "ShareUpdateExclusiveLock",
    "ShareRowExclusiveLock",
    "ExclusiveLock",
    "AccessExclusiveLock",
)

_HOLDERS = """
SELECT DISTINCT l.pid, a.usename::text, a.application_name, a.state, to_char(coalesce(a.xact_start, a.backend_start)
    AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.granted AND n.nspname = %s AND l.pid IS DISTINCT FROM pg_backend_pid() AND (%s OR l.mode = ANY (%s))
ORDER BY 1
"""

# How many others have a lock that ours has to wait for, by table.
_HELD = """
SELECT c.relname::text, count(DISTINCT l.pid) FROM pg_locks l JOIN pg_class c ON c.oid = l.relation
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND l.granted AND n.nspname = %s AND l.pid IS DISTINCT FROM pg_backend_pid() AND (%s OR l.mode = ANY (%s))
GROUP BY c.relname
"""

# Processes ahead of ours that wait for ours: a deadlock, which the server's own detector would end in a second, by
# ending whichever it finds first.
_CIRCLE = """
WITH RECURSIVE ahead (pid) AS (
    SELECT unnest(pg_blocking_pids(%(own)s))
    UNION SELECT unnest(pg_blocking_pids(a.pid)) FROM ahead a WHERE a.pid NOT IN (0, %(own)s))
SELECT a.pid, l.virtualtransaction FROM ahead a JOIN pg_locks l ON l.pid = a.pid AND l.locktype = 'virtualxid'
WHERE a.pid NOT IN (0, %(own)s) AND %(own)s = ANY (pg_blocking_pids(a.pid))
"""


def token(connection: Connection, schema: str, *before: Question) -> bytes:
    """A digest of a schema's definitions and of which version of which row is there.

    Where a row version lies and who wrote it changes with every committed write of it; no value is looked at. The
    schema's name is not part of it.

    :param before: what begins the transaction, where none is open.
    """
    return look(connection, schema, *before).token


def look(connection: Connection, schema: str, *before: Question, known: Mapping[str, str] | None = None) -> Look:
    """What :func:`token` says, with what that is made of; each part of a table is a table of its own.

    :param known: what it said of the tables, where that need not be asked again.
    """
    path, leaves = look_in(schema, with_tables=True), (_LEAVES, (schema,))
    remarks = (_REMARKS, (schema,))
    *answers, remarked, rows = connection.ask_at_once(*before, path, *ask_for_definitions(schema), remarks, leaves)
    definitions = sort_definitions(answers[len(before) + 1 :], schema)
    fingerprint = digest_of([*definitions, *remarked])
    digest = hashlib.sha256(fingerprint.encode())
    tables = [name for _, name, kind in rows if kind == "r"]
    sums = "SELECT (count(*), sum(hashtextextended(ctid::text || xmin::text, 0)))::text"
    queries = {name: f"{sums} FROM ONLY {quote(schema)}.{quote(name)}" for name in tables}
    if known is None or known.keys() != queries.keys():
        known = {name: str(text) for name, text in ask_all(queries, connection.ask_row).items()}
    contents = dict(known)
    for item in contents.items():
        digest.update(repr(item).encode())
    return Look(digest.hexdigest().encode(), fingerprint, contents)


@dataclass
class Locking:
    """Locks all tables of a schema in the connection's transaction.

    A lock is waited for at the head of everybody who comes, so it is given up again and again to let them through. The
    tables that most transactions have touched come first: a new one then waits for us before it has anything that we
    wait for. Where there is a deadlock all the same, we give way; in the second half of the time, or where that would
    not help, as others wait for locks that we keep, the application's statement is cancelled: it gets the error that
    it would have got of a deadlock, and its retry waits behind us.

    :ivar insists: giving way does not help.
    """

    connection: Connection
    reconnect: Reconnect
    schema: str
    mode: str
    insists: bool = False
    touched: Counter[str] = field(default_factory=Counter)

    def lock(self, timeout_s: float) -> None:
        """:raises LockHeld: others (named) kept one of the tables for ``timeout_s``."""
        deadline = time.monotonic() + timeout_s
        patience = PATIENCE * self._deadlock_timeout_s()
        while True:
            rest_s = deadline - time.monotonic()
            last = self.insists or rest_s < timeout_s / 2
            with self._watch(insist=last):
                # The last time we wait for as long as there is.
                if self._lock(max(rest_s, 0.001) if last else min(patience, rest_s)):
                    return
            if time.monotonic() >= deadline:
                raise _list_held(self.connection, self.schema, self.mode, timeout_s)
            time.sleep(random.uniform(0.02, 0.1))  # noqa: S311 # not a secret

    def _deadlock_timeout_s(self) -> float:
        row: Any = self.connection.execute("SELECT setting FROM pg_settings WHERE name = 'deadlock_timeout'").fetchone()
        return float(row[0]) / 1000

    @contextlib.contextmanager
    def _watch(self, *, insist: bool) -> Iterator[None]:
        """Look meanwhile, over another connection, for those who wait in a circle with ours."""
        ended, own_pid = threading.Event(), self.connection.info.backend_pid
        cancelled: set[tuple[int, str]] = set()

        def watch() -> None:
            if ended.wait(WATCH_S):
                return
            # Without it there are the server's own detector, and the time that we have.
            with contextlib.suppress(FerryError), self.reconnect() as second:
                while not ended.wait(WATCH_S):
                    circle = set(second.execute(_CIRCLE.encode(), {"own": own_pid}).fetchall())
                    # Each transaction once: a second signal could hit what the same process does next.
                    pids = [pid for pid, _ in circle - cancelled] if insist else [own_pid] * bool(circle)
                    second.execute("SELECT pg_cancel_backend(pid) FROM unnest(%s::int[]) pid", (pids,))
                    cancelled.update(circle)

        watcher = threading.Thread(target=watch)
        watcher.start()
        try:
            yield
        finally:
            ended.set()
            watcher.join()

    def _lock(self, wait_s: float) -> bool:
        wait = f"{max(int(wait_s * 1000), 1)}ms"
        self._look()
        try:
            with self.connection.transaction():
                tables = self._tables()
                # The one is for each table, the other for all of them.
                self._set(lock_timeout=f"'{wait}'", statement_timeout=f"'{wait}'")
                if tables:
                    names = ", ".join(f"ONLY {quote(self.schema)}.{quote(name)}" for name in tables)
                    self.connection.execute(f"LOCK TABLE {names} IN {self.mode} MODE".encode())
                self._set(lock_timeout="'60s'", statement_timeout="0")
                if self._tables() == tables:
                    return True
                raise psycopg.Rollback  # a table came or went meanwhile
        except (
            psycopg.errors.LockNotAvailable,
            psycopg.errors.QueryCanceled,
            psycopg.errors.DeadlockDetected,
            psycopg.errors.UndefinedTable,
        ):
            pass  # the next attempt, if there is time for one
        return False

    def _set(self, **settings: str) -> None:
        commands = (f"SET LOCAL {name} = {value}" for name, value in settings.items())
        self.connection.execute("; ".join(commands).encode())

    def _look(self) -> None:
        for _ in range(LOOKS):
            for name, holders in self.connection.execute(
                _HELD.encode(), (self.schema, self.mode == EXCLUSIVE, list(_AGAINST_SHARE))
            ):
                self.touched[name] += holders
            time.sleep(LOOK_S)

    def _tables(self) -> list[str]:
        names = [name for _, name, _ in self.connection.execute(_LEAVES.encode(), (self.schema,)).fetchall()]
        return sorted(names, key=lambda name: -self.touched[name])


# Who keeps readers out of a table, or waits to, so that all who come later wait behind it.
_EXCLUSIVE = """
SELECT DISTINCT c.relname::text, l.granted, l.pid, a.usename::text, a.application_name, a.state,
    to_char(coalesce(a.xact_start, a.backend_start) AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"'),
    CASE WHEN l.granted OR l.pid IS NULL THEN '{}' ELSE pg_blocking_pids(l.pid) END
FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid
JOIN pg_class c ON c.oid = l.relation JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE l.locktype = 'relation' AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND n.nspname = %s AND l.pid IS DISTINCT FROM pg_backend_pid() AND l.mode = 'AccessExclusiveLock'
ORDER BY 2 DESC, 1
"""


def describe_lock(reconnect: Reconnect, schema: str) -> LockHeld:
    """The error for a table of a schema that stayed locked from readers, with who keeps it so.

    No text of a query is told, which may hold anybody's values.
    """
    with reconnect() as connection:
        [timeout] = connection.execute("SHOW lock_timeout").fetchone() or [""]
        rows = connection.execute(_EXCLUSIVE.encode(), (schema,)).fetchall()
    tables = list(dict.fromkeys(row[0] for row in rows))
    pids = list(dict.fromkeys(str(pid) for row in rows for pid in (row[7] or [row[2]]) if pid))
    ending = "; ".join(f"SELECT pg_terminate_backend({pid})" for pid in pids)
    what = f"table {tables[0]}" if len(tables) == 1 else f"tables {', '.join(tables)}" if tables else "tables"
    return LockHeld(
        f"The {what} of the schema {schema} stayed locked by others for {timeout}.",
        details=[_describe_exclusive(*row) for row in rows],
        hint=f"End their transactions ({ending}), or run the command again."
        if pids
        else "They ended just now: run the command again.",
    )


def _describe_exclusive(table: str, granted: bool, pid: int | None, *session: Any) -> str:  # a row
    *who, behind = session
    text = f"{_describe_holder(pid, *who)} {'has locked' if granted else 'waits to lock'} {table}"
    return text + (f", behind process {', '.join(map(str, behind))}, and others wait behind it" if behind else "")


def _describe_holder(pid: int | None, user: str, application: str, state: str | None, since: str) -> str:
    if pid is None:
        return "a prepared transaction"
    doing = state or "state unknown"
    return f"process {pid} (user {user}, application {application or 'unnamed'!r}, {doing}, since {since})"


def _list_held(connection: Connection, schema: str, mode: str, timeout_s: float) -> LockHeld:
    rows = connection.execute(_HOLDERS.encode(), (schema, mode == EXCLUSIVE, list(_AGAINST_SHARE))).fetchall()
    holders = [_describe_holder(*row) for row in rows]
    pids = [str(row[0]) for row in rows if row[0] is not None]
    ending = "; ".join(f"SELECT pg_terminate_backend({pid})" for pid in pids)
    return LockHeld(
        f"The tables of the schema {schema} stayed locked by others for {timeout_s:g} s: "
        f"{', '.join(holders) or 'they ended just now'}.",
        hint=f"Wait for them, or end them ({ending}), and run the command again." if pids else "Run it again.",
    )
