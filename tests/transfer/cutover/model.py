"""A model of two runs, a rollback, an application and accidents, over the real cut-over, lease, journal and ledger.

What runs is the engine's own :mod:`app.transfer.cutover.cutover` and :mod:`app.transfer.run.control`; the server is a
dictionary that keeps to what :class:`app.dialects.base.Dialect` promises. What an actor does between two points it does
at once; where others may come between is before each call of the dialect and of the control area.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import sqlalchemy as sa
from sqlalchemy import make_url

from app.dialects.model import ControlArea, LateWrite
from app.dialects.sqlite.dialect import SqliteDialect
from app.errors import FerryError, LeaseLost, LockHeld
from app.transfer.cutover import cutover
from app.transfer.run.control import Control
from app.transfer.run.ledger import Entry, JournalEntry, lease
from app.transfer.run.run import Run
from tests.support.interleavings import Actor, Killed, Play

LIVE = "live"
PASSES = 2


@dataclass
class Database:
    mark: str
    rows: tuple[str, ...] = ()


@dataclass(frozen=True)
class Fence:
    """What a run has of the live database: which of all fences it is, and what had happened when it was opened."""

    number: int
    cut_overs: int
    token: int
    notes: tuple[str, ...] = ()


@dataclass
class Server:
    """A server of one app; ``moves`` as in :attr:`Capabilities.swap_moves_old`: a swap of two renames, or one copy."""

    moves: bool
    databases: dict[str, Database] = field(default_factory=lambda: {LIVE: Database("")})
    writes: int = 0
    locked_by: str = ""
    held_by: str = ""
    acknowledged: list[str] = field(default_factory=list)
    saved: set[str] = field(default_factory=set)
    """Rows in the files of what was written since a cut-over that is to be undone."""
    fences: list[str] = field(default_factory=list)
    """Who opened each fence; a new one is number ``len(fences)``."""
    cut_overs: list[int] = field(default_factory=list)
    """The number of the fence of each swap that took effect."""
    violations: list[str] = field(default_factory=list)

    def write(self, row: str) -> None:
        live = self.databases[LIVE]
        live.rows += (row,)
        self.writes += 1
        self.acknowledged.append(row)

    def open_fence(self, name: str) -> Fence:
        self.fences.append(name)
        return Fence(len(self.fences), len(self.cut_overs), self.writes)

    def take_effect(self, name: str, fence: Fence, holder: str) -> None:
        """A swap of a run takes effect now.

        :param holder: who has the lease.
        """
        if holder != name:
            self.violations.append(f"{name} cuts over, and the lease is {holder or 'nobody'}'s")
        if fence.number in self.cut_overs:
            self.violations.append(f"{name} cuts over twice under one fence")
        if fence.cut_overs != len(self.cut_overs):
            self.violations.append(f"{name} cuts over under a fence from before another's cut-over")
        self.cut_overs.append(fence.number)

    def let_go(self, name: str) -> None:
        """What the server does when a session ends: its locks are nobody's."""
        self.locked_by = "" if self.locked_by == name else self.locked_by
        self.held_by = "" if self.held_by == name else self.held_by


class Dialect:
    """What the cut-over asks of a server, each with a place for others to come between."""

    def __init__(self, shared: Shared, actor: Actor) -> None:
        server = shared.server
        self.server, self._actor, self._shared = server, actor, shared
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

    def swap(self, staging: str, live: str, old: str, fence: Fence, token: int, *, timeout_s: float) -> None:
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
        server.take_effect(self._actor.name, fence, self._shared.holder())
        if server.moves:
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
    engine: ModuleType = cutover

    def holder(self) -> str:
        """The run that has the lease."""
        engine = SqliteDialect().control_engine(self.area)
        with engine.connect() as connection:
            return str(connection.execute(sa.select(lease.c.run_id)).scalar() or "")

    def look(self) -> None:
        """What holds at every moment."""
        server = self.server
        assert not server.violations, server.violations
        live = server.databases.get(LIVE)
        if live is not None:
            lost = set(server.acknowledged) - {*live.rows} - server.saved
            assert not lost, f"writes that were acknowledged are nowhere: {sorted(lost)}"

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


