"""MariaDB: the fence of a database in a Galera cluster: the same tables locked at every node.

``LOCK TABLES`` holds the writers of one node, so it is taken at each. It never waits there: of a lock that waits and an
applier, the server ends the applier as a deadlock's victim, and the node leaves the cluster (seen on 10.11). So all are
tried at once, and let go and tried again where one cannot be had, or a node has yet to apply what others took.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pymysql
from pymysql.constants import ER
from sqlalchemy import URL

from ...errors import FerryError, LockHeld, Protected
from .connect import connect_to, number_of, quote
from .fence import MySqlFence
from .galera import ANSWER_S, Node, Nodes, at, find_nodes, read
from .names import CONTROL
from .objects import tables
from .session import Connection, Keeper, Running, blockers, execute, list_held, names, until

SENT_S = 3
"""A connection for a rename is ended by its server when it was idle for so long."""
_STAY_S = 9
"""A lock outlives its client while a statement sleeps: the server looks for the client every 5 s (seen)."""
_CAUGHT_UP_S = 0.5
_PAUSE_S = 0.01
_BEAT_S = 2.0
_NOT_NOW = (ER.LOCK_WAIT_TIMEOUT, ER.LOCK_DEADLOCK)


class _Lock:
    """The locks at one node: the connection that has them, and one that watches it."""

    def __init__(self, node: Node, tls_ca: Path | None) -> None:
        self.node, self._tls_ca, self._stack = node, tls_ca, contextlib.ExitStack()
        factory = at(node, tls_ca)
        with contextlib.ExitStack() as undo:
            undo.push(self._stack)
            self.watch = self._stack.enter_context(factory(to_database=False, read_timeout=ANSWER_S))
            self._keeper = Keeper(factory, patience_s=_STAY_S + ANSWER_S)
            self._stack.callback(self._keeper.close)
            undo.pop_all()
        self._sleeping: Running | None = None

    def open(self) -> contextlib.AbstractContextManager[Connection]:
        """Another connection to this node."""
        return at(self.node, self._tls_ca)(to_database=False, read_timeout=ANSWER_S)

    def take(self, sql: str) -> bool:
        try:
            self._keeper.execute(sql)
        except pymysql.Error as error:
            if number_of(error) not in _NOT_NOW:
                raise
            return False
        return True

    def let_go(self) -> None:
        self._keeper.execute("UNLOCK TABLES")

    def ask_applied(self) -> int:
        """The number in the cluster's order up to which this node has applied everything."""
        return int(read(self.watch)[0]["wsrep_last_committed"])

    def stay(self) -> None:
        """Let the server keep the lock for some seconds, whatever becomes of this process.

        :raises FerryError: the lock was lost.
        """
        self._keeper.busy.acquire()
        self._sleeping = Running(self._keeper.connection, f"DO SLEEP({_STAY_S})")
        sql = "SELECT 1 FROM information_schema.processlist WHERE id = %s AND info LIKE 'DO SLEEP%%'"
        sleeping = self._sleeping
        if not until(lambda: sleeping.done or bool(execute(self.watch, sql, sleeping.id)), ANSWER_S) or sleeping.done:
            raise FerryError("A lock at a node of the cluster was lost.", hint="Nothing was changed; run again.")

    def close(self) -> None:
        """Let go, also at a node that does not answer: its server finds the connection gone."""
        if self._sleeping is not None:
            with contextlib.suppress(FerryError):
                self._sleeping.interrupt(self.watch)
            self._keeper.busy.release()
            self._sleeping = None
        self._stack.close()


