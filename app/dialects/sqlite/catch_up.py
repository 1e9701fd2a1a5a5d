"""SQLite: what a live file has otherwise than its staging, found by the library and brought over.

Both are one connection's, staging its own and the live one attached to be read. Values are compared as they are stored:
by kind and byte, whatever the collation of their column.
"""

from __future__ import annotations

import contextlib
import contextvars
import sqlite3
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial

from sqlalchemy import URL

from ...errors import FerryError
from ..base import Fence
from ..dangling import Dangling
from ..model import Table, Values, Where
from ..rounds import CannotCatchUp, Memory, Pair, Round
from . import copy as copies
from .connect import Files, explain_file_errors
from .fence import SqliteFence
from .names import path_of, quote
from .read import SqliteReader

_REFUSALS = (sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_ERROR, sqlite3.SQLITE_TOOBIG)


MOST = 10_000
"""Keys that another session tells this one, as they are held in memory."""

Answer = tuple[list[tuple[object, ...]], bool]
Begin = Callable[[], AbstractContextManager["SqliteRound"]]


class SqliteRound(Dangling):
    """One transaction over two files.

    :param connection: with the live file attached as ``live``.
    :param begin: another round over the same files.
    """

    def __init__(self, connection: sqlite3.Connection, version_table: str, begin: Begin | None = None) -> None:
        self._begin = begin
        self._connection = connection
        self._reader = SqliteReader(connection, version_table)
        self._tables = self._reader.tables()
        self._keys: dict[str, str] = {}
        self._has_lost: set[str] = set()

    def _ask(self, sql: str) -> list[tuple[object, ...]]:
        return self._connection.execute(sql).fetchall()

    # Which tables can be compared

    def refuse(self, pair: Pair) -> None:
        if pair.live.virtual or pair.staged.virtual:
            raise CannotCatchUp(f"{pair.live.name} is a virtual table")
        ours, theirs = (self._list_types(schema, name) for schema, name in _places(pair))
        for here, there in pair.columns:
            if ours.get(here) != theirs.get(there):
                raise CannotCatchUp(f"{pair.live.name}.{here} is of another type now")
        if pair.added:
            with explain_refusals():
                self._refuse_various(pair)

    def _list_types(self, schema: str, table: str) -> dict[str, str]:
        rows = self._connection.execute("SELECT name, type FROM pragma_table_xinfo(?, ?)", (table, schema))
        return {str(name): str(kind).lower() for name, kind in rows}

    def _refuse_various(self, pair: Pair) -> None:
        """:raises CannotCatchUp: columns that were added have several values, or the rows are too few to tell."""
        same = " AND ".join(_same(name, name, "s", "f") for name in pair.added)
        sql = f"SELECT count(*), coalesce(sum(NOT ({same})), 0) FROM {_new(pair)} s, ({_first(pair)}) f"
        [(rows, others)] = self._ask(sql)
        if int(str(rows)) < 2 or others:
            raise CannotCatchUp(
                f"the rows of {pair.live.name} have several values in {', '.join(pair.added)}, or are too few"
            )

    # What differs

    def find(self, pair: Pair, *, still: bool = False) -> int:
        with explain_refusals():
            return self._find(pair, still=still)

    def find_all(self, pairs: Sequence[Pair], *, still: bool = False) -> list[int]:
        with explain_refusals():
            if self._begin is None or not still or len(pairs) < 2:
                return [self._find(pair, still=still) for pair in pairs]
            counts = self._find_by_two(self._begin, pairs)
        return [counts[pair.staged.name] for pair in pairs]

    def _find_by_two(self, begin: Begin, pairs: Sequence[Pair]) -> dict[str, int]:
        """Compare tables beside another session: it begins with the smallest, and this one with the largest."""
        counts, queue = dict[str, int](), deque(sorted(pairs, key=self._guess_size, reverse=True))
        with ThreadPoolExecutor(1) as thread:
            answering = thread.submit(contextvars.copy_context().run, _answer, begin, queue)
            try:
                for pair in _drain(queue.popleft):
                    counts[pair.staged.name] = self._find(pair, still=True)
            finally:
                queue.clear()
        for pair, answer in answering.result():
            rows = self._find(pair, still=True) if answer is None else self._remember(pair, *answer)
            counts[pair.staged.name] = rows
        return counts

    def _guess_size(self, pair: Pair) -> int:
        """How much there is to be compared, more or less."""
        return self._count(_new(pair)) * len(pair.columns)

    def list_keys(self, pair: Pair) -> Answer:
        """The keys remembered, and whether staging is to lose rows, or may be."""
        name = pair.staged.name
        return self._ask(f"SELECT * FROM {self._keys[name]}"), name in self._has_lost

    def _remember(self, pair: Pair, keys: Sequence[tuple[object, ...]], has_lost: bool) -> int:
        """Remember what another round over the same files found."""
        marks = ", ".join("?" * (len(pair.key) + 1))
        self._connection.executemany(f"INSERT INTO {self._open_keys(pair, ' LIMIT 0')} VALUES ({marks})", keys)
        if has_lost:
            self._has_lost.add(pair.staged.name)
        return len(keys)

    def _open_keys(self, pair: Pair, limit: str = "") -> str:
        """Make a table of the keys of live rows that differ, or that staging has not; returns its name."""
        keys = self._keys.setdefault(pair.staged.name, f"temp.ferry_keys_{len(self._keys)}")
        same = " AND ".join(_same(ours, theirs, "l", "s") for ours, theirs in pair.columns)
        theirs = f"s.{quote(pair.pairs_of_key[0][1])} IS NULL"
        self._ask(f"DROP TABLE IF EXISTS {keys}")
        self._ask(
            f"CREATE TABLE {keys} AS SELECT {_name_key(pair, 0)}, {theirs} AS fresh "
            f"FROM {_old(pair)} l LEFT JOIN {_new(pair)} s ON {_on(pair)} WHERE ({theirs} OR NOT ({same})){limit}"
        )
        return keys

    def _find(self, pair: Pair, *, still: bool) -> int:
        # A key that is NULL is equal to none, and no row would be another's.
        nulls = [f"SELECT 1 FROM {_old(pair)} l WHERE l.{quote(name)} IS NULL" for name, _ in pair.pairs_of_key]
        nulls += [f"SELECT 1 FROM {_new(pair)} s WHERE s.{quote(name)} IS NULL" for _, name in pair.pairs_of_key]
        if any(self._ask(f"{query} LIMIT 1") for query in nulls):
            raise CannotCatchUp(f"keys of {pair.live.name} are NULL")
        keys = self._open_keys(pair)
        before = self._count(keys)
        # As a key is one row's on either side, a row of staging alone is one too many.
        fresh = self._count(f"{keys} WHERE fresh")
        if not still or self._count(_new(pair)) != self._count(_old(pair)) - fresh:
            self._ask(
                f"INSERT INTO {keys} SELECT {_name_key(pair, 1)}, 0 FROM {_new(pair)} s "
                f"LEFT JOIN {_old(pair)} l ON {_on(pair)} WHERE l.{quote(pair.pairs_of_key[0][0])} IS NULL"
            )
        count = self._count(keys)
        if count > before or self._may_be_left(pair):
            self._has_lost.add(pair.staged.name)
        return count

    def agree(self, pair: Pair) -> bool:
        ours, theirs = pair.pairs_of_key[0]
        same = " AND ".join(_same(mine, its, "l", "s") for mine, its in pair.columns)
        on = [
            " AND ".join(f"{alias}.{quote(both[side])} = k.c{n}" for n, both in enumerate(pair.pairs_of_key))
            for side, alias in enumerate("ls")
        ]
        one, other = f"l.{quote(ours)} IS NULL", f"s.{quote(theirs)} IS NULL"
        with explain_refusals():
            return not self._ask(
                f"SELECT 1 FROM {self._keys[pair.staged.name]} k LEFT JOIN {_old(pair)} l ON {on[0]} "
                f"LEFT JOIN {_new(pair)} s ON {on[1]} "
                f"WHERE CASE WHEN {one} OR {other} THEN NOT ({one} AND {other}) ELSE NOT ({same}) END LIMIT 1"
            )

    def _count(self, place: str) -> int:
        return int(str(self._ask(f"SELECT count(*) FROM {place}")[0][0]))

    def rows(self, pair: Pair) -> Iterator[Values]:
        return self._reader.rows(pair.staged, within=self._where(pair))

    def _where(self, pair: Pair, alias: str = "own") -> Where:
        names = [f"{alias}.{quote(theirs)}" for _, theirs in pair.pairs_of_key]
        numbers = ", ".join(f"c{number}" for number in range(len(names)))
        key = names[0] if len(names) == 1 else f"({', '.join(names)})"
        return Where(f"{key} IN (SELECT {numbers} FROM {self._keys[pair.staged.name]})")

    # What is brought over

    def apply(self, pairs: Sequence[Pair]) -> None:
        with explain_refusals(), self._without_triggers():
            for number, pair in enumerate(pairs):
                if pair.added:
                    self._ask(f"CREATE TABLE temp.ferry_first_{number} AS {_first(pair)}")
            # All that go before all that come: of two rows that change places with a unique value none is in the way.
            for pair in pairs:
                self._ask(f"DELETE FROM {_new(pair)} AS own WHERE {self._where(pair).condition}")
            for number, pair in enumerate(pairs):
                self._insert(pair, f"temp.ferry_first_{number}")

    @contextlib.contextmanager
    def _without_triggers(self) -> Iterator[None]:
        rows = self._ask("SELECT name, sql FROM main.sqlite_schema WHERE type = 'trigger' ORDER BY rowid")
        for name, _ in rows:
            self._ask(f"DROP TRIGGER main.{quote(str(name))}")
        yield
        for _, sql in rows:
            self._ask(str(sql))

    def _insert(self, pair: Pair, first: str) -> None:
        names = [quote(theirs) for _, theirs in pair.columns] + list(map(quote, pair.added))
        values = [f"own.{quote(ours)}" for ours, _ in pair.columns] + [f"f.{quote(name)}" for name in pair.added]
        place = f"{_old(pair)} AS own"
        mine = [f"own.{quote(ours)}" for ours, _ in pair.pairs_of_key]
        key = mine[0] if len(mine) == 1 else f"({', '.join(mine)})"
        numbers = ", ".join(f"c{number}" for number in range(len(mine)))
        where = f" WHERE {key} IN (SELECT {numbers} FROM {self._keys[pair.staged.name]})"
        # A row without a value for what was added would be left out with the others.
        if pair.added and self._count(place + where) and not self._count(first):
            raise CannotCatchUp(f"no row of {pair.live.name} says what is in {', '.join(pair.added)}")
        place += f", {first} AS f" if pair.added else ""
        self._ask(f"INSERT INTO {_new(pair)} ({', '.join(names)}) SELECT {', '.join(values)} FROM {place}{where}")

    def _quote(self, name: str) -> str:
        return quote(name)

    def _place(self, name: str) -> str:
        return f"main.{quote(name)}"