class ModelRun:
    """A run from its lock to its receipt, like :func:`app.transfer.jobs.passage.carry_out`."""

    command = "db-migrate-data"
    database_errors = (OSError,)
    write_errors = (FerryError, KeyError)

    def __init__(self, shared: Shared, actor: Actor) -> None:
        self.id = actor.name
        self.mark, self.engine = f"mark-{actor.name}", shared.engine
        self.server, self.control, self.dialect = shared.server, shared.open(actor), Dialect(shared, actor)
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
        """Lock, recover, stage, swap."""
        self.actor.point()
        if self.server.locked_by:
            return
        self.server.locked_by = self.id
        with contextlib.suppress(LockHeld, LeaseLost):
            self.control.take_lease(self.id, self.command)
            try:
                self.engine.recover(cast(Run, self))
                self._replace()
            except FerryError:
                self.control.release_lease(self.id)
                raise
            self.control.release_lease(self.id)
        self.server.let_go(self.id)

    def _replace(self) -> None:
        for _ in range(PASSES):
            self.actor.point()
            assert LIVE in self.server.databases, "after recovery there is a live database"
            fence, live = self.server.open_fence(self.id), self.server.databases[LIVE]
            if not self._stage(live):
                return
            entry = Entry(self.id, self.command, "self", "self", None, self.mark, live.mark, "2026-01-01T00:00:00Z")
            with contextlib.suppress(LateWrite):
                self.engine.swap(cast(Run, self), cast(Any, fence), cast(Any, fence.token), entry)
                return

    def _stage(self, live: Database) -> bool:
        """Bring the live database's own rows to a new generation."""
        self.server.databases[self.staging] = Database(self.mark, live.rows)
        return True


class Rollback(ModelRun):
    """Brings back what was live before the last cut-over, and saves what was written since to a file first."""

    command = "db-rollback"

    def _stage(self, live: Database) -> bool:
        databases, entries = self.server.databases, self.control.ledger()
        if not entries or entries[-1].mark != live.mark:
            return False
        former, new = (databases.get(f"{LIVE}-{live.mark}-{kind}") for kind in ("old", "new"))
        if former is None or new is None:
            return False
        self.server.saved |= {*live.rows} - {*new.rows}
        databases[self.staging] = Database(self.mark, former.rows)
        return True


@dataclass
class Ending:
    """What a play left, as the run after it found it."""

    shared: Shared
    ledger: list[Entry]
    journal: list[JournalEntry]


@dataclass(frozen=True)
class Scene:
    """Who acts in the plays of one kind.

    :ivar runs: by name; each takes the lock, recovers what it finds, and cuts over.
    :ivar accidents: ``NAME is killed``, or ``NAME sleeps``: for so long that its lease is dead and its lock free.
    :ivar begun: a run cut over before, alone.
    """

    runs: tuple[tuple[str, type[ModelRun]], ...] = (("first", ModelRun), ("second", ModelRun))
    accidents: tuple[str, ...] = ()
    begun: bool = False

    def __str__(self) -> str:
        return " and ".join([*(name for name, _ in self.runs if name == "rollback"), *self.accidents]) or "no accident"


def perform(
    play: Play,
    moves: bool,
    directory: Path,
    scene: Scene,
    engine: ModuleType = cutover,
    kills: Iterable[int] = (),
) -> Ending:
    """One order of a scene, with an application that writes twice, and what is left by it as the next run finds it.

    :param engine: the cut-over, or a copy of it with a mistake.
    :param kills: after so many turns each one further run is killed that recovers, before another one does.
    """
    area = ControlArea(make_url(f"sqlite:///{directory / 'control.db'}"), directory)
    Control.open(cast(Any, SqliteDialect()), area)
    shared = Shared(Server(moves), area, engine=engine)
    if scene.begun:
        shared.server.write("row of before")
        _perform_alone(shared, "zeroth", lambda actor: ModelRun(shared, actor).carry_out())
    play.perform(_cast(shared, scene), shared.look)
    for name, _ in scene.runs:
        shared.lose(name)
    for after in kills:
        if not kill_recovery(shared, after):
            break
    ending = look(shared)
    again = look(shared, "once more")
    assert (again.ledger, again.journal) == (ending.ledger, ending.journal), "who recovers once more changes nothing"
    return ending