class Locks:
    """The tables of a database locked at all nodes, against writers.

    Others' DDL on one of these tables waits for us at every node, and whatever any node writes waits behind it in the
    cluster's order, what we write as well. So that is tried all the time: when it waits, the locks are let go.

    :ivar are_lost: they were let go for that.
    """

    def __init__(self, nodes: Nodes, tls_ca: Path | None) -> None:
        self.nodes, self.are_lost = nodes, False
        self._locks: list[_Lock] = []
        self._trying: threading.Thread | None = None
        self._ended = threading.Event()
        try:
            for node in (*nodes.others, nodes.here):
                self._locks.append(_Lock(node, tls_ca))
        except BaseException:
            self.close()
            raise

    @property
    def watch(self) -> Connection:
        """A connection to the node that the target's address leads to."""
        return self._locks[-1].watch

    def take(self, database: str) -> bool:
        """Lock what tables there are now, all or none, and see that no node has yet to apply what others took."""
        tables_here = list(tables(self.watch, database))
        if not tables_here:
            return True
        sql = ", ".join(f"{names([name], database)} READ" for name in tables_here)
        if (
            all(lock.take(f"LOCK TABLES {sql} NOWAIT") for lock in self._locks)
            and self._have_applied()
            # One may have been created meanwhile.
            and list(tables(self.watch, database)) == tables_here
        ):
            return True
        for lock in self._locks:
            lock.let_go()
        return False

    def _have_applied(self) -> bool:
        last = max(lock.ask_applied() for lock in self._locks)
        return until(lambda: all(lock.ask_applied() >= last for lock in self._locks), _CAUGHT_UP_S)

    def watch_order(self, control: str) -> None:
        """Begin to try whether the cluster takes what we write."""
        self._trying = threading.Thread(target=self._try_order, args=(control,), daemon=True)
        self._trying.start()

    def _try_order(self, control: str) -> None:
        while not self._ended.wait(_BEAT_S):
            with contextlib.suppress(FerryError, pymysql.Error, OSError), self._locks[-1].open() as connection:
                # It changes nothing, and takes its place in the order all the same.
                execute(connection, f"DROP TABLE IF EXISTS {quote(control)}.cutover_never")
                continue
            self.are_lost = True
            for lock in self._locks:
                with contextlib.suppress(pymysql.Error, OSError):
                    lock.let_go()
            return

    def _end_watching(self) -> None:
        self._ended.set()
        if self._trying is not None:
            self._trying.join()

    def stay(self) -> None:
        """As :meth:`_Lock.stay`, at every node.

        :raises LockHeld: they were let go meanwhile.
        """
        self._end_watching()
        if self.are_lost:
            raise LockHeld(
                "Another statement, such as ALTER TABLE, waited for tables that were to be cut over, and all writers "
                "of the cluster behind it. Nothing was changed.",
                hint="Run the command again when nobody changes tables.",
            )
        for lock in self._locks:
            lock.stay()

    def close(self) -> None:
        """Let all writers go on, at the nodes that answer."""
        self._end_watching()
        locks, self._locks = self._locks, []
        if locks:
            with ThreadPoolExecutor(len(locks)) as threads:
                for future in [threads.submit(lock.close) for lock in locks]:
                    future.result()


class GaleraFence(MySqlFence):
    """As :class:`MySqlFence`, for a database in a Galera cluster."""

    def __init__(self, url: URL, tls_ca: Path | None, database: str) -> None:
        super().__init__(lambda **options: connect_to(url, tls_ca, **options), database)
        self.url, self.tls_ca = url, tls_ca
        self.locks: Locks | None = None

    @property
    def is_held(self) -> bool:
        return self.locks is not None and not self.locks.are_lost

    def lock(self, timeout_s: float, ours: Sequence[int] = ()) -> None:
        self.release()
        deadline = time.monotonic() + timeout_s
        locks = Locks(find_nodes(self.url, self.tls_ca), self.tls_ca)
        try:
            while not locks.take(self.database):
                if time.monotonic() > deadline:
                    raise list_held(blockers(locks.watch, self.database, ours), self.database, timeout_s)
                time.sleep(random.random() * _PAUSE_S)  # noqa: S311 # so that two do not try in step
        except BaseException:
            locks.close()
            raise
        locks.watch_order(self.database + CONTROL)
        self.locks = locks

    def check(self) -> None:
        """See that the cluster has the nodes that it had when they were locked.

        :raises Protected: it has not.
        """
        assert self.locks  # noqa: S101 # called while they are held
        if find_nodes(self.url, self.tls_ca).view != self.locks.nodes.view:
            raise Protected(
                "A node joined or left the Galera cluster meanwhile. Nothing was changed.", hint="Run again."
            )

    def release(self) -> None:
        locks, self.locks = self.locks, None
        if locks is not None:
            locks.close()
