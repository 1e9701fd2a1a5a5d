"""Staging is brought to what was written meanwhile, so that writers wait for the last of it and not for a whole pass.

First without anybody waiting, again and again while it gets less; the rest while writers are held. Then each table is
shown to be the live one's: by a comparison of all of its rows by the server while writers are held, or by one before
it, where the server says that nobody wrote to the table since. See ``docs/decisions/a-short-stop.md``.
"""

from __future__ import annotations

import contextvars
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from sqlalchemy import URL

from ...dialects.base import Dialect, Fence
from ...dialects.model import Look, Table, TableChecksum
from ...dialects.reader import Reader
from ...dialects.rounds import CannotCatchUp, Memory, Pair, Round
from ..proof.checksums import Contents
from ..rows.canonical import MODULUS, encode_row, row_hasher
from ..rows.header import sort_columns
from .row_by_row import RowByRow

ROUNDS = 6
"""At most, before writers are held."""
FEW = 200
"""So many rows are worth no further round."""
LAST_ROUNDS = 3
"""While writers are held: one brings what is left over, another finds nothing, or what a foreign key did."""

Sums = dict[str, TableChecksum]


@dataclass
class Brought:
    """Rows of a table that were brought over: all of them, and those for which writers waited."""

    rows: int = 0
    while_waiting: int = 0


