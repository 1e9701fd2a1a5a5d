"""Orders of two runs, an application that writes, a kill and a lost lock, over the real journal.

What runs is the engine's own cut-over, recovery, lease, journal and ledger; the server is a dictionary that keeps to
what :class:`app.dialects.base.Dialect` promises. Each order ends with a third run, which finds what was left.
"""

from __future__ import annotations

import ast
import contextlib
import inspect
import itertools
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import sqlalchemy as sa
from sqlalchemy import make_url

from app.dialects.model import ControlArea, LateWrite
from app.dialects.sqlite.dialect import SqliteDialect
from app.errors import FerryError, LeaseLost, LockHeld
from app.transfer.cutover import cutover
from app.transfer.run.control import Control
from app.transfer.run.ledger import Entry, JournalEntry, lease
from app.transfer.run.run import Run
from tests.support.interleavings import Actor, Play, all_plays
from tests.support.servers import make_directory

LIVE = "live"
PASSES = 2


@dataclass
class Database:
    mark: str
    rows: tuple[str, ...] = ()


@dataclass
class Server:
    """A server of one app; ``moves`` as in :attr:`Capabilities.swap_moves_old`: a swap of two renames, or one copy."""

    moves: bool
    databases: dict[str, Database] = field(default_factory=lambda: {LIVE: Database("")})
    writes: int = 0
    locked_by: str = ""
    held_by: str = ""
    acknowledged: list[str] = field(default_factory=list)

    def write(self, row: str) -> None:
        live = self.databases[LIVE]
        live.rows += (row,)
        self.writes += 1
        self.acknowledged.append(row)

    def let_go(self, name: str) -> None:
        """What the server does when a session ends: its locks are nobody's."""
        self.locked_by = "" if self.locked_by == name else self.locked_by
        self.held_by = "" if self.held_by == name else self.held_by


class Dialect:
    """What the cut-over asks of a server, each with a place for others to come between."""

    def __init__(self, server: Server, actor: Actor) -> None:
        self.server, self._actor = server, actor
        self.capabilities = SimpleNamespace(swap_moves_old=server.moves)

    def staging_url(self, target: str, run_id: str) -> str:
        return f"{target}-staging-{run_id}"

    def generation_url(self, target: str, name: str) -> str:
        return f"{target}-{name}"

    def exists(self, name: str) -> bool:
        self._actor.point()
        return name in self.server.databases

    def drop(self, name: str) -> None:
        self._actor.point()
        self.server.databases.pop(name, None)

    def keep(self, name: str, generation: str) -> None:
        """A copy where the swap moves staging away, else staging itself under another name."""
        self._actor.point()
        databases = self.server.databases
        databases[generation] = replace(databases[name])
        if not self.server.moves:
            del databases[name]

    def mark(self, name: str) -> str:
        self._actor.point()
        return self.server.databases[name].mark

    def swap(self, staging: str, live: str, old: str, fence: object, token: int, *, timeout_s: float) -> None:
        server, databases = self.server, self.server.databases
        self._actor.point()
        server.held_by = self._actor.name
        if server.writes != token:
            server.held_by = ""
            raise LateWrite
        self._actor.point()
        if server.moves:
            databases[old] = databases.pop(live)
            self._actor.point()
            databases[live] = databases.pop(staging)
        else:
            databases[old], databases[live] = replace(databases[live]), replace(databases[staging])
        self._actor.point()
        server.held_by = ""

    def recover(self, staging: str, live: str, old: str) -> list[str]:
        self._actor.point()
        if live not in self.server.databases:
            self.server.databases[live] = self.server.databases.pop(old)
        return []


class ModelControl(Control):
    """The real control area; others can come before each look at it and each write to it."""

    actor: Actor
    shared: Shared

    def _free(self) -> bool:
        return self.shared.row_held_by in ("", self.actor.name)

    def holder(self) -> Any:
        self.actor.point(self._free)
        return super().holder()

    def take_lease(self, run_id: str, command: str) -> Any:
        dead = super().take_lease(run_id, command)
        self.actor.point(self._free)
        return dead

    def write(self, *args: Any, **more: Any) -> None:
        self.actor.point(self._free)
        super().write(*args, **more)

    def is_recorded(self, run_id: str) -> bool:
        self.actor.point(self._free)
        return super().is_recorded(run_id)

    def record(self, *args: Any, **more: Any) -> None:
        self.actor.point(self._free)
        super().record(*args, **more)

    def journal(self, run_id: str | None = None) -> list[JournalEntry]:
        self.actor.point(self._free)
        return super().journal(run_id)

    def ledger(self) -> list[Entry]:
        self.actor.point(self._free)
        return super().ledger()

    def release_lease(self, run_id: str) -> None:
        self.actor.point(self._free)
        super().release_lease(run_id)

    @contextlib.contextmanager
    def lease_held(self, run_id: str) -> Iterator[None]:
        self.actor.point(self._free)
        with super().lease_held(run_id):
            self.shared.row_held_by = self.actor.name
            try:
                yield
            finally:
                self.shared.row_held_by = ""


