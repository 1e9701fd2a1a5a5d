"""MySQL and MariaDB: the keys of rows that differ between a live table and its new one, found while writers wait.

To look up each row's counterpart by its key is most of the time that writers wait, and a session does one thing at a
time: so another session compares the upper half of a table's rows. It answers with keys, and only of tables whose keys
are whole numbers, which are the same after they were sent to and fro.

Rows that only the new table has are told by counts, and of most keys by the count of those that have the same hash.
"""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import pymysql

from ...errors import FerryError
from ..rounds import Pair
from .connect import quote
from .read import Asks, asking
from .types import Stored

MANY = 2_000
"""Rows of a table of which another session takes a half; to look at fewer takes no longer than to ask it."""
_HASHES = 4096
"""Groups of keys: few to be counted, and each a small part of a large table."""
_MOST, _AT_ONCE = 10_000, 1000
"""Keys of an answer, which are held in memory here, and keys of a statement."""
_NUMBERS = ("tinyint", "smallint", "mediumint", "int", "integer", "bigint")

Connect = Callable[[], AbstractContextManager[Any]]
Keys = Sequence[Sequence[Any]]
"""Of each the values of its columns, and whether staging has no row of it."""


@dataclass(frozen=True)
class Sides:
    """The two tables of a pair, in statements.

    :ivar keys: where keys are remembered.
    :ivar old: the live table. :ivar new: that of staging.
    :ivar same: a condition: a row ``l`` of the one is the row ``s`` of the other.
    """

    pair: Pair
    keys: str
    old: str
    new: str
    same: str

    @property
    def first(self) -> tuple[str, str]:
        """The first column of the key, in either table."""
        return self.pair.pairs_of_key[0]

    def part(self, sign: str, middle: int) -> str:
        """A condition: a live row's key is as this sign says of the middle one."""
        return f"l.{quote(self.first[0])} {sign} {middle}"

    @property
    def _on(self) -> str:
        return " AND ".join(f"l.{quote(ours)} = s.{quote(theirs)}" for ours, theirs in self.pair.pairs_of_key)

    def _name(self, side: int) -> str:
        pairs = enumerate(self.pair.pairs_of_key)
        return ", ".join(f"{'ls'[side]}.{quote(both[side])} AS c{number}" for number, both in pairs)

    def find_differing(self, which: str = "") -> str:
        """The keys of live rows that differ, or that staging has not.

        :param which: a further condition on the live row ``l``.
        """
        theirs = f"s.{quote(self.first[1])} IS NULL"
        return (
            f"SELECT {self._name(0)}, {theirs} AS fresh FROM {self.old} l LEFT JOIN {self.new} s ON {self._on} "
            f"WHERE ({theirs} OR NOT ({self.same}))" + (which and f" AND {which}")
        )

    def find_gone(self, which: str = "") -> str:
        """The keys of rows that staging alone has.

        :param which: a further condition on the row ``s`` of staging.
        """
        return (
            f"SELECT {self._name(1)}, 0 FROM {self.new} s LEFT JOIN {self.old} l ON {self._on} "
            f"WHERE l.{quote(self.first[0])} IS NULL" + (which and f" AND {which}")
        )

    def hash_key(self, side: int) -> str:
        return _hash(f"{'ls'[side]}.{quote(both[side])}" for both in self.pair.pairs_of_key)

    def find_crowded(self) -> str:
        """The hashes of keys that more rows of staging have than it should."""
        remembered = _hash(f"c{number}" for number in range(len(self.pair.key)))
        parts = (
            (self.hash_key(1), "count(*)", f"{self.new} s"),
            (self.hash_key(0), "-count(*)", f"{self.old} l"),
            (remembered, "count(*)", f"{self.keys} WHERE fresh"),
        )
        # Each is counted by itself: all together they would be put into a table. By place, as a column may be called h.
        counts = " UNION ALL ".join(
            f"SELECT {key} AS h, {rows} AS n FROM {place} GROUP BY 1" for key, rows, place in parts
        )
        return f"SELECT h FROM ({counts}) x GROUP BY h HAVING sum(n) > 0"


def _hash(columns: Iterator[str]) -> str:
    # A key that a collation takes for the other one has another hash; then the counts do not come out.
    return f"CRC32(CONCAT_WS(',', {', '.join(columns)})) % {_HASHES}"


def is_numbered(columns: Sequence[Stored]) -> bool:
    """Whether all columns of a key are whole numbers, which are the same after they were sent to and fro."""
    return all(column.type in _NUMBERS for column in columns)


