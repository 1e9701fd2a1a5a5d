"""PostgreSQL: which rows of a live table and its new one differ, found by the server.

A row's version names the transaction that made it (``xmin``). What a snapshot did not see was made by one that was not
over then, so whose number is not below the snapshot's own ``xmin``; and a version that it saw is as it was. So of a
table that was found to be equal in a snapshot, later ones need to compare such versions alone. Which rows went is told
by counts.

These numbers are of 32 bits and go round. One that is half a round behind looks as if it was to come: such a row is
compared for nothing, and none is missed as long as fewer than half a round was given out in between.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from typing import Any

import psycopg

from ..rounds import CannotCatchUp, Memory, Pair
from .catalogue import ask_for_catalogue, sort_catalogue
from .connect import Connection, is_lost, is_out_of_space, words_of
from .names import quote
from .read import PostgresqlReader
from .types import Declared

NUMBERS = 1 << 32
"""Of transactions, as rows name them."""


class Differing:
    """What a round finds, in one transaction over two schemas of a database.

    :param connection: in the transaction.
    """

    def __init__(
        self,
        connection: Connection,
        live: str,
        staging: str,
        version_table: str,
        keep: str | None = None,
        memory: Memory | None = None,
    ) -> None:
        self._keep, self._memory = keep, memory or Memory()
        self._connection, self._live, self._staging = connection, live, staging
        self._readers = {
            schema: PostgresqlReader(connection, schema, version_table, self._catalogue(schema))
            for schema in (live, staging)
        }
        self._keys: dict[str, str] = {}
        self._still = False

    def _catalogue(self, schema: str) -> Any:
        [rows] = self._connection.ask_at_once(ask_for_catalogue(schema))
        return sort_catalogue(rows)

    def _ask(self, sql: str, *values: str) -> list[tuple[Any, ...]]:
        cursor = self._connection.execute(sql.encode(), values or None)
        return cursor.fetchall() if cursor.description else []

    def _both(self, pair: Pair) -> tuple[list[Declared], list[Declared]]:
        live, staged = (
            {column.name: column for column in self._readers[schema].list_declared(table.name)}
            for schema, table in ((self._live, pair.live), (self._staging, pair.staged))
        )
        return [live[ours] for ours, _ in pair.columns], [staged[theirs] for _, theirs in pair.columns]

    def _new(self, pair: Pair) -> str:
        return self._readers[self._staging].place(pair.staged.name)

    def _old(self, pair: Pair) -> str:
        return self._readers[self._live].place(pair.live.name)

    def find(self, pair: Pair, *, still: bool = False) -> int:
        self._still, name = still, pair.staged.name
        keys = self._keys.setdefault(name, f"pg_temp.ferry_keys_{len(self._keys)}")
        with explain_refusals():
            if not self._find_recent(pair, keys, *self._memory.equal.pop(name, (0, 0))):
                self._find_whole(pair, keys)
            count = self._count(keys)
            if not count:
                self._remember(pair)
        return count

    def _remember(self, pair: Pair) -> None:
        """Remember that both are equal, for later rounds; not while writers wait, as there is none then."""
        if not self._still:
            self._memory.equal[pair.staged.name] = first_unseen(self._connection), self._count(self._old(pair))

    def _count(self, place: str) -> int:
        return int(self._ask(f"SELECT count(*) FROM {place}")[0][0])

    def _find_recent(self, pair: Pair, keys: str, since: int, rows: int) -> bool:
        """Compare the rows that were written since both were equal, and find those that went; whether that is all.

        :param rows: of staging, which nobody else writes to.
        """
        old = self._old(pair)
        # Places are those of one table, and not of its parts.
        if not since or not is_within(since, first_unseen(self._connection)) or not old.startswith("ONLY "):
            return False
        mine, its = self._key_of(pair, "l"), self._key_of(pair, "s")
        recent, named = (
            keys.replace("ferry_keys", "ferry_recent"),
            ", ".join(f"{k} AS c{n}" for n, k in enumerate(mine)),
        )
        on = " AND ".join(f"{a} = {b}" for a, b in zip(mine, its, strict=True))
        # One scan, which looks at no value.
        places = f"array_agg(l.ctid) FILTER (WHERE {is_recent('l', since)})"
        self._create(recent, f"SELECT count(*) AS rows, {places} AS places FROM {old} l")
        self._create(
            keys,
            f"SELECT {named}, true AS lives, {its[0]} IS NOT NULL AS staged FROM {old} l LEFT JOIN {self._new(pair)} s "
            f"ON {on} "
            f"WHERE l.ctid = ANY ((SELECT places FROM {recent})::tid[]) "
            f"AND ({its[0]} IS NULL OR NOT ({self._same(pair)}))",
        )
        differing = self._count(keys)
        # As a key is one row's on either side, a row of staging alone is one too many.
        [(living,)] = self._ask(f"SELECT rows FROM {recent}")
        surplus = rows - int(living) + self._count(f"{keys} WHERE NOT staged")
        if surplus:
            self._ask(
                f"INSERT INTO {keys} SELECT {', '.join(its)}, false, true FROM {self._new(pair)} s "
                f"WHERE NOT EXISTS (SELECT FROM {old} l WHERE {on})"
            )
        return self._count(keys) == differing + surplus

    def _create(self, place: str, query: str) -> None:
        self._ask(f"DROP TABLE IF EXISTS {place}")
        self._ask(f"CREATE TEMP TABLE {place.removeprefix('pg_temp.')} ON COMMIT DROP AS {query}")

    def _find_whole(self, pair: Pair, keys: str) -> None:
        mine, its = self._key_of(pair, "l"), self._key_of(pair, "s")
        on = " AND ".join(f"{a} = {b}" for a, b in zip(mine, its, strict=True))
        named = ", ".join(f"coalesce({a}, {b}) AS c{n}" for n, (a, b) in enumerate(zip(mine, its, strict=True)))
        self._create(
            keys,
            f"SELECT {named}, {mine[0]} IS NOT NULL AS lives, {its[0]} IS NOT NULL AS staged "
            f"FROM {self._old(pair)} l FULL JOIN {self._new(pair)} s ON {on} "
            f"WHERE {mine[0]} IS NULL OR {its[0]} IS NULL OR NOT ({self._same(pair)})",
        )

    def _same(self, pair: Pair) -> str:
        ours, theirs = self._both(pair)
        return same_rows([send_value(column, "l") for column in ours], [send_value(column, "s") for column in theirs])

    def find_all(self, pairs: Sequence[Pair], *, still: bool = False) -> list[int]:
        return [self.find(pair, still=still) for pair in pairs]

    def agree(self, pair: Pair) -> bool:
        lives, staged = (f"{self._key_of(pair, side)[0]} IS NOT NULL" for side in "ls")
        joins = (
            f"{self._old(pair)} l ON {self._on(pair, 'l')}",
            f"{self._new(pair)} s ON {self._on(pair, 's')}",
        )
        with explain_refusals():
            differing = self._ask(
                f"SELECT 1 FROM {self._keys[pair.staged.name]} k LEFT JOIN {' LEFT JOIN '.join(joins)} "
                f"WHERE CASE WHEN {lives} AND {staged} THEN NOT ({self._same(pair)}) ELSE {lives} OR {staged} END "
                "LIMIT 1"
            )
            if not differing:
                self._remember(pair)
        return not differing

    def _key_of(self, pair: Pair, side: str, alias: str = "") -> list[str]:
        columns = self._both(pair)["ls".index(side)]
        places = [[ours for ours, _ in pair.columns].index(name) for name in pair.key]
        return [send_value(columns[place], alias or side) for place in places]

    def _on(self, pair: Pair, side: str) -> str:
        return " AND ".join(f"{text} = k.c{number}" for number, text in enumerate(self._key_of(pair, side)))


def first_unseen(connection: Connection) -> int:
    """The number, of 64 bits, below which the transaction's snapshot sees all that was ever committed."""
    return int(connection.ask_row("SELECT pg_catalog.txid_snapshot_xmin(pg_catalog.txid_current_snapshot())")[0])