def _places(pair: Pair) -> tuple[tuple[str, str], tuple[str, str]]:
    return ("live", pair.live.name), ("main", pair.staged.name)


def _new(pair: Pair) -> str:
    return f"main.{quote(pair.staged.name)}"


def _old(pair: Pair) -> str:
    return f"live.{quote(pair.live.name)}"


def _on(pair: Pair) -> str:
    return " AND ".join(f"l.{quote(ours)} = s.{quote(theirs)}" for ours, theirs in pair.pairs_of_key)


def _name_key(pair: Pair, side: int) -> str:
    return ", ".join(f"{'ls'[side]}.{quote(both[side])} AS c{number}" for number, both in enumerate(pair.pairs_of_key))


def _drain(pop: Callable[[], Pair]) -> Iterator[Pair]:
    """What is left of a queue that another thread takes from, too."""
    with contextlib.suppress(IndexError):
        while True:
            yield pop()


def _answer(begin: Begin, queue: deque[Pair]) -> list[tuple[Pair, Answer | None]]:
    """What another round finds of the pairs it takes; None of one that it cannot tell, or not in a few words."""
    answers = list[tuple[Pair, Answer | None]]()
    # Who asked looks at it himself then, and says what is wrong.
    with contextlib.suppress(sqlite3.Error, FerryError, CannotCatchUp), begin() as other:
        for pair in _drain(queue.pop):
            answers.append((pair, None))
            if other.find(pair, still=True) <= MOST:
                answers[-1] = pair, other.list_keys(pair)
    return answers


