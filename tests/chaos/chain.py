"""A chain: one case on one server, with one fault after the other; each is judged before the next one comes."""

from __future__ import annotations

import contextlib
import itertools
import random
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from tests.support.forks import Forked, Hook
from tests.support.servers.mariadb import FilesLost, MariaDB
from tests.support.servers.postgresql import PostgreSQL
from tests.support.servers.proxy import Proxy
from tests.support.site import Result

from . import faults, judge
from .commands import CASES, Turn
from .faults import Fault, Scene
from .place import LIMIT_S, Look, Place, make_directory, wait
from .writers import Writers

POINTS = "tests.chaos.points"
CUT_OVER = "cut-over"
CUT_OVERS = {"sqlite": 3, "mariadb": 8, "postgresql": 8}
"""So many turns of each round of steps are the cut-over's; on servers, where a fault takes seconds, nearly half."""


@dataclass(frozen=True)
class Chain:
    """What one chain is to do; the same seed does the same.

    :ivar faults: the names of those that come in turn.
    :ivar wanted: commands and steps of theirs; of a command that has some no others are hit.
    """

    number: int
    seed: int
    server: str
    case: str
    faults: tuple[str, ...]
    count: int
    wanted: tuple[tuple[str, str], ...] = ()


@dataclass
class Hit:
    """One fault, and what became of it.

    :ivar outcome: ``old`` or ``new``, what was live then; ``missed``: the command was past the moment; ``lost``: the
        server lost its own files; ``measured``: no fault, but a step that there is.
    :ivar statuses: of the command, and of those after it.
    """

    chain: int
    server: str
    command: str
    step: str
    fault: str
    busy: bool
    outcome: str = "missed"
    moment: int = 0
    statuses: list[int] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class Lap:
    """What a turn does when nothing befalls it.

    :ivar moments: of each step.
    """

    turn: Turn
    moments: Counter[str]
    after: Look
    objects: list[tuple[str, str]]


def carry_out(chain: Chain) -> Iterator[Hit]:
    """All faults of a chain."""
    with (
        tempfile.TemporaryDirectory(prefix="ferry-chaos-") as name,
        _start_server(chain, Path(name)) as mortal,
        _make_place(chain, Path(name), mortal) as (place, proxy),
    ):
        yield from _Chain(chain, place, mortal, proxy).hits()


@contextlib.contextmanager
def _start_server(chain: Chain, directory: Path) -> Iterator[MariaDB | PostgreSQL | None]:
    if chain.server == "sqlite":
        yield None
        return
    server = MariaDB(directory / "server") if chain.server == "mariadb" else PostgreSQL()
    server.prepare()
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextlib.contextmanager
def _make_place(
    chain: Chain, directory: Path, server: MariaDB | PostgreSQL | None
) -> Iterator[tuple[Place, Proxy | None]]:
    with make_directory(directory) as own, contextlib.ExitStack() as stack:
        place, proxy = Place(chain.server, own, make_url(f"sqlite:///{own / 'live.db'}")), None
        if server:
            place.url = server.url("shop")
        if server and faults.need_proxy(chain.faults):
            proxy = stack.enter_context(Proxy(server.port))
            place.through = place.url.set(port=proxy.port)
        if "clock jump" in chain.faults:
            faults.load_clock(place)
        place.prepare()
        yield place, proxy


