"""Rows loaded while those behind them are still read.

What is loaded so is loaded as it stands in the snapshot, or again: a table of which a row is refused, or a part fails,
is emptied and loaded by :mod:`.load` as ever. Whether what arrived is what the snapshot has is the proof's to say.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass

from sqlalchemy.exc import SQLAlchemyError

from ...dialects.model import Table
from ...errors import FerryError
from ..run.run import Run
from ..run.workers import Workers
from .lines import Outcome, Place, load_into, load_lines, open_room
from .load import BATCH_ROWS, Loaded
from .rows_file import fit_as_it_stands, is_looser

WORTH_BYTES = 48 << 20
"""Of a source, from where on a worker that nobody asked for is worth its start."""
PART_BYTES = 4 << 20
"""Of lines that a worker is given at a time: enough that a session and the look at the catalogue do not count."""
PART_ROWS = 50_000
"""At most of a part: four MiB of the shortest lines are a million rows, which take 150 MiB as values of Python's."""
TAG = b'{"$'
"""How a value begins that is none of its column's type; within a text the quote would have a backslash before it."""
WAITING = 2
"""Parts that wait, besides those that each worker works on; what is more is loaded by the run itself, where it may."""


@dataclass(frozen=True)
class _Part:
    """Lines that a worker was given."""

    table: Table
    lines: bytes
    count: int
    name: str
    future: Future[Outcome]


class LoadAhead:
    """Takes the lines of a snapshot as they are written, and has them loaded by workers.

    :param run: of whose staging the tables are.
    """

    def __init__(self, run: Run, workers: Workers) -> None:
        self._place = Place.of(run)
        self._dialect, self._workers = run.dialect, workers
        self._rows_at_once = min(run.throttle.most_at_once, PART_ROWS)
        self._helps_itself = run.dialect.capabilities.loaders > 1
        # What another machine has begun cannot be taken back from it.
        self._takes_back = self._helps_itself and not workers.are_elsewhere
        self._sharing = contextlib.ExitStack()
        self.rows_by: dict[str, int] = {}
        self._tables: dict[str, Table] = {}
        self._looks_at_tags = set[str]()
        self._begin: Callable[[], object] = lambda: None
        self._failed: Exception | None = None
        self._pending: list[_Part] = []
        self._outcomes: dict[str, list[Outcome]] = {}
        self._name = ""
        self._lines: list[bytes] = []
        self._count = self._size = self._parts = 0

    def allow(self, stored: Iterable[Table], schema: Mapping[str, Table], begin: Callable[[], object]) -> None:
        """Allow tables whose rows go in as they stand in the snapshot.

        :param stored: the snapshot's.
        :param begin: called before the first rows are loaded.
        """
        for table in stored:
            fitted = fit_as_it_stands(table, schema[table.name]) if table.name in schema else None
            if fitted:
                self._tables[table.name] = fitted
                self._looks_at_tags |= {table.name} if is_looser(table, fitted) else set()
        self._begin = begin

    def make_ready(self) -> None:
        """Start the workers now."""
        with contextlib.suppress(BrokenExecutor, OSError):
            self._workers.submit(open_room, self._place)

    def take(self, name: str, lines: bytes, count: int) -> None:
        """Take some lines of a section, the next ones.

        :param lines: with a comma and a line's end between them.
        """
        if name != self._name:
            self._end_section()
            self._name = name
        if name not in self._tables:
            return
        self._lines.append(lines)
        self._count += count
        self._size += len(lines)
        if self._size >= PART_BYTES or self._count >= self._rows_at_once:
            self._submit()

    def finish(self, *, is_of_these: bool) -> Loaded:
        """Wait for all parts, and load those that nobody has begun.

        :param is_of_these: the snapshot has the lines that were taken, and no other one stands in for it.
        :raises FerryError: what is called before the first rows failed. While rows are read such an error would be
            taken for one of their source.
        """
        if self._failed is not None:
            raise self._failed
        self._end_section()
        while self._pending:
            part = self._pending.pop(-1 if self._takes_back else 0)
            if not self._takes_back or not part.future.cancel():
                self._note(part.table, self._wait_for(part))
            elif is_of_these:
                self._load_here(part.table, part.lines, part.count, part.name)
        self._sharing.close()
        whole = {
            name: (sum(one.rows for one in outcomes), next((one.note for one in outcomes if one.note), ""))
            for name, outcomes in self._outcomes.items()
            if is_of_these and not any(one.problem for one in outcomes)
        }
        return Loaded(whole, frozenset(self._outcomes.keys() - whole))

    def _end_section(self) -> None:
        if self._lines and self._workers.are_there:
            self._submit()
        elif self._lines and self._name in self._outcomes:
            self._outcomes[self._name].append(Outcome(0, problem="nobody is there to load it"))
        # Where nobody works yet it is not worth a start; such a table is loaded as ever.
        self._drop_lines()

    def _drop_lines(self) -> None:
        self._lines, self._count, self._size = [], 0, 0

    def _submit(self) -> None:
        """Give a part away, or load it here where everybody has enough to do."""
        table, lines, count = self._tables[self._name], b",\n".join(self._lines), self._count
        self._drop_lines()
        self._collect()
        if any(one.problem for one in self._outcomes.get(table.name, ())):
            return
        if not self._outcomes and not self._has_begun():
            return
        self._outcomes.setdefault(table.name, [])
        if table.name in self._looks_at_tags and TAG in lines:
            self._note(table, Outcome(0, problem="values of other types are looked at one by one"))
            return
        name = self._name_part()
        if len(self._pending) >= self._workers.most + WAITING:
            if self._helps_itself:
                self._load_here(table, lines, count, name)
                return
            self._workers.wait_any([part.future for part in self._pending])
        try:
            future = self._workers.submit(
                load_lines, self._place, table, lines, count, BATCH_ROWS, name, size=len(lines)
            )
        except (BrokenExecutor, OSError):
            self._load_here(table, lines, count, name)
        else:
            self._pending.append(_Part(table, lines, count, name, future))

    def _has_begun(self) -> bool:
        """Whether staging is ready for rows; where it is not nothing is taken any more."""
        expected: tuple[type[Exception], ...] = (FerryError, SQLAlchemyError, *self._dialect.driver_errors)
        try:
            self._begin()
            if self._workers.are_elsewhere:
                self._sharing.enter_context(self._dialect.sharing(self._place.url))
        except expected as error:
            self._failed, self._tables = error, {}
            return False
        return True

    def _name_part(self) -> str:
        """What a part is called that several may load, one after the other; an empty text where nobody may."""
        self._parts += 1
        return f"{self._parts}" if self._workers.are_elsewhere else ""

    def _load_here(self, table: Table, lines: bytes, count: int, name: str) -> None:
        self._note(table, load_into(self._dialect, self._place.url, table, lines, count, BATCH_ROWS, name))

    def _collect(self) -> None:
        """Note what is done, and let its lines go."""
        for part in [part for part in self._pending if part.future.done()]:
            self._pending.remove(part)
            self._note(part.table, self._wait_for(part))

    def _wait_for(self, part: _Part) -> Outcome:
        return self._workers.wait_for(part.future) or Outcome(0, problem="another process failed")

    def _note(self, table: Table, outcome: Outcome) -> None:
        self._outcomes[table.name].append(outcome)
        self.rows_by[outcome.by] = self.rows_by.get(outcome.by, 0) + outcome.rows
