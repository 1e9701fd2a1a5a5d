"""What must be so after a fault, whatever it was; each way in which it is not so is a sentence."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from tests.support.site import Result

from .commands import Turn
from .place import Look, Place

DOCUMENTED = (0, 1, 2, 3, 11, 12, 20, 21, 22, 23, 25, 130)
CHANGED = (0, 25)
"""With any other status the live database is what it was."""
KILLED = -9
FINISH = ("db-backup",)
"""Finishes or undoes a cut-over that was left begun, and does no more."""
MAX_GENERATIONS = 13
"""FERRY_KEEP of each of three commands, what belongs to the last, and those of runs that did not come to pruning."""


@dataclass
class Case:
    """One fault to be judged.

    :ivar old: what was live before.
    :ivar new: what is to be live in the end.
    :ivar objects: definitions that go with ``new``.
    :ivar unheard: writes of which a command said, now or before, that no trigger noted them; a rollback brings them
        back.
    :ivar live: ``old`` or ``new``, when the command had ended.
    :ivar idle: the last command had nothing to do.
    :ivar without_triggers: a command said that live tables were without them for a while.
    """

    place: Place
    turn: Turn
    old: Look
    new: Look
    objects: Sequence[tuple[str, str]]
    unheard: set[str] = field(default_factory=set)
    violations: list[str] = field(default_factory=list)
    statuses: list[int] = field(default_factory=list)
    live: str = ""
    idle: bool = False
    without_triggers: bool = False

    def fail(self, text: str) -> None:
        self.violations.append(text if len(text) < 3000 else f"{text[:1000]} ... {text[-2000:]}")

    def judge_end(self, result: Result, *, fault: str, gone: bool) -> None:
        """How the command ended, and what is live now.

        :param gone: somebody else ran meanwhile, whose doing what is live may be.
        """
        self.statuses.append(result.status)
        _listen(self, result)
        if result.status not in (*DOCUMENTED, KILLED):
            self.fail(f"status {result.status}: {result.stderr}")
        self.live = self._name(self.place.look())
        if self.live == "mixed":
            self.fail(f"neither the old database nor the new one is live after {fault}")
        if gone or not self.turn.replaces:
            return
        if result.status == 0 and self.live == "old":
            self.fail(f"status 0, and the old database is live: {result.stdout}")
        if result.status not in (*CHANGED, KILLED) and self.live == "new":
            self.fail(f"status {result.status}, and the new database is live: {result.stderr}")

    def _name(self, live: Look) -> str:
        if live.rows == self.new.rows and self.turn.replaces:
            return "new"
        return "old" if live.rows == self.old.rows else "mixed"

    def judge_next(self) -> None:
        """The next command says what happened and ends well."""
        unfinished, holder = self._look_at_control()
        undone = not self.turn.repeatable and self.live == "new"
        result = self._type(FINISH if undone else self.turn.arguments)
        text = result.stdout + result.stderr
        if unfinished:
            sentence = "the new database is live" if self.live == "new" else "the old database is live, unchanged"
            if sentence not in text:
                self.fail(f"a cut-over was left begun, and the next command does not say that {sentence}: {text}")
        if holder and "Nothing to do" not in result.stdout and f"Took over the lock of run {holder}" not in text:
            self.fail(f"run {holder} left its lock, and the next command does not say so: {text}")
        if result.status != 0:
            if result.status not in DOCUMENTED:
                self.fail(f"the next command ended with status {result.status}: {text}")
            again = self._type(self.turn.arguments)
            if again.status != 0:
                self.fail(f"the command after the next one ended with status {again.status}: {again.stderr}")

    def _look_at_control(self) -> tuple[bool, str]:
        control = self.place.control()
        if control is None:
            return False, ""
        holder = control.holder()
        if holder and holder.alive and holder.host != "elsewhere":
            self.fail(f"a command that ended is thought alive: {holder}")
        return control.find_unfinished_cut_over() is not None, holder.run_id if holder else ""

    def _type(self, arguments: Sequence[str]) -> Result:
        result = self.place.run(arguments, self.turn.release)
        self.statuses.append(result.status)
        self.idle = result.stdout.startswith("Nothing to do")
        _listen(self, result)
        return result

    def judge_rest(self, acknowledged: Collection[str]) -> None:
        """In the end all of the new database is live, and nothing is left behind."""
        live = self.place.look()
        if live.rows != self.new.rows:
            self.fail(f"in the end the new database is not live: {_differences(live.rows, self.new.rows)}")
        if self.place.objects() != list(self.objects):
            self.fail(f"in the end objects differ: {self.place.objects()} is not {list(self.objects)}")
        self._judge_writes(live, acknowledged)
        self._judge_order()

    def _judge_writes(self, live: Look, acknowledged: Collection[str]) -> None:
        missing = {*acknowledged} - live.written.keys()
        if missing and not self.turn.carries:
            missing -= self.place.written_beside()
        if missing:
            self.fail(f"{len(missing)} of {len(acknowledged)} acknowledged writes are nowhere: {sorted(missing)[:5]}")
        unheard = {name for name, count in live.written.items() if count != 1}
        if self.without_triggers:
            self.unheard |= unheard
        elif unheard := unheard - self.unheard:
            self.fail(f"the trigger did not note these once, and nobody says so: {sorted(unheard)[:5]}")

    def _judge_order(self) -> None:
        if left_behind := self.place.left_behind():
            self.fail(f"left behind: {left_behind}")
        if (control := self.place.control()) is None:
            return
        if control.find_unfinished_cut_over():
            self.fail("a cut-over is still begun")
        # Where nothing is to be done or undone no lock is taken, so a dead one may stay.
        if (holder := control.holder()) and not (self.idle and not holder.alive):
            self.fail(f"the lock is still held: {holder}")
        generations = [item.name for item in self.place.dialect.beside(self.place.url) if item.is_generation]
        if len(generations) > MAX_GENERATIONS:
            self.fail(f"generations pile up: {generations}")


def _listen(case: Case, result: Result) -> None:
    if "was without these triggers" in result.stdout + result.stderr:
        case.without_triggers = True
    if "Traceback" in result.stderr or "ResourceWarning" in result.stderr:
        case.fail(f"a traceback: {result.stderr}")


def _differences(live: Mapping[str, object], wanted: Mapping[str, object]) -> str:
    return ", ".join(
        f"{name}: {str(live.get(name))[:300]} is not {str(wanted.get(name))[:300]}"
        for name in sorted({*live, *wanted})
        if live.get(name) != wanted.get(name)
    )
