"""MySQL and MariaDB: what a live database has otherwise than its staging, found by the server and brought over.

Rows of the same key are compared byte for byte: a collation takes texts for equal that are not the same, and ``=`` a
negative zero for the other one. Each statement reads what is committed when it begins, and locks no row of the live
database; while writers are held that is one instant.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import URL

from ..base import Fence
from ..dangling import Dangling
from ..model import LogicalType, Table, Values, Where
from ..rounds import CannotCatchUp, Memory, Pair, Round
from .catalogue import columns_of, read_catalogue, stored_columns
from .connect import STRICT, connect_to, quote, words_of
from .differing import Connect, Sides, Upper, count, find_keys, find_middle, is_numbered, open_beside
from .driver import current_of, version_of
from .loading import loading
from .names import database_of, refuse_live
from .read import RAW, MySqlReader, asking
from .session import is_refusal
from .types import SPATIAL, Stored

SESSION = (
    # Strict, so that no value is changed on its way, but for dates that are none and are there.
    f"sql_mode = '{STRICT},ALLOW_INVALID_DATES'",
    "foreign_key_checks = 0",
)
_ELSEWHERE = (
    "SELECT 1 FROM information_schema.key_column_usage WHERE table_schema = %s "
    "AND referenced_table_schema <> table_schema LIMIT 1"
)
_ISOLATION = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"
_NO_KEYS = ("tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob", *SPATIAL)
"""Of these a key has the beginning only."""
_AS_NUMBERS = (
    *(LogicalType.INT, LogicalType.BOOL, LogicalType.DECIMAL, LogicalType.DATE, LogicalType.TIME),
    *(LogicalType.TIMESTAMP, LogicalType.TIMESTAMPTZ, LogicalType.UUID),
)


class MySqlRound(Dangling):
    """One transaction over two databases of a server.

    :param connection: with the staging database as its own, and with :data:`SESSION`; it is closed afterwards.
    :param connect: opens another one like it.
    """

    def __init__(
        self,
        url: URL,
        connection: Any,
        live: str,
        staging: str,
        version_table: str,
        connect: Connect,
        keep: str | None = None,
        memory: Memory | None = None,
    ) -> None:
        self._keep, self._memory, self._connect = keep, memory or Memory(), connect
        self._ask, self._live, self._staging = asking(connection), live, staging
        self._is_mariadb = version_of(connection).is_mariadb
        self._reader = MySqlReader.within(url, connection, staging, version_table)
        self._tables = self._reader.tables()
        self._stored = {
            name: stored_columns(read_catalogue(self._ask, name, is_mariadb=self._is_mariadb))
            for name in (live, staging)
        }
        self._keys: dict[str, str] = {}
        self._has_lost: set[str] = set()

    # Which tables can be compared

    def refuse(self, pair: Pair) -> None:
        for ours, theirs in zip(*self._both(pair), strict=True):
            if (ours.full_type, ours.charset, ours.is_json) != (theirs.full_type, theirs.charset, theirs.is_json):
                raise CannotCatchUp(f"{pair.live.name}.{ours.name} is of another type now")
            if ours.name in pair.key and ours.type in _NO_KEYS:
                raise CannotCatchUp(f"the key of {pair.live.name} has the beginning of a text only")
        if self._ask(_ELSEWHERE, self._staging):
            raise CannotCatchUp("a foreign key leads to another database")
        if pair.added:
            with explain_refusals():
                self._refuse_various(pair)

    def _both(self, pair: Pair) -> tuple[list[Stored], list[Stored]]:
        live, staged = (
            {item.name: item for item in self._stored[place].get(table.name, ())}
            for place, table in ((self._live, pair.live), (self._staging, pair.staged))
        )
        return [live[ours] for ours, _ in pair.columns], [staged[theirs] for _, theirs in pair.columns]

    def _refuse_various(self, pair: Pair) -> None:
        """:raises CannotCatchUp: columns that were added have several values, or the rows are too few to tell."""
        first = self._first(pair)
        columns = columns_of(self._stored[self._staging], _with(pair.staged, pair.added))
        same = " AND ".join(_same(item, item, "s", "f", is_mariadb=self._is_mariadb) for item in columns)
        sql = f"SELECT count(*), coalesce(sum(NOT ({same})), 0) FROM {self._new(pair)} s, ({first}) f"
        [(rows, others)] = self._ask(sql)
        if int(rows) < 2 or int(others):
            raise CannotCatchUp(
                f"the rows of {pair.live.name} have several values in {', '.join(pair.added)}, or are too few"
            )

    def _first(self, pair: Pair) -> str:
        names = ", ".join(map(quote, pair.added))
        return f"SELECT {names} FROM {self._new(pair)} LIMIT 1"

    def _new(self, pair: Pair) -> str:
        return self._place(pair.staged.name)

    def _old(self, pair: Pair) -> str:
        return f"{quote(self._live)}.{quote(pair.live.name)}"

    # What differs

    def find(self, pair: Pair, *, still: bool = False) -> int:
        with explain_refusals():
            return self._find(self._sides(pair), still=still)

    def find_all(self, pairs: Sequence[Pair], *, still: bool = False) -> list[int]:
        middles = self._memory.middles if still else {}
        with explain_refusals(), open_beside(self._connect) as beside:
            sides = [self._sides(pair) for pair in pairs]
            uppers = [
                beside.look(one, middles[one.pair.staged.name]) if one.pair.staged.name in middles else None
                for one in sides
            ]
            return [self._find(*both, still=still) for both in zip(sides, uppers, strict=True)]

    def _find(self, sides: Sides, upper: Upper | None = None, *, still: bool) -> int:
        name = sides.pair.staged.name
        surplus = find_keys(self._ask, sides, still=still, upper=upper)
        if surplus or self._may_be_left(sides.pair):
            self._has_lost.add(name)
        if not still and name not in self._memory.middles and self._is_numbered(sides.pair):
            # Now, as nobody waits for it.
            self._memory.middles.update(zip([name], find_middle(self._ask, sides), strict=False))
        return self._count(sides.keys)

    def _is_numbered(self, pair: Pair) -> bool:
        return is_numbered([column for column in self._both(pair)[0] if column.name in pair.key])

    def _sides(self, pair: Pair) -> Sides:
        keys = self._keys.setdefault(pair.staged.name, quote(f"ferry_keys_{len(self._keys)}"))
        same = " AND ".join(
            _same(*items, "l", "s", is_mariadb=self._is_mariadb) for items in zip(*self._both(pair), strict=True)
        )
        return Sides(pair, keys, self._old(pair), self._new(pair), same)

    def agree(self, pair: Pair) -> bool:
        ours, theirs = pair.pairs_of_key[0]
        same = self._sides(pair).same
        one, other = f"l.{quote(ours)} IS NULL", f"s.{quote(theirs)} IS NULL"
        with explain_refusals():
            joins = (
                f"{self._old(pair)} l ON {_on(pair, 'l', 0)}",
                f"{self._new(pair)} s ON {_on(pair, 's', 1)}",
            )
            return not self._ask(
                f"SELECT 1 FROM {self._keys[pair.staged.name]} k LEFT JOIN {' LEFT JOIN '.join(joins)} "
                f"WHERE CASE WHEN {one} OR {other} THEN NOT ({one} AND {other}) ELSE NOT ({same}) END LIMIT 1"
            )

    def _count(self, place: str) -> int:
        return count(self._ask, place)

    def rows(self, pair: Pair) -> Iterator[Values]:
        return self._reader.rows(pair.staged, within=self._where(pair))

    def _where(self, pair: Pair, alias: str = "own") -> Where:
        names = ", ".join(f"{alias}.{quote(theirs)}" for _, theirs in pair.pairs_of_key)
        numbers = ", ".join(f"c{number}" for number in range(len(pair.key)))
        return Where(f"({names}) IN (SELECT {numbers} FROM {self._keys[pair.staged.name]})")

    # What is brought over

    def apply(self, pairs: Sequence[Pair]) -> None:
        with explain_refusals():
            for number, pair in enumerate(pairs):
                if pair.added:
                    self._ask(f"CREATE TEMPORARY TABLE ferry_first_{number} ENGINE = InnoDB {self._first(pair)}")
            # All that go before all that come: of two rows that change places with a unique value none is in the way.
            for pair in pairs:
                keys = self._keys[pair.staged.name]
                self._ask(f"DELETE s FROM {self._new(pair)} s JOIN {keys} k ON {_on(pair, 's', 1)}")
            for number, pair in enumerate(pairs):
                self._insert(pair, f"ferry_first_{number}")
            for pair in pairs if self._keep else ():
                self._keep_rows(pair, f"{quote(self._keep or '')}.{quote(pair.staged.name)}")

    def _insert(self, pair: Pair, first: str) -> None:
        names = [quote(theirs) for _, theirs in pair.columns] + list(map(quote, pair.added))
        values = [f"l.{quote(ours)}" for ours, _ in pair.columns] + [f"f.{quote(name)}" for name in pair.added]
        place = f"{self._old(pair)} l JOIN {self._keys[pair.staged.name]} k ON {_on(pair, 'l', 0)}"
        # A row without a value for what was added would be left out with the others.
        if pair.added and self._count(place) and not self._count(first):
            raise CannotCatchUp(f"no row of {pair.live.name} says what is in {', '.join(pair.added)}")
        place += f" JOIN {first} f" if pair.added else ""
        self._ask(f"INSERT INTO {self._new(pair)} ({', '.join(names)}) SELECT {', '.join(values)} FROM {place}")

    def _keep_rows(self, pair: Pair, to: str) -> None:
        keys = self._keys[pair.staged.name]
        names = ", ".join(quote(column.name) for column in self._stored[self._staging][pair.staged.name])
        self._ask(f"DELETE g FROM {to} g JOIN {keys} k ON {_on(pair, 'g', 1)}")
        self._ask(
            f"INSERT INTO {to} ({names}) SELECT {names} FROM {self._new(pair)} own WHERE {self._where(pair).condition}"
        )

    def _quote(self, name: str) -> str:
        return quote(name)

    def _place(self, name: str) -> str:
        return f"{quote(self._staging)}.{quote(name)}"


def _with(table: Table, names: Sequence[str]) -> Table:
    return Table(table.name, tuple(column for column in table.columns if column.name in names))


def _on(pair: Pair, alias: str, side: int) -> str:
    names = (names[side] for names in pair.pairs_of_key)
    return " AND ".join(f"{alias}.{quote(name)} = k.c{number}" for number, name in enumerate(names))


def _same(ours: Stored, theirs: Stored, here: str, there: str, *, is_mariadb: bool) -> str:
    """A condition: two columns of one type hold the same bytes, or are both NULL."""
    one, other = f"{here}.{quote(ours.name)}", f"{there}.{quote(theirs.name)}"
    if ours.logical_type in _AS_NUMBERS:
        return f"{one} <=> {other}"
    if ours.logical_type is LogicalType.FLOAT:
        return f"({one} <=> {other} AND ({one} <> 0 OR CONCAT({one}) <=> CONCAT({other})))"
    if ours.type in SPATIAL or ours.type == "vector":
        return f"HEX({one}) <=> HEX({other})"
    if ours.type == "json":
        one, other = f"CAST({one} AS CHAR)", f"CAST({other} AS CHAR)"
    if is_mariadb and ours.charset == "utf8mb4" and ours.logical_type is LogicalType.TEXT:
        # It does not take blanks at the end for nothing, and copies no value to compare it (a third faster).
        return f"{one} <=> {other} COLLATE utf8mb4_nopad_bin"
    return f"CAST({one} AS BINARY) <=> CAST({other} AS BINARY)"


@contextlib.contextmanager
def explain_refusals() -> Iterator[None]:
    """:raises CannotCatchUp: the server refused a statement, for whatever reason; a lost connection is one no more."""
    try:
        yield
    except pymysql.Error as error:
        if not is_refusal(error):
            raise
        raise CannotCatchUp(words_of(error)) from error


@contextlib.contextmanager
def begin_round(connection: Any, make: Callable[[], MySqlRound]) -> Iterator[MySqlRound]:
    """A transaction; it is kept where nothing was raised."""
    ask = asking(connection)
    with explain_refusals():
        ask(_ISOLATION)
        ask("START TRANSACTION")
        turn = make()
    try:
        yield turn
    except BaseException:
        with contextlib.suppress(pymysql.Error):
            ask("ROLLBACK")
        raise
    ask("COMMIT")


class CatchingUp:
    """A room in which staging is brought to what was written meanwhile."""

    _tls_ca: Path | None
    _spell: Callable[[URL], str]
    version_table: str

    @contextlib.contextmanager
    def catching_up(
        self, live: URL, staging: URL, keep: URL | None = None, memory: Memory | None = None
    ) -> Iterator[Round]:
        refuse_live(database_of(staging))
        kept_in = None if keep is None else database_of(keep)

        def connect() -> AbstractContextManager[Any]:
            return connect_to(staging, self._tls_ca, session=SESSION, conv=RAW)

        def make() -> MySqlRound:
            names = self._spell(live), current_of(connection), self.version_table
            return MySqlRound(staging, connection, *names, connect, kept_in, memory)

        with (
            loading(staging, self._tls_ca),
            loading(keep, self._tls_ca) if keep else contextlib.nullcontext(),
            connect() as connection,
            begin_round(connection, make) as turn,
        ):
            yield turn

    def renew_copy(self, live: URL, copy: URL, fence: Fence, *, timeout_s: float) -> None:
        raise NotImplementedError  # here a swap moves the old database

    def keep_scales(self, staging: URL, tables: Sequence[Table], source: URL, unlike: URL | None = None) -> None:
        """Nothing: a DECIMAL always has a scale."""
        del staging, tables, source, unlike
