"""Loading a ``rows`` snapshot into staging: structure first, then rows, with an account of every one of them."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

from sqlalchemy import URL

from ...dialects.base import Dialect
from ...dialects.model import LoadResult, Refusal, Table, TableChecksum, Values
from ...dialects.wording import count_rows
from ...errors import SnapshotUnusable
from ..proof.compare import SHOWN, describe_values
from ..rows.canonical import MODULUS, encode_row, row_hasher
from ..rows.masking import mask, words_without_secrets
from ..rows.scratch import RowStore
from ..run.throttle import Lane
from .rows_file import RowsFile

BATCH_ROWS = 500
PROGRESS_ROWS = 500
CHUNK_ROWS = 100_000
"""Of a table in a transaction: of a run that dies what is in stays, and the next one goes on behind it."""


@dataclass(frozen=True)
class Loaded:
    """What is in staging already: rows of whole tables, with how many and what was noted.

    :ivar spoiled: tables that have some of their rows, or what is no row of them, and have to be emptied.
    :ivar begun: tables that have so many of their first rows, in the order in which they come.
    :ivar loading: puts back what staging is loaded without, where that is set aside already. Not before all tables are
        in: a foreign key of a partitioned table of PostgreSQL's holds at once, or cannot be put back.
    """

    rows: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    spoiled: frozenset[str] = frozenset()
    loading: AbstractContextManager[object] | None = None
    begun: Mapping[str, int] = field(default_factory=dict)


NOTHING_LOADED = Loaded()

Progress = Callable[[str, int, int | None], None]
Mark = Callable[[str, int, str], None]
"""Takes a table, how many of its first rows are in staging for good, and what was noted."""


def watch_nothing(_name: str, _count: int, _total: int | None) -> None:
    """Nobody wants to know."""


@dataclass
class TableLoad:
    """One table's account: rows of the source = loaded + excluded + set aside."""

    table: Table
    rows: int = 0
    loaded: TableChecksum = field(default_factory=lambda: TableChecksum(0, 0))
    excluded: int = 0
    set_aside: int = 0
    note: str = ""


def load(
    dialect: Dialect,
    staging: URL,
    rows: RowsFile,
    only: Collection[str] | None = None,
    *,
    loaded: Loaded = NOTHING_LOADED,
    progress: Progress = watch_nothing,
    lane: Lane | None = None,
    mark: Mark = lambda _table, _count, _note: None,
) -> tuple[dict[str, TableLoad], list[str]]:
    """Load every row that is not excluded or set aside.

    :param only: the tables to load; all of them when it is left out.
    :param loaded: what is there already.
    :param progress: takes table, rows so far, and rows in all where that is known.
    :param lane: how fast the rows may go in.
    :param mark: is told what is in, where the rows that are in are the first ones, and all of them.
    :return: the account per table, and a line per table with refused rows (which are then in ``rows.aside``).
    """
    accounts = _account_loaded(rows, loaded)
    refused: list[str] = []
    if spoiled := sorted((loaded.spoiled | loaded.rows.keys()) - accounts.keys()):
        dialect.clear(staging, spoiled)
    for table, values in rows.all_rows({*accounts}):
        if only is not None and table.name not in only:
            continue
        account = accounts[table.name] = TableLoad(table)
        if rows.is_excluded(table.name):
            account.rows = account.excluded = sum(1 for _ in values)
            continue
        counting = _Counting(rows, table, values, progress)
        result = _load_in_chunks(dialect, staging, counting, loaded.begun.get(table.name, 0), lane, mark)
        account.rows, account.set_aside = counting.seen, counting.seen - counting.passed
        account.note = result.note
        refused += _list_refused(rows, counting, result)
        account.loaded = counting.without(result)
    return {name: accounts[name] for name in rows.tables if name in accounts}, refused


def _load_in_chunks(
    dialect: Dialect, staging: URL, counting: _Counting, there: int, lane: Lane | None, mark: Mark
) -> LoadResult:
    """Load a table behind so many first rows that are there, in transactions of some rows each."""
    rows, table = iter(counting), counting.table
    loaded, refused, note, is_last = sum(1 for _ in islice(rows, there)), list[Refusal](), "", False
    while not is_last:
        before = counting.passed
        chunk = islice(rows, CHUNK_ROWS)
        result = dialect.load(staging, table, lane.rows(chunk) if lane else chunk, batch_rows=BATCH_ROWS)
        loaded, note = loaded + result.loaded, note or result.note
        refused += [replace(item, number=item.number + before) for item in result.refused]
        if not refused and counting.seen == counting.passed:
            mark(table.name, loaded, note)
        is_last = counting.passed - before < CHUNK_ROWS
    return LoadResult(loaded, refused, note)