def is_within(since: int, now: int) -> bool:
    """Whether numbers from ``since`` on, to ``now`` and far beyond, can be told from older ones by 32 bits."""
    return 0 <= now - since < NUMBERS // 4


def is_recent(alias: str, since: int) -> str:
    """A condition: the version of a row was made by a transaction from a number on."""
    number = f"{alias}.xmin::pg_catalog.text::pg_catalog.int8"
    return f"(({number} - {since % NUMBERS}) & {NUMBERS - 1}) < {NUMBERS // 2}"


def same_rows(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Rows as values, whose images are compared; of two row constructors the columns would be, one after the other."""
    one, other = (f"ROW({', '.join(columns)})::pg_catalog.record" for columns in (ours, theirs))
    return f"{one} OPERATOR(pg_catalog.*=) {other}"


def send_value(column: Declared, alias: str) -> str:
    """The value as both sides have it, whatever a type that somebody made is called."""
    return column.sent_of(f"{alias}.{quote(column.name)}")


@contextlib.contextmanager
def explain_refusals() -> Iterator[None]:
    """:raises CannotCatchUp: the server refused a statement, for whatever reason; a lost connection is one no more."""
    try:
        yield
    except psycopg.Error as error:
        if is_lost(error) or is_out_of_space(error):
            raise
        raise CannotCatchUp(words_of(error)) from error
