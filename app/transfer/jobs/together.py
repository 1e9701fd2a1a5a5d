"""One command for several databases: each is a run of its own, and none is cut over before all are staged and proved.

No server makes two cut-overs one. What can be looked at beforehand is looked at for all; then they follow each other,
and the ledger's entry of each names the others, so that what ended between two of them is seen, and gone on with.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from ...errors import Protected
from ..run.ledger import Bond, Entry
from ..run.plan import Question, undo_stack
from ..run.run import Run
from .job import Nothing
from .passage import Order, Passage, is_whole

ROLLBACK = "db-rollback"


class Together:
    """Orders for several databases, carried out in one order, side by side.

    :param orders: by what the databases are called.
    :param ask: asks one question of all that would be replaced; the engine's own is not asked.
    :ivar at: the database that is worked on; None before, between and after.
    """

    def __init__(self, orders: Mapping[str, Order], ask: Callable[[Mapping[str, Question]], None]) -> None:
        self._orders, self._ask = orders, ask
        self.at: str | None = None

    def carry_out(self) -> None:
        """Every phase for all, then the next one.

        :raises FerryError: ``at`` says of which; the reports of the runs say what became of each.
        """
        with contextlib.ExitStack() as resources:
            passages = {
                name: Passage(order, resources.enter_context(contextlib.ExitStack()))
                for name, order in self._orders.items()
            }
            self._look(passages)
            self._do(Passage.lock, passages)
            self._leave(passages)
            self._do(Passage.plan, passages)
            self._confirm(passages)
            self._tie(passages)
            self._do(Passage.stage, passages)
            self._do(Passage.prove, passages)
            self._do(Passage.hold_on, passages)
            self._do(Passage.cut_over, passages)

    def _do(self, phase: Callable[[Passage], None], passages: Mapping[str, Passage]) -> None:
        for name, passage in passages.items():
            if not passage.ended:
                self.at = name
                phase(passage)
        self.at = None

    def _look(self, passages: Mapping[str, Passage]) -> None:
        # What was left begun is ended first; until then nobody knows what there is to undo.
        whole = all(is_whole(passage.run) for passage in passages.values())
        if whole:
            self._leave(passages)
        self._do(functools.partial(Passage.look, whole=whole), passages)

    def _leave(self, passages: Mapping[str, Passage]) -> None:
        again = any(passage.order.again for passage in passages.values())
        finished = [passage.finished for passage in passages.values()]
        for name, nothing in find_left(_runs_of(passages), [entry for entry in finished if entry], again=again).items():
            if not passages[name].ended:
                passages[name].leave(nothing)

    def _confirm(self, passages: Mapping[str, Passage]) -> None:
        questions = {
            name: passage.job.question()
            for name, passage in passages.items()
            if not passage.ended and not passage.order.rehearse
        }
        if questions:
            self._ask(questions)

    @staticmethod
    def _tie(passages: Mapping[str, Passage]) -> None:
        """Let the entries of all that are cut over name each other; those of a run that goes on join the earlier."""
        at_work = {name: passage for name, passage in passages.items() if not passage.ended}
        for first in at_work.values():
            unfinished = find_unfinished(read_ledgers(_runs_of(passages)), first.run.command)
            bond = (unfinished or Bond(first.run.id, ())).joined_by(at_work)
            for passage in at_work.values():
                passage.bond = bond
            return


@dataclass(frozen=True)
class Ledger:
    """What the ledger of a database says, oldest first, and whether what is live is what its last entry left."""

    entries: tuple[Entry, ...]
    in_force: bool

    def find_tied(self, bond: Bond) -> Entry | None:
        """The last entry of those that are tied together."""
        return next((entry for entry in reversed(self.entries) if entry.bond and entry.bond.run == bond.run), None)

    def find_undone(self) -> Entry | None:
        """What a rollback would undo."""
        stack = undo_stack(self.entries)
        return stack[-1] if stack else None


Ledgers = Mapping[str, Ledger]


def find_left(runs: Mapping[str, Run], finished: Sequence[Entry] = (), *, again: bool = False) -> dict[str, Nothing]:
    """The databases that a command for all leaves as they are, whatever is planned for each, and why.

    A rollback undoes what one run of all replaced and no more; one that was ended between two databases goes on.

    :param finished: the cut-overs that were finished just now, as they had been left begun.
    :param again: what was done before is asked for once more; of a run that was ended midway, for the rest only.
    :raises Protected: what would be undone was cut over for one database alone.
    """
    command = next(iter(runs.values())).command
    if command != ROLLBACK and not again:
        return {}
    ledgers = read_ledgers(runs)
    bonds = [entry.bond for entry in finished if entry.bond and entry.command == command]
    bond = bonds[0] if bonds else find_unfinished(ledgers, command)
    if bond is None:
        return _find_not_undone(ledgers) if command == ROLLBACK else {}
    nothing = {}
    for name, ledger in ledgers.items():
        if (entry := ledger.find_tied(bond)) is not None:
            text = f"Nothing to do: done already, by run {entry.run_id} of {entry.finished_at}."
            nothing[name] = Nothing(text, {"live": entry.revision})
        elif command == ROLLBACK and name not in bond.binds:
            nothing[name] = _leave_out(bond)
    return nothing


def find_unfinished(ledgers: Ledgers, command: str) -> Bond | None:
    """The bond of a command that cut over some of its databases and not all, where nothing has happened since."""
    for ledger in ledgers.values():
        last = ledger.entries[-1] if ledger.in_force else None
        bond = last.bond if last and last.command == command else None
        if last is None or bond is None:
            continue
        missing = [ledgers[name] for name in bond.binds if name in ledgers and not ledgers[name].find_tied(bond)]
        since = [item for item in missing if item.entries and item.entries[-1].finished_at > last.finished_at]
        if missing and not since:
            return bond
    return None


def _find_not_undone(ledgers: Ledgers) -> dict[str, Nothing]:
    """All but the databases whose last cut-over is of the newest run of several."""
    undone = {name: entry for name, ledger in ledgers.items() if (entry := ledger.find_undone())}
    if not undone:
        raise Protected(
            "There is no cut-over left to undo in any of the databases.",
            hint="To put backups back: flask db-restore (see flask db-backup --list)",
        )
    name, newest = max(undone.items(), key=lambda item: item[1].finished_at)
    bond = newest.bond
    if bond is None:
        raise Protected(
            f"The last cut-over, of {name} (run {newest.run_id}), was of that database alone.",
            hint=f"To undo it: flask {ROLLBACK} --bind {name}",
        )
    tied = {name for name, entry in undone.items() if entry.bond and entry.bond.run == bond.run}
    return {name: _leave_out(bond) for name in ledgers if name not in tied}


def _leave_out(bond: Bond) -> Nothing:
    return Nothing(
        f"Nothing to do: what run {bond.run} of several databases made is not live here, or was undone already.", {}
    )


def read_ledgers(runs: Mapping[str, Run]) -> Ledgers:
    """What the ledgers of some databases say now."""
    return {name: _read_ledger(run) for name, run in runs.items()}


def _read_ledger(run: Run) -> Ledger:
    control = run.peek()
    entries = tuple(control.ledger()) if control else ()
    return Ledger(entries, bool(entries) and run.dialect.mark(run.target) == entries[-1].mark)


def _runs_of(passages: Mapping[str, Passage]) -> dict[str, Run]:
    return {name: passage.run for name, passage in passages.items()}