def _first(pair: Pair) -> str:
    return f"SELECT {', '.join(map(quote, pair.added))} FROM {_new(pair)} LIMIT 1"


def _same(ours: str, theirs: str, here: str, there: str) -> str:
    """A condition: two values are of one kind and the same bytes; ``+`` takes away what a column would make of them."""
    one, other = f"{here}.{quote(ours)}", f"{there}.{quote(theirs)}"
    return f"(+{one} COLLATE BINARY IS +{other} COLLATE BINARY AND typeof({one}) = typeof({other}))"


@contextlib.contextmanager
def explain_refusals() -> Iterator[None]:
    """:raises CannotCatchUp: a rule of staging refused a row, or a statement cannot be run."""
    try:
        yield
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorcode", 0) & 0xFF not in _REFUSALS:
            raise
        raise CannotCatchUp(str(error)) from error


@contextlib.contextmanager
def begin_round(files: Files, live: URL, staging: URL, version_table: str) -> Iterator[SqliteRound]:
    """A transaction; it is kept where nothing was raised."""
    path, lived = (path_of(url).resolve() for url in (staging, live))
    with (
        explain_file_errors(path),
        contextlib.closing(sqlite3.connect(path.as_uri(), uri=True, isolation_level=None, timeout=30)) as connection,
    ):
        files.functions.give(connection)
        connection.execute("PRAGMA foreign_keys = OFF")
        # Nothing that is sent here can write to it.
        connection.execute("ATTACH DATABASE ? AS live", (f"{lived.as_uri()}?mode=ro",))
        connection.execute("BEGIN")
        yield SqliteRound(connection, version_table, partial(begin_round, files, live, staging, version_table))
        with explain_refusals():
            connection.execute("COMMIT")


class CatchingUp:
    """A room in which staging is brought to what was written meanwhile."""

    _files: Files
    version_table: str

    def catching_up(
        self, live: URL, staging: URL, keep: URL | None = None, memory: Memory | None = None
    ) -> AbstractContextManager[Round]:
        # What is swapped in is kept by the swap itself, which moves it; and there is one round.
        del keep, memory
        return begin_round(self._files, live, staging, self.version_table)

    def renew_copy(self, live: URL, copy: URL, fence: Fence, *, timeout_s: float) -> None:
        assert isinstance(fence, SqliteFence)  # noqa: S101 # it is of this room
        with explain_file_errors(path_of(copy)):
            copies.renew_copy(self._files, path_of(live), fence.descriptor, path_of(copy), timeout_s=timeout_s)

    def keep_scales(self, staging: URL, tables: Sequence[Table], source: URL, unlike: URL | None = None) -> None:
        """Nothing: no value has noughts of its own."""
        del staging, tables, source, unlike