@dataclass
class Shared:
    """One app's server and control area, and who holds the lease's row."""

    server: Server
    area: ControlArea
    row_held_by: str = ""

    def open(self, actor: Actor) -> ModelControl:
        control = ModelControl(cast(Any, SqliteDialect()), self.area)
        control.actor, control.shared = actor, self
        return control

    def lose(self, name: str) -> None:
        """A run's process is gone, or slept for so long that the server forgot it: its lease is dead, its lock free."""
        self.server.let_go(name)
        engine = SqliteDialect().control_engine(self.area)
        with engine.begin() as connection:
            connection.execute(
                sa.update(lease)
                .where(lease.c.run_id == name)
                .values(host="elsewhere", heartbeat_at=sa.text("'2001-01-01'"))
            )


class RunOnSelf:
    """A run that brings the live database's own rows to a new generation, from its lock to its receipt."""

    database_errors = (OSError,)
    write_errors = (FerryError, KeyError)

    def __init__(self, shared: Shared, actor: Actor) -> None:
        self.id = actor.name
        self.command, self.mark = "db-migrate-data", f"mark-{actor.name}"
        self.server, self.control, self.dialect = shared.server, shared.open(actor), Dialect(shared.server, actor)
        self.target = LIVE
        self.staging = self.dialect.staging_url(LIVE, self.id)
        self.new_generation = self.dialect.generation_url(LIVE, f"{self.mark}-new")
        self.old_generation = self.dialect.generation_url(LIVE, f"{self.mark}-old")
        self.hooks = SimpleNamespace(hold_signals=contextlib.nullcontext)
        self.report = SimpleNamespace(live="unchanged", seconds={})
        self.show_step = contextlib.nullcontext
        self.actor = actor

    def note(self, text: str) -> None:
        del text

    warn = note

    def carry_out(self) -> None:
        """Lock, recover, stage, swap; like :func:`app.transfer.jobs.passage.carry_out`."""
        self.actor.point()
        if self.server.locked_by:
            return
        self.server.locked_by = self.id
        with contextlib.suppress(LockHeld, LeaseLost):
            self.control.take_lease(self.id, self.command)
            try:
                cutover.recover(cast(Run, self))
                self._replace()
            except FerryError:
                self.control.release_lease(self.id)
                raise
            self.control.release_lease(self.id)
        self.server.let_go(self.id)

    def _replace(self) -> None:
        for _ in range(PASSES):
            self.actor.point()
            token, live = self.server.writes, self.server.databases[LIVE]
            self.server.databases[self.staging] = Database(self.mark, live.rows)
            entry = Entry(self.id, self.command, "self", "self", None, self.mark, live.mark, "2026-01-01T00:00:00Z")
            with contextlib.suppress(LateWrite):
                cutover.swap(cast(Run, self), cast(Any, SimpleNamespace(notes=[])), cast(Any, token), entry)
                return


@dataclass
class Ending:
    """What a play left, as the run after it found it."""

    server: Server
    ledger: list[Entry]
    journal: list[JournalEntry]


def perform(play: Play, moves: bool, directory: Path, events: tuple[str, ...]) -> Ending:
    """Two runs, an application that writes twice, and events: ``kill`` of the first run, ``sleep`` of either."""
    area = ControlArea(make_url(f"sqlite:///{directory / 'control.db'}"), directory)
    Control.open(cast(Any, SqliteDialect()), area)
    shared = Shared(Server(moves), area)
    actors: dict[str, Actor] = {}

    def app(actor: Actor) -> None:
        for number in range(2):
            actor.point(lambda: not shared.server.held_by and LIVE in shared.server.databases)
            shared.server.write(f"row {number}")

    def kill(actor: Actor) -> None:
        actor.point()
        actors["first"].kill()
        actor.point(lambda: not shared.row_held_by)
        shared.lose("first")

    def sleep(name: str) -> Any:
        def lose(actor: Actor) -> None:
            actor.point(lambda: not shared.row_held_by)
            shared.lose(name)

        return lose

    every = {"kill": kill, "first sleeps": sleep("first"), "second sleeps": sleep("second")}
    actors |= {name: Actor(name, lambda actor: RunOnSelf(shared, actor).carry_out()) for name in ("first", "second")}
    actors |= {"app": Actor("app", app)} | {name: Actor(name, every[name]) for name in events}
    play.perform(actors)
    return look(shared)


