"""MySQL and MariaDB: a database closed to everybody, through which single statements of ours pass.

MariaDB refuses RENAME TABLE under LOCK TABLES of the same connection, and several tables cannot be handed over from
one connection to another at once: RENAME takes its locks one by one, and as soon as a table is let go, the writers
that queue for it are next. So each table is closed by a connection of its own::

    LOCK TABLES <nothing> WRITE, <table> WRITE, <gate> WRITE

The server takes locks in the order of names, and opens tables afterwards, in the order written. So this one has the
lock of the table and waits for the gate, which we hold, before it opens anything, and claims none of the tables that
triggers and foreign keys lead to. Should the gate open, it fails, as there is no table of the first name.

A statement of ours then queues behind it. Exclusive locks and those of LOCK TABLES ... WRITE go before readers and
writers, whoever came first, so with two rules nobody slips in:

* A table is let go only when our statement is seen to wait for that very table. ``PREPARE`` takes a lock that agrees
  with LOCK TABLES, and not with a waiting RENAME: it is the probe, and is ended as soon as it is seen to wait.
* Before that, the next connection has queued to close the table again, behind our statement.

All of this was seen on MariaDB 10.11 and MySQL 9.7. The latter can rename what its own connection has locked; but it
takes such locks one by one, too, and the writers of the next table slip in meanwhile (seen). Nothing of it survives
this process: the gate opens when it dies, each of the connections gets its table, fails, and lets it go.
"""

from __future__ import annotations

import contextlib
import contextvars
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pymysql
from pymysql.constants import ER

from ...errors import FerryError, Protected
from ..model import SchemaObject
from ..wording import count_tables
from .connect import number_of, quote
from .copy import session_of
from .session import PATIENT_S, Connection, Factory, Keeper, Running, execute, execute_all, names, until, waiting

T = TypeVar("T")

GATE = "cutover_closed"
"""Tables of the control database, in the order of their names: in that order the server locks them."""
NOTHING = "cutover_none"
"""A table that there never is."""
START = "cutover_start"
VETO = "cutover_veto"

_QUEUE_S = 30.0
"""A statement of ours gets in line at once; where it does not in this time, the server stands still."""
_SPARE = 9
_AT_ONCE = 8
"""Connections that are opened side by side."""
_ENDED_WAITING = (ER.QUERY_INTERRUPTED, ER.LOCK_WAIT_TIMEOUT)
_POLL_S = 0.001


class NotThrough(FerryError):
    """Others kept a table for too long; the statement was not run."""

    def __init__(self) -> None:
        super().__init__("Other connections kept a table for too long.")


def connections_needed(tables: int) -> int:
    """How many connections a cut-over takes at a time."""
    return tables + _SPARE


def check_connections(connection: Connection, tables: int) -> None:
    """Refuse when the server has not as many connections to give.

    :raises Protected: with both numbers.
    """
    limits, status = "SELECT @@max_connections, @@max_user_connections", "SHOW GLOBAL STATUS LIKE 'Threads_connected'"
    [[(most, user_limit)], [(_, used)]] = execute_all(connection, [limits, status])
    free = min(int(most) - int(used), int(user_limit) or int(most))
    if free < connections_needed(tables):
        raise Protected(
            f"The cut-over of {count_tables(tables)} needs {connections_needed(tables)} connections at a time, and the "
            f"server has {free} left (max_connections {most}, max_user_connections {user_limit}).",
            hint="Raise max_connections or max_user_connections, or end connections that are not needed.",
        )


def prepare(connection: Connection, control: str) -> None:
    """Make the tables that a barrier needs, before it is needed: they should be older than the last checkpoint."""
    table = f"CREATE TABLE IF NOT EXISTS {quote(control)}.{{}} (id INT PRIMARY KEY) ENGINE=InnoDB"
    execute_all(connection, [table.format(name) for name in (GATE, START, VETO)])


