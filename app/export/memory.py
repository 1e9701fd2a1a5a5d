"""What a process knows of its database from the last time that it read all of it.

A table's checksum is known as long as its mark is the same. Where any commit is seen, that is one for the whole
database: what its watch says, which costs nothing. Elsewhere it is what the server sums the values of the table up to.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import threading
import weakref
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine

from ..dialects.base import Dialect, Watch
from ..dialects.model import Table, TableChecksum
from ..dialects.reader import Reader
from ..transfer.rows.canonical import checksum

Mark = str | bytes
Place = tuple[weakref.ref[Engine], str, str | None]
"""Of an app's database: the engine, with what Alembic's table is called and where the app's own lie."""


@dataclass(frozen=True)
class _Known:
    """A table as it was at one instant, and its checksum then."""

    table: Table
    mark: Mark
    sums: TableChecksum


@dataclass(frozen=True)
class Reading:
    """A consistent read of an app's database.

    :ivar of: whose marks this read's are compared with; those of another one say nothing.
    :ivar token: of its instant, where the watch that it is of can say one.
    """

    reader: Reader
    of: Watch | Place
    sees_commits: bool = False
    token: bytes | None = None

    def mark(self, table: Table) -> Mark | None:
        """What a table is known by; None where there is nothing of the kind."""
        return self.token if self.sees_commits else self.reader.digest(table)


@dataclass
class Memory:
    """The checksums of one database, for as long as nobody has written to it.

    Threads may share it. It keeps nothing of a second database: what was known of the first goes.
    """

    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)
    _known: tuple[Watch | Place, dict[str, _Known]] | None = field(default=None, init=False)
    _watched: tuple[Place, Watch] | None = field(default=None, init=False)
    _open: contextlib.ExitStack = field(default_factory=contextlib.ExitStack, init=False)

    @contextlib.contextmanager
    def reading(self, dialect: Dialect, engine: Engine) -> Iterator[Reading]:
        """Read an app's database as the app does."""
        place = weakref.ref(engine), dialect.version_table, dialect.named_schema
        sees_commits = dialect.capabilities.sees_commits
        watch = self._find_watch(place, dialect, engine) if sees_commits else None
        if watch is None:
            with dialect.app_reader(engine.url) as reader:
                yield Reading(reader, place, sees_commits)
            return
        with watch.read() as (reader, token):
            if token is None:
                # Another file may have the name: the next read looks at whatever has it then.
                self._drop(watch)
            yield Reading(reader, watch, sees_commits, token)

    def sum_up(self, reading: Reading, tables: Mapping[str, Table]) -> dict[str, TableChecksum]:
        """The checksum of each table as this read sees it; rows are read of those alone that are not known."""
        marks = {name: reading.mark(table) for name, table in tables.items()}
        known, sums = self._recall(reading), {}
        for name, table in tables.items():
            former = known.get(name)
            is_same = former and (former.table, former.mark) == (table, marks[name])
            sums[name] = former.sums if former and is_same else checksum(table, reading.reader.rows(table))
        self._keep(reading, tables, marks, sums)
        return sums

    def learn(
        self,
        reading: Reading,
        tables: Mapping[str, Table],
        marks: Mapping[str, Mark | None],
        sums: Mapping[str, TableChecksum],
    ) -> None:
        """Remember what was summed up otherwise, of the tables that have a mark of this very read."""
        if any(mark is not None for mark in marks.values()):
            self._keep(reading, tables, marks, sums)

    def close(self) -> None:
        """Let go of the database."""
        with self._lock:
            self._forget()

    def _recall(self, reading: Reading) -> Mapping[str, _Known]:
        of, known = self._known or (None, {})
        return known if of == reading.of else {}

    def _keep(
        self,
        reading: Reading,
        tables: Mapping[str, Table],
        marks: Mapping[str, Mark | None],
        sums: Mapping[str, TableChecksum],
    ) -> None:
        known = {name: _Known(tables[name], mark, sums[name]) for name, mark in marks.items() if mark is not None}
        self._known = reading.of, known

    def _find_watch(self, place: Place, dialect: Dialect, engine: Engine) -> Watch | None:
        """What watches this database from its first read on; None where it cannot be, as where it is not there."""
        with self._lock:
            if self._watched is None or self._watched[0] != place:
                self._forget()
                with contextlib.suppress(OSError, *dialect.driver_errors):
                    watch = self._open.enter_context(dialect.watch(engine.url, as_app=True))
                    self._watched = place, watch
            return self._watched[1] if self._watched else None

    def _drop(self, watch: Watch) -> None:
        with self._lock:
            if self._watched and self._watched[1] is watch:
                self._forget()

    def _forget(self) -> None:
        self._known = self._watched = None
        self._open.close()


_inherited: list[Memory] = []
_memory = Memory()


def memory_of_process() -> Memory:
    """The one that all threads of this process share."""
    return _memory


def _begin_anew() -> None:
    """A connection of SQLite must not be used across a fork, nor closed: it stays what it was, out of use."""
    global _memory
    _inherited.append(_memory)
    _memory = Memory()


os.register_at_fork(after_in_child=_begin_anew)
atexit.register(lambda: _memory.close())
