"""Orders of two runs, a rollback, an application that writes, kills and lost locks, over the real journal.

:mod:`.model` has what acts and what must hold; each order ends with further runs, which find what was left. That the
orders find mistakes is seen by copies of the cut-over that have one each.
"""

from __future__ import annotations

import ast
import inspect
import itertools
import os
import random
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
from sqlalchemy import make_url

from app.dialects.model import ControlArea
from app.dialects.sqlite.dialect import SqliteDialect
from app.errors import LeaseLost
from app.transfer.cutover import cutover
from app.transfer.run import control as control_module
from app.transfer.run.control import Control
from app.transfer.run.ledger import Entry
from tests.support.interleavings import CannotGoOn, Play, all_plays
from tests.support.servers import make_directory

from .model import Dialect, Ending, ModelControl, ModelRun, Rollback, Scene, assert_whole, perform

BACK = (("rollback", Rollback), ("second", ModelRun))
SCENES = [
    Scene(),
    Scene(accidents=("first is killed",)),
    Scene(accidents=("first sleeps",)),
    Scene(accidents=("first sleeps", "second sleeps")),
    Scene(accidents=("first sleeps", "first is killed")),
    Scene(accidents=("first is killed", "second is killed")),
    Scene(BACK, begun=True),
    Scene(BACK, ("rollback is killed",), begun=True),
    Scene(BACK, ("rollback sleeps",), begun=True),
    Scene(BACK, ("second is killed", "rollback sleeps"), begun=True),
]
SOME, MANY = 3, 1000
DEEP = 40
"""More turns than a run that recovers takes."""


def orders(
    moves: bool, scene: Scene, switches: int, directory: Path, engine: ModuleType = cutover, seed: int = 0
) -> Iterator[list[str]]:
    """Perform orders until there are no more, or whoever takes them has enough; each is proved."""
    endings: list[Any] = []
    dice = random.Random(seed)

    def one(play: Play) -> None:
        place = directory / str(len(endings))
        place.mkdir()
        kills = (dice.randrange(DEEP), dice.randrange(DEEP)) if engine is cutover else ()
        endings.append(perform(play, moves, place, scene, engine, kills))
        shutil.rmtree(place)

    for play in all_plays(one, switches=switches, seed=seed):
        order = [name for name, _ in play.taken]
        assert_whole(endings[-1], order)
        yield order


@pytest.fixture
def directory() -> Iterator[Path]:
    place = make_directory("ferry-orders-")
    yield place
    shutil.rmtree(place)


@pytest.mark.parametrize("scene", SCENES, ids=str)
@pytest.mark.parametrize("moves", [True, False], ids=["renames", "copies"])
def test_every_order_ends_whole(moves: bool, scene: Scene, request: pytest.FixtureRequest, directory: Path) -> None:
    """``make model`` takes many with one switch that nothing forces, with two and with three; ``make test`` some."""
    several = request.config.getoption("every_kill")
    number = 0
    many = int(os.environ.get("ORDERS", MANY))
    for switches, most in ((1, many), (2, many), (3, many)) if several else ((2, SOME),):
        place = directory / str(switches)
        place.mkdir()
        number += sum(1 for _ in itertools.islice(orders(moves, scene, switches, place), most))
    print(f"{number} orders")


# That the model can fail


JOURNAL = '        run.control.write(run.id, CUT_OVER, "begun", {"entry": asdict(entry)}, with_lease=True)\n'
SWAP = (
    f"{' ' * 16}run.dialect.swap(run.staging, run.target, run.old_generation, fence, token, timeout_s=SWAP_TIMEOUT_S)\n"
)
LEDGER = ("        keep_generation(run, entry)\n", "        control.record(entry)\n")
UNDONE = '        run.control.write(entry.run_id, CUT_OVER, "undone", {"by": run.id})\n'
KILLED, SLEEPS = Scene(accidents=("first is killed",)), Scene(accidents=("first sleeps",))
ALONE = Scene((("first", ModelRun),), KILLED.accidents)


@dataclass(frozen=True)
class Mistake:
    """What is changed in the source of the cut-over, the scene that finds it, and who comes next there.

    :ivar moves: as of :class:`.model.Server`.
    """

    changes: tuple[tuple[str, str], ...]
    scene: Scene
    following: tuple[str, ...] = ()
    moves: bool = True


