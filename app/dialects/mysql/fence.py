"""MySQL and MariaDB: whether a database was written, and the locks that let its writers wait.

``CHECKSUM TABLE`` is a sum of one CRC-32 for each row: of 2^32 changes one goes unnoticed, of those in which two rows
exchange a value one in some ten thousand (measured; the exclusive or of their CRCs stays what it was), and so may an
attacker's, who chooses his rows. Values that are written and written back are not seen. It is what the server computes
by itself, several times faster than anything that can be asked of it (measured), it honours a transaction's snapshot
(seen), and it is compared together with the number of rows.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence

from ..model import Look
from .connect import number_of, quote
from .objects import (
    SEQUENCE,
    comparable,
    define_all,
    definitions_of,
    fingerprint_of,
    list_all,
    objects,
    tables,
    tables_of,
)
from .session import Connection, Factory, Keeper, Running, blockers, execute, execute_all, id_of, list_held
from .summed import has_no_checksum, sum_table

_DEADLOCK = 1213

Content = dict[str, str]
"""Of each table a digest of its definition, its number of rows and their checksum."""
Rows = dict[str, tuple[int, str]]
"""Of each table its number of rows and their checksum."""


def content(connection: Connection, database: str, spelled: str | None = None) -> Content:
    """What the tables of a database hold, whatever the database is called.

    The generation mark, AUTO_INCREMENT counters and the positions of sequences are no part of it.

    :param spelled: the database's name in definitions, where it is not its own, as with a generation.
    """
    kinds = tables_of(list_all(connection, database))
    statements = definitions_of(connection, database, kinds)
    return _content(spelled or database, kinds, statements, _rows(connection, database, kinds, statements))


def _content(database: str, kinds: Mapping[str, str], statements: Mapping[str, str], rows: Rows) -> Content:
    return {name: _digest(comparable(sql, database), kinds[name], *rows[name]) for name, sql in statements.items()}


def _rows(connection: Connection, database: str, kinds: Mapping[str, str], statements: Mapping[str, str]) -> Rows:
    """The number of rows and the checksum of each table, in two statements.

    :param statements: the tables' definitions; one of which the server has no checksum takes a statement more.
    """
    without = [name for name, sql in statements.items() if has_no_checksum(sql)]
    names = [name for name, kind in kinds.items() if kind != SEQUENCE]
    # A number that is drawn is no row; see .sequences.
    none = dict.fromkeys(kinds, (0, ""))
    if not names:
        return none
    spelled = {name: f"{quote(database)}.{quote(name)}" for name in names}
    places = [place for name, place in spelled.items() if name not in without]
    counting = " UNION ALL ".join(f"SELECT {i}, count(*) FROM {place}" for i, place in enumerate(spelled.values()))
    summing = f"CHECKSUM TABLE {', '.join(places)}" if places else ""
    answers = iter(execute_all(connection, [sql for sql in (counting, summing) if sql]))
    counts = {names[int(i)]: int(count) for i, count in next(answers)}
    # In the order in which they are named.
    sums = [str(checksum) for _, checksum in (next(answers) if summing else ())]
    checksums = dict(zip([name for name in names if name not in without], sums, strict=True))
    checksums |= {name: sum_table(functools.partial(execute, connection), database, name) for name in without}
    return none | {name: (counts[name], checksums[name]) for name in names}


def _digest(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def token(connection: Connection, database: str) -> bytes:
    """A value that differs after any committed write of a row, and after any change of tables or objects.

    It is the same in a consistent snapshot and under locks, as long as nobody writes.
    """
    return look(connection, database)[0].token


def look(connection: Connection, database: str, known: Rows | None = None) -> tuple[Look, Rows]:
    """The token, with what it is made of, and what is in the tables.

    :param known: what is in them, where that need not be read again.
    """
    listed = list_all(connection, database)
    statements, events = define_all(connection, database, listed) if listed["database"] else ({}, [])
    kinds = tables_of(listed)
    rows = known if known and known.keys() == kinds.keys() else _rows(connection, database, kinds, statements)
    contents = _content(database, kinds, statements, rows)
    items = objects(connection, database, listed, events) if listed["database"] else []
    fingerprint = fingerprint_of(database, statements, items) if listed["database"] else ""
    return Look(hashlib.sha256(repr((contents, fingerprint)).encode()).digest(), fingerprint, contents), rows


class MySqlFence:
    """Tells whether a database was written, and lets its writers wait.

    All tables are locked by one ``LOCK TABLES ... READ`` on one connection: then the server itself finds out where a
    writer and we would wait for each other, and answers the writer with error 1213, which is to be tried again. With
    a connection for each table it could not see that (seen: both wait until one of them gives up). Waiting writers go
    before this lock, so a table that is never without a writer cannot be had (seen with 12 that never pause): LockHeld.

    :ivar notes: what there is to say about the cut-over, in sentences.
    :ivar drawn_beside: as in :class:`..counters.KnowsDraws`.
    """

    tells_tables = True
    knows_by_values = True

    def __init__(self, factory: Factory, database: str) -> None:
        self._factory, self.database = factory, database
        self._keeper: Keeper | None = None
        self._rows: Rows | None = None
        self.notes: list[str] = []
        self.drawn_beside: Mapping[str, int] = {}

    def close(self) -> None:
        """Let everybody go on."""
        self.release()

    def token(self) -> bytes:
        """What is committed now; while the locks are held, what it was when they were taken."""
        return self.look().token

    def look(self) -> Look:
        with self._factory(to_database=False, shared=True, several=True) as connection:
            execute(connection, "START TRANSACTION WITH CONSISTENT SNAPSHOT")
            sight, rows = look(connection, self.database)
        if self.is_held:
            self._rows = rows
        return sight

    def look_again(self, connection: Connection) -> Look:
        """As :meth:`look`, for a swap; rows that were looked at while the locks were held are not read once more.

        Whatever is written to them after that look, be it that the locks were lost, a swap finds when it compares the
        tables that it renamed with what this says. Of all that is no row nothing is compared then, nor kept from
        changes by these locks, so that is looked at anew.
        """
        return look(connection, self.database, self._rows if self.is_held else None)[0]

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
        with contextlib.ExitStack() as undo, self._factory(to_database=False, shared=True, several=True) as other:
            keeper = Keeper(self._factory)
            undo.callback(keeper.close)
            while True:
                names = list(tables(other, self.database))
                self._lock(keeper, other, names, deadline, timeout_s, ours)
                # A table may have been created meanwhile.
                if list(tables(other, self.database)) == names:
                    break
            undo.pop_all()
        self._keeper, self._rows = keeper, None

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
        self._rows = None
        keeper, self._keeper = self._keeper, None
        if keeper is not None:
            keeper.close()