def _account_loaded(rows: RowsFile, loaded: Loaded) -> dict[str, TableLoad]:
    """The accounts of tables that are there, every row as it stands in the file."""
    accounts = {}
    for name, (count, note) in loaded.rows.items():
        known = rows.known_checksum(rows.tables[name]) if name in rows.tables else None
        if known is not None and known.rows == count and not rows.is_excluded(name):
            accounts[name] = TableLoad(rows.tables[name], count, known, note=note)
    return accounts


class _Counting:
    """Iterates over the rows to load, and keeps their count and sum."""

    def __init__(
        self, rows: RowsFile, table: Table, values: Iterable[Values], progress: Progress = watch_nothing
    ) -> None:
        self._rows, self.table, self._values, self._progress = rows, table, values, progress
        self._hash = row_hasher(table)
        self._known = rows.known_checksum(table)
        self.seen = self.passed = self._total = 0
        self.numbers: dict[int, int] = {}
        self.refused: list[Refusal] = []

    def __iter__(self) -> Iterator[Values]:
        for number, row in self._keep():
            if words := self._rows.out_of_place(self.table, row):
                self.refused.append(Refusal(number, row, words))
                continue
            self.passed += 1
            if number != self.passed:
                self.numbers[self.passed] = number
            if self._known is None:
                self._total += self._hash(row, encode_row(row))
            yield row

    def _keep(self) -> Iterator[tuple[int, Values]]:
        return self._rows.kept_rows(self.table, self._all())

    def _all(self) -> Iterator[Values]:
        total = self._known.rows if self._known else None
        for row in self._values:
            self.seen += 1
            if self.seen % PROGRESS_ROWS == 0:
                self._progress(self.table.name, self.seen, total)
            yield row

    def without(self, result: LoadResult) -> TableChecksum:
        """The checksum of what was loaded."""
        total, left_out = self._total, list(result.refused)
        if self._known is not None:
            if self.seen != self._known.rows:
                raise SnapshotUnusable(
                    f"{self._rows.path} was changed while its rows of {self.table.name} were loaded.",
                    hint="Run the command again when nobody changes it.",
                )
            total, left_out = self._known.total, left_out + self.refused
        for refusal in left_out:
            total -= self._hash(refusal.row, encode_row(refusal.row))
        return TableChecksum(result.loaded, total % MODULUS)


class _CountingFixed(_Counting):
    """Counts the fixed rows of a table alone."""

    def __init__(self, rows: RowsFile, table: Table, fixed: RowStore) -> None:
        super().__init__(rows, table, ())
        self._fixed = fixed

    def _keep(self) -> Iterator[tuple[int, Values]]:
        for number, row in self._fixed.of(self.table.name):
            if not self._rows.aside.has(self.table.name, number):
                yield number, [row[name] for name in self.table.column_names]


def load_fixed(
    dialect: Dialect, staging: URL, rows: RowsFile, table: Table, fixed: RowStore
) -> tuple[TableChecksum, list[str]]:
    """Load the fixed rows of a table besides those that are there; those that are refused are set aside again.

    :return: what was loaded, and a line per reason for those that were not.
    """
    counting = _CountingFixed(rows, table, fixed)
    result = dialect.load(staging, table, counting, batch_rows=BATCH_ROWS)
    refused = _list_refused(rows, counting, result)
    return counting.without(result), refused


def _list_refused(rows: RowsFile, counting: _Counting, result: LoadResult) -> list[str]:
    table = counting.table
    reasons: dict[str, list[str]] = {}
    theirs = [replace(item, number=counting.numbers.get(item.number, item.number)) for item in result.refused]
    for refusal in sorted(counting.refused + theirs, key=lambda item: item.number):
        words = words_without_secrets(refusal.message, table, refusal.row)
        if refusal.equal_to:
            words += f"; equal to the row with the key {describe_own_key(table, refusal.equal_to)}"
        rows.aside.add(table.name, refusal.number, words, refusal.row)
        reasons.setdefault(words, []).append(describe_key(table, refusal.row))
    return [
        f"{table.name}: {count_rows(len(keys))}: {reason}; key {', '.join(keys[:SHOWN])}"
        for reason, keys in reasons.items()
    ]


def describe_key(table: Table, row: Values) -> str:
    """A row's key for people; secrets masked."""
    values = describe_values(table, row)
    return str(values[0]) if len(values) == 1 else str(values)


def describe_own_key(table: Table, key: Values) -> str:
    """A primary key for people; secrets masked."""
    by_name = {column.name: column for column in table.columns}
    values = [mask(by_name[name], value) for name, value in zip(table.primary_key, key, strict=True)]
    return repr(values[0]) if len(values) == 1 else str(values)


def aside_to_json(rows: RowsFile) -> Iterator[dict[str, Any]]:
    """The rows set aside, for the file that keeps them."""
    for name, number, reason, row in rows.aside.rows():
        columns = rows.tables[name].column_names
        yield {"table": name, "number": number, "reason": reason, "row": dict(zip(columns, row, strict=True))}