@dataclass(frozen=True)
class Upper:
    """The upper half of a table's rows, looked at by another session.

    :ivar middle: the first key of it.
    :ivar answer: what differs; None where there is no other session to be had, or too much differs.
    """

    middle: int
    answer: Future[Keys | None]


class Beside:
    """Another session, which answers one question after the other while this one goes on.

    :param connect: opens it, like a round's, but without its transaction.
    """

    def __init__(self, thread: ThreadPoolExecutor, stack: contextlib.ExitStack, connect: Connect) -> None:
        self._thread, self._stack, self._connect = thread, stack, connect
        self._context = contextvars.copy_context()
        self._asks: list[Asks | None] = []

    def look(self, sides: Sides, middle: int) -> Upper:
        sql = sides.find_differing(sides.part(">=", middle))
        return Upper(middle, self._thread.submit(self._context.run, self._ask, sql))

    def _ask(self, sql: str) -> Keys | None:
        if not self._asks:
            self._asks.append(self._open())
        [ask] = self._asks
        keys = None if ask is None else ask(f"{sql} LIMIT {_MOST + 1}")
        return None if keys is None or len(keys) > _MOST else keys

    def _open(self) -> Asks | None:
        try:
            return asking(self._stack.enter_context(self._connect()))
        except (FerryError, pymysql.Error):
            return None  # a server has so many and no more


@contextlib.contextmanager
def open_beside(connect: Connect) -> Iterator[Beside]:
    """Another session for as long as this is open; it is opened when it is asked."""
    with contextlib.ExitStack() as stack, ThreadPoolExecutor(1) as thread:
        try:
            yield Beside(thread, stack, connect)
        finally:
            thread.shutdown(cancel_futures=True)


def find_keys(ask: Asks, sides: Sides, *, still: bool, upper: Upper | None = None) -> int:
    """Remember the keys that differ, in a round that has brought nothing over yet; returns those only staging has.

    :param still: nobody writes meanwhile.
    :param upper: of the rows, half of which are looked at elsewhere.
    """
    _find_differing(ask, sides, upper)
    before = count(ask, sides.keys)
    if still:
        # As a key is one row's on either side, a row of staging alone is one too many.
        surplus = count(ask, sides.new) - count(ask, sides.old) + count(ask, f"{sides.keys} WHERE fresh")
        if not surplus or _find_few(ask, sides, before + surplus):
            return surplus
        _find_differing(ask, sides, None)
    ask(f"INSERT INTO {sides.keys} {sides.find_gone()}")
    return count(ask, sides.keys) - before


def _find_differing(ask: Asks, sides: Sides, upper: Upper | None) -> None:
    which = "" if upper is None else sides.part("<", upper.middle)
    ask(f"DROP TEMPORARY TABLE IF EXISTS {sides.keys}")
    ask(f"CREATE TEMPORARY TABLE {sides.keys} ENGINE = InnoDB {sides.find_differing(which)}")
    if upper is None:
        return
    answer = upper.answer.result()
    if answer is None:
        ask(f"INSERT INTO {sides.keys} {sides.find_differing(sides.part('>=', upper.middle))}")
        return
    for start in range(0, len(answer), _AT_ONCE):
        rows = (f"({', '.join(str(int(value)) for value in row)})" for row in answer[start : start + _AT_ONCE])
        ask(f"INSERT INTO {sides.keys} VALUES {', '.join(rows)}")


def _find_few(ask: Asks, sides: Sides, expected: int) -> bool:
    """Look for rows that staging alone has by the hashes of their keys; whether these are all."""
    if hashes := [str(int(row[0])) for row in ask(sides.find_crowded())]:
        which = f"{sides.hash_key(1)} IN ({', '.join(hashes)})"
        ask(f"INSERT INTO {sides.keys} {sides.find_gone(which)}")
    return count(ask, sides.keys) == expected


def find_middle(ask: Asks, sides: Sides) -> list[int]:
    """A key with as many rows of staging below it as above; none of a table that is not worth being divided."""
    rows, name = count(ask, sides.new), quote(sides.first[1])
    if rows < MANY:
        return []
    return [int(row[0]) for row in ask(f"SELECT {name} FROM {sides.new} ORDER BY {name} LIMIT 1 OFFSET {rows // 2}")]


def count(ask: Asks, place: str) -> int:
    return int(ask(f"SELECT count(*) FROM {place}")[0][0])