def _cast(shared: Shared, scene: Scene) -> dict[str, Actor]:
    """The actors of a scene: the runs, the application, and what befalls runs."""
    actors: dict[str, Actor] = {}

    def app(actor: Actor) -> None:
        for number in range(2):
            actor.point(lambda: not shared.server.held_by and LIVE in shared.server.databases)
            shared.server.write(f"row {number}")

    def befall(accident: str) -> Callable[[Actor], None]:
        name, _, what = accident.partition(" ")

        def happen(actor: Actor) -> None:
            if what == "is killed":
                actor.point()
                actors[name].kill()
            actor.point(lambda: not shared.row_held_by)
            shared.lose(name)

        return happen

    def start(kind: type[ModelRun]) -> Callable[[Actor], None]:
        return lambda actor: kind(shared, actor).carry_out()

    actors |= {name: Actor(name, start(kind)) for name, kind in scene.runs}
    return actors | {"app": Actor("app", app)} | {name: Actor(name, befall(name)) for name in scene.accidents}


def _perform_alone(shared: Shared, name: str, work: Callable[[Actor], None]) -> None:
    Play([]).perform({name: Actor(name, work)}, shared.look)


def look(shared: Shared, name: str = "last") -> Ending:
    """What the next run finds, and leaves: it recovers, and swaps nothing."""
    seen: list[Ending] = []

    def work(actor: Actor) -> None:
        run = ModelRun(shared, actor)
        run.control.take_lease(run.id, run.command)
        shared.engine.recover(cast(Run, run))
        seen.append(Ending(shared, run.control.ledger(), run.control.journal()))
        run.control.release_lease(run.id)

    _perform_alone(shared, name, work)
    return seen[0]


def kill_recovery(shared: Shared, after: int) -> bool:
    """Let a run that recovers be killed after so many turns; whether it was before its end."""
    name = f"recovery {after}"

    def work(actor: Actor) -> None:
        run = ModelRun(shared, actor)
        run.control.take_lease(run.id, run.command)
        shared.engine.recover(cast(Run, run))

    actor = Actor(name, work)
    for _ in range(after):
        if actor.ended:
            break
        actor.step()
    killed = not actor.ended
    actor.kill()
    if actor.error and not isinstance(actor.error, Killed):
        raise actor.error
    shared.look()
    shared.lose(name)
    return killed


def assert_whole(ending: Ending, order: list[str]) -> None:
    """:param order: who took each turn, to be shown."""
    server, journal = ending.shared.server, ending.journal
    databases, live = server.databases, server.databases[LIVE]
    ending.shared.look()
    assert len({*live.rows}) == len(live.rows), f"no row is there twice: {order}"
    marks = ["", *(entry.mark for entry in ending.ledger)]
    assert live.mark == marks[-1], f"the ledger's last entry is of what is live: {order}"
    assert [entry.previous_mark for entry in ending.ledger] == marks[:-1], f"each entry follows the one before: {order}"
    assert len(server.cut_overs) == len(ending.ledger), f"each cut-over has its entry: {order}"
    needed = {f"{LIVE}-{mark}-old" for mark in marks[1:]} | ({f"{LIVE}-{live.mark}-new"} if live.mark else set())
    assert needed <= databases.keys(), f"the ways back, and what was cut over as it was then: {order}"
    assert [line.phase for line in journal][-1:] != ["begun"], f"the last cut-over has an end: {order}"
    runs = [line.run_id for line in journal]
    assert runs == sorted(runs, key=runs.index), f"none has an end after another's beginning: {order}"