class Barrier:
    """Tables of a database closed by a connection for each, to readers and writers.

    It closes tables that others hold as soon as they let go; whoever comes later waits.

    :param tables: also those that do not exist yet.
    :ivar is_undecided: a statement of ours did not end when it was told to: it may still rename tables, or may not.
    """

    is_undecided = False

    def __init__(self, factory: Factory, database: str, control: str, tables: Sequence[str]) -> None:
        self._factory, self._database, self._control = factory, database, control
        self._stack = contextlib.ExitStack()
        self._closing: dict[str, Running] = {}
        self._started: list[Running] = []
        try:
            connections = self._connect_all(5 + len(tables))
            self.reader, self._probe, self._watch, self._worker, self._spare, *closing = connections
            self._worker.select_db(database)
            self._start = self._keeper()
            self._keeper().execute(f"LOCK TABLES {self._spell(GATE)} READ")
            for name, connection in zip(tables, closing, strict=True):
                self._closing[name] = self._close(connection, name)
            self._list_queued(list(self._closing.values()))
        except BaseException:
            self.open()
            raise

    def _connect_all(self, count: int) -> list[Connection]:
        """Connections, several opened at once: each takes some round trips, in which writers wait."""
        patient = (f"lock_wait_timeout = {PATIENT_S}",)
        opening = [self._factory(to_database=False, session=patient, read_timeout=PATIENT_S) for _ in range(count)]
        with ThreadPoolExecutor(_AT_ONCE) as threads:
            # What the command knows of the server each of them has to know.
            results = [threads.submit(contextvars.copy_context().run, one.__enter__) for one in opening]
        for one, result in zip(opening, results, strict=True):
            if result.exception() is None:
                self._stack.push(one)
        return [result.result() for result in results]

    def _keeper(self) -> Keeper:
        keeper = Keeper(self._factory)
        self._stack.callback(keeper.close)
        return keeper

    def _spell(self, table: str) -> str:
        return f"{quote(self._control)}.{table}"

    def _close(self, connection: Connection, table: str) -> Running:
        wanted = (self._spell(NOTHING), names([table], self._database), self._spell(GATE))
        sql = f"LOCK TABLES {', '.join(f'{name} WRITE' for name in wanted)}"
        self._started.append(Running(connection, sql))
        return self._started[-1]

    def _list_queued(self, statements: Sequence[Running]) -> None:
        """See that statements wait in line.

        :raises FerryError: one of them does not, or has ended.
        """
        until(lambda: waiting(self._watch, statements) or any(item.done for item in statements), _QUEUE_S)
        if not waiting(self._watch, statements):
            for item in statements:
                item.result()
            raise FerryError("A lock could not be queued for, or was lost.", hint="Nothing was changed; run again.")

    def open(self) -> None:
        """Let everybody in."""
        with self._stack:
            for running in self._started:
                running.interrupt(self._watch)
            self._started.clear()

    def drain(self, tables: Sequence[str], timeout_s: float) -> None:
        """See nobody use these tables any more, so that no statement on them has to wait.

        :raises NotThrough: others kept one for ``timeout_s``.
        """
        # It gets all of the tables and then fails: the name is taken, and the first table would be renamed twice.
        pairs = [f"{names([name], self._database)} TO {self._spell(START)}" for name in [*tables, tables[0]]]
        try:
            self._pass(f"RENAME TABLE {', '.join(pairs)}", tables, timeout_s)
        except pymysql.Error as error:
            if number_of(error) != ER.TABLE_EXISTS_ERROR:
                raise

    def through(self, sql: str, table: str, needs: SchemaObject | None = None) -> None:
        """Run a statement on one of the closed tables, which stays closed.

        :param sql: it uses no other table.
        :param needs: an object whose session settings the statement needs.
        :raises NotThrough: others kept the table; it was not run.
        """
        with session_of(self._worker, needs) if needs else contextlib.nullcontext():
            # Its first lock is weaker than the probe can see, but there is only one that it can wait for.
            self._pass(sql, [table], _QUEUE_S, reached=lambda running, _: waiting(self._watch, [running]))

    def inside(self, table: str, work: Callable[[Connection], T]) -> T:
        """What a connection finds out that has one of the closed tables to itself, and no other; it stays closed.

        :raises NotThrough: others kept the table.
        """
        # Who reads would stand behind whoever closes the table next; a lock of this kind does not.
        self.through(f"LOCK TABLES {names([table], self._database)} WRITE", table)
        try:
            return work(self._worker)
        finally:
            execute(self._worker, "UNLOCK TABLES")

    def rename(self, pairs: str, timeout_s: float) -> None:
        """Run one RENAME TABLE over all closed tables; what has their names afterwards is closed, too.

        :raises NotThrough: others kept a table for ``timeout_s``; nothing was changed.

        A RENAME that waits is carried out by the server even when its client has died (seen), whoever has written
        meanwhile. So this one begins with renaming something to a name that is taken, and fails; only when it has
        all of its tables, and waits for the last one, of ours, is that name made free.
        """
        self._run_at_once(f"CREATE TABLE IF NOT EXISTS {self._spell(VETO)} (id INT PRIMARY KEY) ENGINE=InnoDB")
        swapping = f"{self._spell(START)} TO {self._spell(VETO)}, {self._spell(VETO)} TO {self._spell(START)}"
        self._start.execute(f"LOCK TABLES {self._spell(START)} READ")
        try:
            self._pass(f"RENAME TABLE {swapping}, {pairs}", list(self._closing), timeout_s, last=self._let_start)
        finally:
            self._start.execute("UNLOCK TABLES")

    def _let_start(self, running: Running) -> None:
        until(lambda: running.done or self._is_wanted(self._control, START), _QUEUE_S)
        if running.done or not self._is_wanted(self._control, START):
            raise NotThrough()
        self._list_queued(list(self._closing.values()))
        self._run_at_once(f"DROP TABLE {self._spell(VETO)}")
        self._start.execute("UNLOCK TABLES")

    def _run_at_once(self, sql: str) -> None:
        """Run what waits for nobody where a server orders such statements as those that are supported do.

        :raises FerryError: it waits all the same; it was ended, or the barrier is undecided.
        """
        running = Running(self.reader, sql)
        if not running.join(_QUEUE_S):
            self._end(running)
            if running.error is not None:
                raise FerryError(
                    f"The server let {sql.partition(' (')[0]} wait for {_QUEUE_S:g} s, which waits for nobody: it "
                    "orders such statements otherwise than a cut-over needs.",
                    hint="What is live is decided by the next command; see it with: flask db-status",
                ) from running.error
        running.result()

    def _end(self, running: Running) -> None:
        """End a statement; who cannot be told to end may yet do what it was to do."""
        try:
            running.interrupt(self._watch)
        except FerryError:
            self.is_undecided = True
            running.connection.cut()
            raise

    def _pass(
        self,
        sql: str,
        tables: Sequence[str],
        timeout_s: float,
        *,
        reached: Callable[[Running, str], bool] | None = None,
        last: Callable[[Running], None] | None = None,
    ) -> None:
        """Run a statement, and let it to each table once it waits for that; ``last`` before the last of its locks."""
        reached = reached or (lambda _, name: self._is_wanted(self._database, name))
        running = Running(self._worker, sql)
        deadline = time.monotonic() + timeout_s
        ahead = list(tables)
        try:
            while ahead and not running.done:
                table = next((name for name in ahead if reached(running, name)), None)
                if table is not None:
                    ahead.remove(table)
                    self._let_through(table)
                elif time.monotonic() > deadline:
                    raise NotThrough()
                else:
                    running.join(_POLL_S)
            if last is not None and not running.done:
                last(running)
                deadline = time.monotonic() + _QUEUE_S
            if not running.join(max(0.0, deadline - time.monotonic())):
                raise NotThrough()
        finally:
            self._end(running)
        running.result()

    def _is_wanted(self, database: str, table: str) -> bool:
        """Whether somebody waits for the exclusive lock of a table, which need not exist."""
        wanted = self._probe.escape(f"SELECT 1 FROM {names([table], database)}")
        probe = Running(self._probe, f"PREPARE probe FROM {wanted}")
        # MySQL has no patience of less than a second.
        while not probe.join(_POLL_S):
            if waiting(self._watch, [probe]):
                probe.interrupt(self._watch)
                if probe.error is None or number_of(probe.error) in _ENDED_WAITING:
                    return probe.error is not None
                break
        if probe.error and number_of(probe.error) not in (ER.NO_SUCH_TABLE, ER.QUERY_INTERRUPTED):
            probe.result()
        return False

    def _let_through(self, table: str) -> None:
        following = self._close(self._spare, table)
        self._list_queued([following])
        now, self._closing[table] = self._closing[table], following
        now.interrupt(self._watch)
        self._started.remove(now)
        self._spare = now.connection