class ShortStop:
    """Brings a staging database to its live one.

    :param contents: what the live database held when staging was made of it.
    :param schema: what the fence saw of its schema before that.
    :param sums: of tables of staging, by their names there; kept up to date.
    :ivar brought: by the live table's name.
    """

    def __init__(
        self,
        dialect: Dialect,
        live: URL,
        staging: URL,
        fence: Fence,
        contents: Contents,
        schema: str,
        tables: RowByRow,
        sums: Mapping[str, TableChecksum],
    ) -> None:
        self._dialect, self._live, self._staging, self._fence = dialect, live, staging, fence
        self._contents, self._schema, self._tables = contents, schema, tables
        self.sums: Sums = dict(sums)
        self.brought: dict[str, Brought] = {}
        self._equal: dict[str, str] = {}
        self._still: dict[str, str] = {}
        self._memory = Memory()
        self._is_copy, self._is_clean = False, False
        self._keep: URL | None = None

    def name_of(self, table: str) -> str | None:
        """What a live table is called in staging, where it was carried row by row."""
        paired = self._tables.pairs.get(table)
        return paired.staged.name if paired else None

    def is_same(self, table: str) -> bool:
        """Whether its rows are the live ones as they are, so that their checksums are the same."""
        paired = self._tables.pairs[table]
        return sort_columns(paired.live).column_names == sort_columns(paired.staged).column_names

    # Without anybody waiting

    def begin(self, *, is_copy: bool) -> None:
        """Decide, by what there is and what the server sums it up to, which tables can be brought to the live ones.

        :param is_copy: staging is to be a copy of the live database, and need not be one yet; else it was upgraded.
        :raises CannotCatchUp: says why.
        """
        self._is_copy = is_copy
        sight = self._look().tables if self._fence.tells_tables else {}
        with self._dialect.reader(self._staging) as reader:
            for name, pair in list(self._tables.pairs.items()):
                if not is_copy and not self._is_as_it_was(name, pair, reader):
                    self._leave_out(name, "the upgrade changed values of it, or it is not known whether it did")
            for name in self._tables.others if is_copy else ():
                table, digest = self._contents.digests.get(name, (None, None))
                if table is None or reader.digest(table) != digest:
                    raise CannotCatchUp(f"{name} was written: {self._tables.others[name]}")
        if self._fence.tells_tables:
            self._leave_out_odd()
            self._find_still(sight)

    def _leave_out_odd(self) -> None:
        """Leave out tables whose rows the server cannot compare to the byte."""
        with self._turn() as turn:
            for name, pair in list(self._tables.pairs.items()):
                try:
                    turn.refuse(pair)
                except CannotCatchUp as error:
                    self._leave_out(name, str(error))

    def _is_as_it_was(self, name: str, pair: Pair, reader: Reader) -> bool:
        table, digest = self._contents.digests.get(name, (None, None))
        return table is not None and digest is not None and reader.digest(_as_it_was(pair, table)) == digest

    def _leave_out(self, name: str, why: str) -> None:
        del self._tables.pairs[name]
        self._tables.others[name] = why

    def _find_still(self, sight: Mapping[str, str]) -> None:
        """:raises CannotCatchUp: a table that was not carried row by row was written."""
        with self._dialect.reader(self._live) as reader:
            there = reader.tables()
            for name in [*self._tables.others, *(name for name, table in there.items() if table.of_alembic)]:
                table, digest = self._contents.digests.get(name, (None, None))
                if table is None or digest is None or name not in there or reader.digest(table) != digest:
                    why = self._tables.others.get(name, "it says which revision the database is at")
                    raise CannotCatchUp(f"{name} was written: {why}")
                self._still[name] = sight.get(name, "")

    def approach(self) -> None:
        """Bring over what was written, while it gets less; not where that would keep writers waiting again and again.

        :raises CannotCatchUp: says why; staging is of no use any more.
        """
        last, self._keep = None, None
        if not self._fence.tells_tables:
            self._is_clean = True
            return
        for _ in range(ROUNDS):
            count = self._bring_seen(self._look())
            self._is_clean = self._is_copy or self._find_dangling() is None
            if self._is_clean and (count <= FEW or (last is not None and count > last // 2)):
                break
            last = count

    def look_ahead(self) -> None:
        """Compare all tables, as rounds before the last do, where that keeps nobody waiting; bring nothing over."""
        if self._fence.tells_tables:
            self._find_all(still=False)

    def look_over(self) -> None:
        """Compare all tables, as :meth:`finish` does, and bring nothing over.

        :raises CannotCatchUp: one of those that were not carried row by row was written.
        """
        sight = self._look()
        if not self._fence.tells_tables:
            self._leave_out_odd()
        self._find_still(sight.tables)
        self._find_all(still=True)

    def _find_all(self, *, still: bool) -> None:
        with self._dialect.catching_up(self._live, self._staging, memory=self._memory) as turn:
            turn.find_all(list(self._tables.pairs.values()), still=still)

    def keep(self, generation: URL) -> None:
        """Keep staging as it is, and from now on what is brought over, too: writers need not wait for that."""
        self._dialect.keep(self._staging, generation)
        self._keep = generation

    def _find_dangling(self) -> str | None:
        """Each table was brought to an instant of its own: of what was written together a part may be there."""
        with self._turn() as turn:
            return turn.find_dangling()

    def _turn(self) -> AbstractContextManager[Round]:
        return self._dialect.catching_up(self._live, self._staging)

    def _look(self) -> Look:
        sight = self._fence.look()
        if sight.schema != self._schema:
            raise CannotCatchUp("the live schema was changed")
        return sight

    # In turns

    def _bring_seen(self, sight: Look) -> int:
        return self._bring(lambda: sight, waiting=False)

    def _bring(self, look: Callable[[], Look], *, waiting: bool, first: Collection[str] = ()) -> int:
        """Compare all tables that may differ, and bring over what does; returns how many rows did.

        :param look: gives what the fence said of the tables before.
        :param first: tables that are compared whatever it says, before it is asked.
        """
        count, changed = 0, dict[str, Pair]()
        with self._dialect.catching_up(self._live, self._staging, self._keep, self._memory) as turn:
            pairs = {name: pair for name, pair in self._tables.pairs.items() if name in first}
            counts = turn.find_all(list(pairs.values()), still=waiting)
            sight = look()
            others = {name: pair for name, pair in self._tables.pairs.items() if name not in pairs}
            rest = {name: pair for name, pair in others.items() if not self._is_equal(sight, name)}
            pairs, counts = pairs | rest, counts + turn.find_all(list(rest.values()), still=waiting)
            for (name, pair), rows in zip(pairs.items(), counts, strict=True):
                self._equal.pop(name, None)
                if rows:
                    changed[name] = pair
                    count += rows
                    brought = self.brought.setdefault(name, Brought())
                    brought.rows += rows
                    brought.while_waiting += rows * waiting
                else:
                    self._equal[name] = self._known(sight, name)
            if not changed:
                return 0
            acted_on = self._list_acted_on(turn, list(changed.values()))
            self._apply(turn, changed.values())
            if waiting and not self._is_copy:
                refuse_dangling(turn.find_dangling(list(changed.values()) if self._is_clean else None))
            if acted_on:
                # What foreign keys did to other tables is found when these are compared again; no sum of them is known.
                self._equal.clear()
                self._memory.equal.clear()
                self.sums = {name: sums for name, sums in self.sums.items() if name not in acted_on}
                return count
            # Of all other keys the rows were found to be equal, and nothing but these rows was touched.
            agreed = [turn.agree(pair) for pair in changed.values()]
            if waiting and not all(agreed):
                raise CannotCatchUp("what was brought over is not what is live")
            if waiting:
                self._equal.update((name, self._known(sight, name)) for name in changed)
        return count

    def _is_equal(self, sight: Look, name: str) -> bool:
        return name in self._equal and self._equal[name] == self._known(sight, name)

    def _list_acted_on(self, turn: Round, changed: Sequence[Pair]) -> set[str]:
        """:raises CannotCatchUp: foreign keys may change rows that are looked at no more."""
        acted_on = turn.list_acted_on(changed)
        if unknown := sorted(acted_on - {pair.staged.name for pair in self._tables.pairs.values()}):
            raise CannotCatchUp(f"foreign keys may change rows of {unknown[0]}")
        return acted_on

    def _known(self, sight: Look, name: str) -> str:
        """What a table is known by: its own, or all of the database where the server does not tell tables apart."""
        return sight.tables.get(name) or sight.token.hex()

    def _apply(self, turn: Round, pairs: Iterable[Pair]) -> None:
        pairs = [replace(pair, staged=sort_columns(pair.staged)) for pair in pairs]
        summed = {pair.staged.name: pair for pair in pairs if pair.staged.name in self.sums}
        before = {name: _sum_up(turn, pair) for name, pair in summed.items()}
        turn.apply(pairs)
        for name, pair in summed.items():
            was, less, more = self.sums[name], before[name], _sum_up(turn, pair)
            total = (was.total - less.total + more.total) % MODULUS
            self.sums[name] = TableChecksum(was.rows - less.rows + more.rows, total)

    # While writers are held

    def finish(self) -> bytes:
        """Bring over the rest and show that staging is what is live; returns the fence's token.

        Only ever called while the fence is held.

        :raises CannotCatchUp: says why; staging is of no use any more.
        """
        if not self._fence.tells_tables:
            sight = self._look()
            self._leave_out_odd()
            self._find_still(sight.tables)
            self._bring_last(lambda: sight, self._tables.pairs)
            return sight.token
        with ThreadPoolExecutor(1) as thread:
            looking = thread.submit(contextvars.copy_context().run, self._look)
            try:
                return self._finish_beside(looking.result)
            except CannotCatchUp:
                # Where the schema was changed, that is why.
                looking.result()
                raise

    def _finish_beside(self, look: Callable[[], Look]) -> bytes:
        """As :meth:`finish`, while the fence looks, for which it reads all rows; what will be compared is, meanwhile.

        Where the fence knows by values that is all: it says so of values that may have been others in between.
        """
        if self._fence.knows_by_values:
            self._equal.clear()
            self._find_still({})
            self._bring_last(look, self._tables.pairs)
            return look().token
        self._bring_last(look, self.brought)
        sight = look()
        if any(not before or sight.tables.get(name) != before for name, before in self._still.items()):
            # Of a table alone the server says nothing; all of it is looked at again.
            self._find_still(sight.tables)
        return sight.token

    def _bring_last(self, look: Callable[[], Look], first: Collection[str]) -> None:
        for _ in range(LAST_ROUNDS):
            self._bring(look, waiting=True, first=first)
            sight, first = look(), ()
            if all(self._is_equal(sight, name) for name in self._tables.pairs):
                self._prove_sums()
                return
        raise CannotCatchUp("rules of the new schema change what is brought over")

    def _prove_sums(self) -> None:
        """:raises CannotCatchUp: there are not as many rows as what was brought over makes them."""
        if not self._is_clean:
            refuse_dangling(self._find_dangling())
        touched = [pair.staged.name for name, pair in self._tables.pairs.items() if name in self.brought]
        with self._dialect.reader(self._staging) as reader:
            counts = reader.counts(touched)
        if wrong := [name for name in touched if name in self.sums and counts[name] != self.sums[name].rows]:
            raise CannotCatchUp(f"the rows of {wrong[0]} are {counts[wrong[0]]}, and not {self.sums[wrong[0]].rows}")


def refuse_dangling(words: str | None) -> None:
    if words is not None:
        raise CannotCatchUp(words)


def _as_it_was(pair: Pair, table: Table) -> Table:
    """The new table with the columns that were kept, in the order in which the live one was summed up."""
    names, columns = dict(pair.columns), {column.name: column for column in pair.staged.columns}
    return replace(pair.staged, columns=tuple(columns[names[name]] for name in table.column_names))


def _sum_up(turn: Round, pair: Pair) -> TableChecksum:
    """The rows of staging whose keys are remembered."""
    hash_row = row_hasher(pair.staged)
    count = total = 0
    for row in turn.rows(pair):
        count += 1
        total += hash_row(row, encode_row(row))
    return TableChecksum(count, total % MODULUS)