class _Chain:
    def __init__(self, chain: Chain, place: Place, mortal: MariaDB | PostgreSQL | None, proxy: Proxy | None) -> None:
        self.chain, self.place, self.mortal, self.proxy = chain, place, mortal, proxy
        self.rng = random.Random(f"{chain.seed}/{chain.number}")
        self.case = next(case for case in CASES if case.name == chain.case)
        self._here = place.directory.parent / "here"
        self._unheard: set[str] = set()

    def hits(self) -> Iterator[Hit]:
        self.case.begin(self.place)
        laps = [self._measure(turn) for turn in self.case.turns(self.place)]
        yield from (self._tell(lap, step) for lap in laps for step in lap.moments)
        rounds = [self._deal_steps(lap) for lap in laps]
        kinds = itertools.cycle(self.chain.faults)
        for number in range(self.chain.count):
            lap, steps = laps[number % len(laps)], rounds[number % len(laps)]
            hit = self._plan(lap, next(steps), faults.find(next(kinds)))
            try:
                self._carry_out(hit, lap)
            except FilesLost:
                hit.outcome = "lost"
            yield hit
            if hit.outcome == "lost" or hit.violations:
                return  # what comes after it would be judged by what it left

    def _tell(self, lap: Lap, step: str) -> Hit:
        """That there is such a step, whether a fault comes to it or not."""
        return Hit(self.chain.number, self.chain.server, lap.turn.command, step, "none", False, "measured")

    def _measure(self, turn: Turn) -> Lap:
        """Carry a turn out without a fault, and count the moments of its steps."""
        turn.before(self.place)
        file = self.place.directory.parent / "moments"
        file.unlink(missing_ok=True)
        result = self.place.run(turn.arguments, turn.release, [(f"{POINTS}:count", {"file": str(file)})])
        assert result.status == 0, result.stderr
        return Lap(turn, Counter(file.read_text().splitlines()), self.place.look(), self.place.objects())

    def _deal_steps(self, lap: Lap) -> Iterator[str]:
        """All steps in rounds, shuffled; the cut-over comes several times in each."""
        wanted = [step for command, step in self.chain.wanted if command == lap.turn.command]
        cut_overs = [CUT_OVER] * (CUT_OVERS[self.place.server] - 1) if CUT_OVER in lap.moments else []
        while True:
            steps = wanted or [*lap.moments, *cut_overs]
            self.rng.shuffle(steps)
            yield from steps

    def _plan(self, lap: Lap, step: str, fault: Fault) -> Hit:
        busy = self.rng.random() < 0.3
        moment = self.rng.randint(1, lap.moments[step])
        return Hit(self.chain.number, self.chain.server, lap.turn.command, step, fault.name, busy, moment=moment)

    def _carry_out(self, hit: Hit, lap: Lap) -> None:
        began, fault = time.monotonic(), faults.find(hit.fault)
        lap.turn.before(self.place)
        old = self.place.look()
        kept = {*old.written} if lap.turn.carries else set()
        case = judge.Case(self.place, lap.turn, old, self._expect(lap, old), lap.objects, self._unheard)
        scene = Scene(
            self.place, lap.turn, 0, self.rng.random(), self._choose_meanwhile(hit, lap.turn), self.mortal, self.proxy
        )
        with Writers(self.place.url) if hit.busy else contextlib.nullcontext() as writers:
            result, struck = self._befall(hit, fault, scene, lap.turn)
        acknowledged = kept | {*(writers.acknowledged if writers else ())}
        case.judge_end(result, fault=hit.fault, gone=scene.other is not None)
        case.judge_next()
        if fault.name == "again":
            self._type_again(case)
        case.judge_rest(acknowledged)
        hit.outcome = case.live if struck else "missed"
        hit.statuses, hit.violations = case.statuses, case.violations
        hit.seconds = round(time.monotonic() - began, 2)

    @staticmethod
    def _choose_meanwhile(hit: Hit, turn: Turn) -> tuple[str, ...]:
        """The same command; of a rollback that has not looked yet, or is done, another one would be one more."""
        return turn.arguments if turn.repeatable or hit.step not in ("look", "receipt") else judge.FINISH

    @staticmethod
    def _expect(lap: Lap, old: Look) -> Look:
        return lap.after if lap.turn.replaces else old

    def _type_again(self, case: judge.Case) -> None:
        if case.turn.repeatable:
            case.judge_next()

    def _befall(self, hit: Hit, fault: Fault, scene: Scene, turn: Turn) -> tuple[Result, bool]:
        """Carry the command out with its fault; how it ended, and whether it met the fault."""
        for file in (self._here, Path(f"{self._here}.done")):
            file.unlink(missing_ok=True)
        process = self.place.start(turn.arguments, turn.release, self._hooks(hit, fault))
        scene.pid = process.pid
        struck = fault.how == "" or self._until_here(process)
        try:
            if struck and fault.how in ("wait", "stop"):
                fault.strike(scene)
        except ProcessLookupError as error:
            raise AssertionError(f"it ended where it was held: {wait(process)}") from error
        finally:
            self._here.unlink(missing_ok=True)
        try:
            return wait(process), struck
        finally:
            if struck:
                fault.heal(scene)

    def _hooks(self, hit: Hit, fault: Fault) -> list[Hook]:
        if not fault.how:
            return [*fault.hooks]
        where = {"step": hit.step, "number": hit.moment, "how": fault.how, "here": str(self._here)}
        return [*fault.hooks, (f"{POINTS}:act_at", where)]

    def _until_here(self, process: Forked) -> bool:
        deadline = time.monotonic() + LIMIT_S
        while not self._here.exists():
            if process.poll() is not None:
                return self._here.exists()
            assert time.monotonic() < deadline, "neither did it come to its fault nor end"
            time.sleep(0.002)
        return True