def look(shared: Shared) -> Ending:
    """What the next run finds, and leaves: it recovers, and swaps nothing."""
    for name in ("first", "second"):
        shared.lose(name)
    seen: list[Ending] = []

    def work(actor: Actor) -> None:
        run = RunOnSelf(shared, actor)
        run.control.take_lease(run.id, run.command)
        cutover.recover(cast(Run, run))
        seen.append(Ending(shared.server, run.control.ledger(), run.control.journal()))
        run.control.release_lease(run.id)

    Play([]).perform({"last": Actor("last", work)})
    return seen[0]


def assert_whole(ending: Ending, order: list[str]) -> None:
    """:param order: who took each turn, to be shown."""
    databases, journal = ending.server.databases, ending.journal
    live = databases[LIVE]
    assert sorted(live.rows) == sorted(ending.server.acknowledged), f"a write that was acknowledged: {order}"
    marks = ["", *(entry.mark for entry in ending.ledger)]
    assert live.mark == marks[-1], f"the ledger's last entry is of what is live: {order}"
    assert [entry.previous_mark for entry in ending.ledger] == marks[:-1], f"each entry follows the one before: {order}"
    needed = {f"{LIVE}-{mark}-old" for mark in marks[1:]} | ({f"{LIVE}-{live.mark}-new"} if live.mark else set())
    assert needed <= databases.keys(), f"the ways back, and what was cut over as it was then: {order}"
    assert [line.phase for line in journal][-1:] != ["begun"], f"the last cut-over has an end: {order}"
    runs = [line.run_id for line in journal]
    assert runs == sorted(runs, key=runs.index), f"none has an end after another's beginning: {order}"


EVENTS = [(), ("kill",), ("first sleeps",), ("first sleeps", "second sleeps"), ("first sleeps", "kill")]
SOME = 12


@pytest.mark.parametrize("events", EVENTS, ids=" and ".join)
@pytest.mark.parametrize("moves", [True, False], ids=["renames", "copies"])
def test_every_order_ends_whole(moves: bool, events: tuple[str, ...], request: pytest.FixtureRequest) -> None:
    """``make chaos`` takes every order, and with two switches 5,000; ``make test`` takes some of them."""
    every = request.config.getoption("every_kill")
    directory = make_directory("ferry-orders-")
    endings: list[Ending] = []

    def one(play: Play) -> None:
        place = directory / str(len(endings))
        place.mkdir()
        endings.append(perform(play, moves, place, events))
        shutil.rmtree(place)

    try:
        for switches, most in ((1, None), (2, 5000)) if every else ((2, SOME),):
            for play in itertools.islice(all_plays(one, switches=switches), most):
                assert_whole(endings[-1], [name for name, _ in play.taken])
    finally:
        shutil.rmtree(directory)
    print(f"{len(endings)} orders")


def test_the_model_takes_the_steps_of_the_journal() -> None:
    """What the cut-over writes to the journal is what the orders above come between."""
    text = ast.parse(inspect.getsource(cutover))
    phases = {
        node.args[2].value
        for node in ast.walk(text)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "run.control.write"
        if isinstance(node.args[2], ast.Constant)
    }
    assert phases == {"begun", "undone"}


def test_a_cut_over_that_another_run_finished_is_ended_once(tmp_path: Path) -> None:
    """A process that slept writes no second end: it would be taken for that of what was begun meanwhile."""
    control = Control.open(
        cast(Any, SqliteDialect()), ControlArea(make_url(f"sqlite:///{tmp_path / 'c.db'}"), tmp_path)
    )
    entry = Entry("first", "db-init", "", "", None, "mark", "", "2026-01-01T00:00:00Z")
    control.write("first", "cut-over", "begun")
    control.record(entry)
    control.write("second", "cut-over", "begun")
    control.record(entry)
    unfinished = control.find_unfinished_cut_over()
    assert unfinished is not None
    assert unfinished.run_id == "second"
    with pytest.raises(LeaseLost):
        control.write("first", "cut-over", "undone", with_lease=True)
