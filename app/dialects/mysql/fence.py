"""MySQL and MariaDB: whether a database was written, and the locks that let its writers wait.

``CHECKSUM TABLE`` is a sum of one CRC-32 for each row: of 2^32 changes one goes unnoticed, and so may an attacker's,
who chooses his rows. It is what the server computes by itself, several times faster than anything that can be asked of
it (measured), it honours a transaction's snapshot (seen), and it is compared together with the number of rows.
"""

from __future__ import annotations

import contextlib
import hashlib
import time
from collections.abc import Iterator, Sequence

from .connect import number_of, quote
from .objects import SEQUENCE, comparable, definition, schema_fingerprint, tables
from .session import Connection, Factory, Keeper, Running, blockers, execute, id_of, list_held

_DEADLOCK = 1213

Content = dict[str, str]
"""Of each table a digest of its definition, its number of rows and their checksum."""


def content(connection: Connection, database: str, spelled: str | None = None) -> Content:
    """What the tables of a database hold, whatever the database is called.

    The generation mark and AUTO_INCREMENT counters are no part of it; the position of a sequence is.

    :param spelled: the database's name in definitions, where it is not its own, as with a generation.
    """
    digests = {}
    for name, kind in tables(connection, database).items():
        sql = comparable(definition(connection, database, name, kind), spelled or database)
        digests[name] = _digest(sql, kind, *_rows(connection, database, name, kind))
    return digests


def _rows(connection: Connection, database: str, table: str, kind: str) -> tuple[int, str]:
    qualified = f"{quote(database)}.{quote(table)}"
    [(count,)] = [(1,)] if kind == SEQUENCE else execute(connection, f"SELECT count(*) FROM {qualified}")
    [(_, checksum)] = execute(connection, f"CHECKSUM TABLE {qualified}")
    return int(count), str(checksum)


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def token(connection: Connection, database: str, of: Content | None = None) -> bytes:
    """A value that differs after any committed write, and after any change of tables or objects.

    It is the same in a consistent snapshot and under locks, as long as nobody writes.

    :param of: the content, where it is known already.
    """
    rows = content(connection, database) if of is None else of
    return hashlib.sha256(repr((rows, schema_fingerprint(connection, database))).encode()).digest()


class MySqlFence:
    """Tells whether a database was written, and lets its writers wait.

    All tables are locked by one ``LOCK TABLES ... READ`` on one connection: then the server itself finds out where a
    writer and we would wait for each other, and answers the writer with error 1213, which is to be tried again. With
    a connection for each table it could not see that (seen: both wait until one of them gives up). Waiting writers go
    before this lock, so a table that is never without a writer cannot be had (seen with 12 that never pause): LockHeld.

    :ivar notes: what there is to say about the cut-over, in sentences.
    """

    def __init__(self, factory: Factory, database: str) -> None:
        self._factory, self.database = factory, database
        self._keeper: Keeper | None = None
        self.notes: list[str] = []

    def close(self) -> None:
        """Let everybody go on."""
        self.release()

    def token(self) -> bytes:
        """What is committed now; while the locks are held, what it was when they were taken."""
        with self._factory(to_database=False) as connection:
            execute(connection, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            execute(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
            return token(connection, self.database)

    @contextlib.contextmanager
    def hold(self, timeout_s: float) -> Iterator[None]:
        """Let writers wait while this is held; readers go on. A swap that is called meanwhile ends it.

        :raises LockHeld: other connections, named, kept tables locked for ``timeout_s``.
        """
        self.lock(timeout_s)
        try:
            yield
        finally:
            self.release()

    @property
    def is_held(self) -> bool:
        return self._keeper is not None

    def lock(self, timeout_s: float, ours: Sequence[int] = ()) -> None:
        """As :meth:`hold`, until :meth:`release`.

        :param ours: connections that are not to be named.
        """
        deadline = time.monotonic() + timeout_s
        with contextlib.ExitStack() as undo, self._factory(to_database=False) as other:
            keeper = Keeper(self._factory)
            undo.callback(keeper.close)
            while True:
                names = list(tables(other, self.database))
                self._lock(keeper, other, names, deadline, timeout_s, ours)
                # A table may have been created meanwhile.
                if list(tables(other, self.database)) == names:
                    break
            undo.pop_all()
        self._keeper = keeper

    def _lock(
        self,
        keeper: Keeper,
        other: Connection,
        names: list[str],
        deadline: float,
        timeout_s: float,
        connections: Sequence[int],
    ) -> None:
        ours = (*connections, id_of(keeper.connection))
        sql = ", ".join(f"{quote(self.database)}.{quote(name)} READ" for name in names)
        while sql:
            if time.monotonic() > deadline:
                raise list_held(blockers(other, self.database, ours), self.database, timeout_s)
            with keeper.busy:
                running = Running(keeper.connection, f"LOCK TABLES {sql}")
                if not running.join(deadline - time.monotonic()):
                    others = blockers(other, self.database, ours)
                    running.interrupt(other)
                    raise list_held(others, self.database, timeout_s)
            if running.error is None or number_of(running.error) != _DEADLOCK:
                running.result()
                return

    def release(self) -> None:
        """Let writers go on, if they are held."""
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()