MISTAKES = {
    "the journal says it after the swap": Mistake(((JOURNAL, ""), (SWAP, SWAP + "    " + JOURNAL)), KILLED),
    "the fence is not asked": Mistake(
        (("fence, token, timeout_s", "fence, run.server.writes, timeout_s"),), Scene(), ("app",)
    ),
    "the lease is not held while it swaps": Mistake(
        (("with run.control.lease_held(run.id):", "with contextlib.nullcontext():"),), SLEEPS, ("second",)
    ),
    "what is live is not looked at": Mistake(
        (("finished = _mark_when_recovered(run, entry) == entry.mark", "finished = False"),), KILLED
    ),
    "the ledger comes before the generation": Mistake(
        ((LEDGER[0] + LEDGER[1], LEDGER[1] + LEDGER[0]),), ALONE, moves=False
    ),
    "what was undone is not said": Mistake(((UNDONE, "        pass\n"),), ALONE),
}
TURNS = 60
"""More than a run takes."""


def with_mistake(name: str) -> ModuleType:
    """A copy of the cut-over that has a mistake."""
    source = inspect.getsource(cutover)
    for right, wrong in MISTAKES[name].changes:
        assert source.count(right) == 1, right
        source = source.replace(right, wrong)
    copy = ModuleType(cutover.__name__)
    copy.__package__ = cutover.__package__
    exec(compile(source, str(cutover.__file__), "exec"), copy.__dict__)
    return copy


def stopped_at_each_turn(
    mistake: Mistake, directory: Path, engine: ModuleType = cutover, every: int = 1
) -> Iterator[Ending]:
    """Orders in which the first run is stopped after one turn, after two, and so on, by an accident or by others."""
    scene = mistake.scene
    for turns in range(1, TURNS, every):
        place = directory / str(turns)
        place.mkdir()
        # An accident waits for its turn, and happens in the next.
        play = Play(["first"] * turns + [*scene.accidents * 2, *mistake.following])
        try:
            ending = perform(play, mistake.moves, place, scene, engine)
            assert_whole(ending, [name for name, _ in play.taken])
            yield ending
        except CannotGoOn as error:
            if error.turn < turns:
                return  # it has ended before
        shutil.rmtree(place)


@pytest.mark.parametrize("name", MISTAKES)
def test_the_orders_find_a_mistake(name: str, directory: Path) -> None:
    with pytest.raises(AssertionError):
        for _ in stopped_at_each_turn(MISTAKES[name], directory, with_mistake(name)):
            pass


@pytest.mark.parametrize("name", MISTAKES)
def test_the_same_orders_find_none_in_the_cut_over(name: str, directory: Path) -> None:
    assert len(list(stopped_at_each_turn(MISTAKES[name], directory, every=4))) > 3


# That the model has every step there is


def _calls(source: str, of: str) -> set[str]:
    """What a module calls on an object."""
    text = ast.parse(source)
    return {
        node.func.attr
        for node in ast.walk(text)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value) == of
    }


def test_others_can_come_before_each_step_of_the_cut_over() -> None:
    """A new call of the server or of the control area is one that the model has to have."""
    source = inspect.getsource(cutover)
    with_a_point = {
        name
        for name, item in vars(Dialect).items()
        if inspect.isfunction(item) and "_actor.point" in inspect.getsource(item)
    }
    assert _calls(source, "run.dialect") - {"set_mark", "reader", "staging_url", "generation_url"} <= with_a_point
    assert _calls(source, "run.control") - {"check_lease", "entry_begun", "find_unfinished_cut_over"} <= {
        *vars(ModelControl)
    }
    # These look by one of the calls that have a point.
    assert "self.holder()" in inspect.getsource(Control.find_lost_lease)
    assert "self.find_lost_lease(" in inspect.getsource(Control.check_lease)
    assert "self.journal()" in inspect.getsource(Control.find_unfinished_cut_over)
    assert _calls(source, "control") <= {*vars(ModelControl)}


def test_the_model_takes_the_steps_of_the_journal(directory: Path) -> None:
    """Every phase that the code writes of a cut-over is one that the orders come to."""
    phases = set()
    for module in (cutover, control_module):
        for node in ast.walk(ast.parse(inspect.getsource(module))):
            if not isinstance(node, ast.Call) or len(node.args) < 3:
                continue
            step, phase = (ast.unparse(argument).strip("'") for argument in node.args[1:3])
            if step in ("CUT_OVER", cutover.CUT_OVER):
                phases.add(phase)
    endings = stopped_at_each_turn(Mistake((), KILLED), directory, every=3)
    journal = {line.phase for ending in endings for line in ending.journal}
    assert journal == phases == {"begun", "undone", "done"}


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
