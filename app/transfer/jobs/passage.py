"""A job on its way: the order of every command that replaces the live database, written once.

:func:`carry_out` and :mod:`.together` are the only ways to run a job, so a protection that one job has, all have.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from ...dialects.model import LateWrite
from ...dialects.wording import count_rows, count_tables
from ...errors import VerificationFailed
from ..backup.stored import look_at_storage
from ..cutover.cutover import CUT_OVER, recover, still_written, swap
from ..cutover.prune import finish_report
from ..cutover.secure import PASSES, watch_target
from ..run.ledger import BOND, REHEARSED, Bond, Entry, Holder
from ..run.leftovers import drop_leftovers, drop_resumable
from ..run.looking import look_only
from ..run.records import prune_records
from ..run.report import Report
from ..run.run import SWAP_TIMEOUT_S, Run
from ..staging.counters import keep_counters, read_counters
from .job import Job, Nothing, Planning, Step, carry_out_steps
from .rehearsal import predict_wait, recall_prediction, record_rehearsal, require_rehearsal

UNFINISHED = "An unfinished cut-over would be finished or undone first."


@dataclass(frozen=True)
class Order:
    """What a command that replaces the live database was asked for.

    :ivar plan: looks and decides, and changes nothing; called again under the lock.
    :ivar rehearse: do and prove everything but the cut-over, in staging, which is dropped then.
    :ivar again: what was done before is asked for once more.
    """

    run: Run
    plan: Callable[[Planning], Job | Nothing]
    dry_run: bool = False
    rehearse: bool = False
    lock_timeout_s: float = 0.0
    again: bool = False


def carry_out(order: Order) -> Report:
    """Run a command that replaces the live database, in the one order there is.

    :raises FerryError: with its exit status; the live database is unchanged then, but for CutOverUnfinished.
    """
    with contextlib.ExitStack() as resources:
        passage = Passage(order, resources)
        for phase in (passage.look, passage.lock, passage.plan, passage.ask, passage.stage, passage.cut_over):
            phase()
            if passage.ended:
                break
        return order.run.report


class Passage:
    """An order on its way, a phase a call. Several go side by side; none is ahead of the others by more than a phase.

    :param resources: holds all that is open, and closes it when the command ends.
    :ivar job: what was planned last.
    :ivar ended: there is no phase left to do.
    :ivar bond: what ties its cut-over to those of other databases.
    """

    job: Job

    def __init__(self, order: Order, resources: contextlib.ExitStack) -> None:
        self.order, self.run = order, order.run
        self.ended = False
        self.bond: Bond | None = None
        self._resources = resources
        self._staged: Entry | None = None
        self._checked, self._number = False, 0
        self._finished: tuple[Entry | None, str] = (None, "")

    @property
    def finished(self) -> Entry | None:
        """The cut-over that was finished just now, as a run had left it begun."""
        return self._finished[0]

    def look(self, *, whole: bool | None = None) -> None:
        """Plan without the lock and without a write: refuse what will be refused; a dry run ends here.

        :param whole: whether no cut-over was left begun, here or in another database that belongs to it.
        """
        self.run.refuse_prohibited()
        looking = self._resources.enter_context(look_only(self.run)) if self.order.dry_run else None
        if is_whole(self.run) if whole is None else whole:
            self._decide(Planning(self._resources))
            if looking and not self.ended:
                self._end(_preview(self.run, self.job, looking))
        elif looking:
            self._end(self.run.report.end("dry run", UNFINISHED))

    def lock(self) -> None:
        """Take the lock; finish or undo what a run left begun."""
        self._resources.enter_context(self.run.hold_lock(self.order.lock_timeout_s))
        # Until it is planned nobody else writes there.
        self._reading = self._resources.enter_context(contextlib.ExitStack())
        self._reading.enter_context(self.run.control.read_once())
        self._finished = recover(self.run)
        drop_leftovers(self.run)

    def plan(self) -> None:
        """Plan again, under the lock."""
        self._decide(Planning(self._resources, *self._finished))
        self._reading.close()

    def leave(self, nothing: Nothing) -> None:
        """End here, whatever is planned."""
        self._end(_nothing(self.run, nothing))

    def ask(self) -> None:
        """Ask before anything is replaced."""
        if not self.order.rehearse:
            self.run.hooks.ask(self.job.question())

    def stage(self) -> None:
        """The steps before the cut-over, once; whatever ends the command, staging is dropped and live is as it was."""
        run, job = self.run, self.job
        run.report.target = job.target.to_json()
        run.may_hold_writers = not self.order.rehearse
        self._resources.push(lambda _kind, error, _trace: run.clean_up(error))
        self._resources.callback(job.end_helpers)
        self._watching = self._resources.enter_context(contextlib.ExitStack())
        job.fence = self._watching.enter_context(watch_target(run))
        # A rehearsal that succeeds has replaced nothing either.
        self._watching.callback(_look_at_live, run, job)
        self._make_pass(0)
        if words := run.throttle.describe():
            run.note(words)
        # Nobody else has a session with staging while it is swapped.
        job.end_helpers()

    def prove(self) -> None:
        """Repeat the pass where live was written meanwhile: of several none is cut over before all are proved."""
        job = self.job
        while self._staged is None:
            waiting = self._begin_pass()
            with job.fence.hold(SWAP_TIMEOUT_S) if waiting else contextlib.nullcontext():
                self._make_pass(self._number)

    def hold_on(self) -> None:
        """Look whether the run still holds its lock, before another one of several cuts over.

        :raises LeaseLost: it does not.
        """
        self.run.control.check_lease(self.run.id)

    def cut_over(self) -> None:
        """Swap, with further passes while somebody writes; a rehearsal only looks how long that would take."""
        run, job = self.run, self.job
        while (entry := self._swap()) is None:
            pass
        self._watching.close()
        with run.control.read_once():
            (_end_rehearsal if self.order.rehearse else _receipt)(run, job, entry)
        if not self.order.rehearse:
            # Another database may wait for its own cut-over: what is stored and pruned can wait, under the lock.
            self._resources.callback(finish_report, run)
            self._resources.callback(_drop_resumable, run)
            self._resources.callback(job.store_last)
        self._end(run.report)

    def _decide(self, planning: Planning) -> None:
        job = self.order.plan(planning)
        if isinstance(job, Nothing):
            self.leave(job)
            return
        if not self._checked:
            _preflight(self.run, job, rehearse=self.order.rehearse)
        self.job, self._checked = job, True

    def _end(self, _report: Report) -> None:
        self.ended = True

    def _begin_pass(self, *, short: bool = False) -> bool:
        """Count and announce a further pass; whether writers wait for it.

        :param short: only for what is left to be brought over.
        :raises VerificationFailed: there were too many.
        """
        self._number += 1
        if self._number > PASSES:
            raise still_written(PASSES)
        waiting = self.job.writers_wait and self.run.may_hold_writers
        if not short:
            self.run.note(self.job.announce_pass(self._number + 1, waiting=waiting))
        return waiting

    def _swap(self) -> Entry | None:
        """The swap, behind a further pass where staging is not proved, as the live database was written meanwhile.

        Where what was written can be brought over row by row, that is no whole pass.

        A rehearsal does not swap, and keeps nobody waiting; what is written after its steps is no reason for a pass.

        :return: what was proved; None: it was written meanwhile.
        """
        run, job, again = self.run, self.job, self._staged is None
        short = again and run.may_hold_writers and job.approach()
        waiting = again and self._begin_pass(short=short)
        began = time.monotonic() if waiting else None
        try:
            # The swap ends the hold last of all: no writer gets in between.
            with job.fence.hold(SWAP_TIMEOUT_S) if waiting else contextlib.nullcontext():
                if short:
                    self._staged = self._tie(job.catch_up())
                    if self._staged is None:
                        run.note(job.announce_pass(self._number + 1, waiting=True))
                if self._staged is None and again:
                    self._make_pass(self._number)
                if self._staged is None:
                    return None
                if self.order.rehearse:
                    run.report.predicted_wait = predict_wait(run, job, self._number + 1)
                else:
                    swap(run, job.fence, job.secured.token, self._staged, waiting_since=began, is_kept=job.is_kept)
                return self._staged
        except LateWrite:
            self._staged = None
            return None

    def _choose_steps(self, number: int) -> Iterator[Step]:
        """All of them, each when servers have time for it; of a further pass, which writers may wait for, at once."""
        for step in self.job.steps:
            if not number:
                self.run.throttle.wait_for_load()
            if step.of_live or not number:
                yield step

    def _make_pass(self, number: int) -> None:
        """Carry out the steps; of further passes those that read the live database."""
        job, self._staged = self.job, None
        try:
            self._staged = _stage(self.run, job, self._choose_steps(number))
        except LateWrite:
            return
        except VerificationFailed:
            if not job.was_written_meanwhile():
                raise
            return
        self._staged = self._tie(self._staged)

    def _tie(self, entry: Entry | None) -> Entry | None:
        """The entry with the bond, where there is one."""
        if entry is None or self.bond is None:
            return entry
        return replace(entry, options={**entry.options, BOND: self.bond.to_json()})


def _drop_resumable(run: Run) -> None:
    with contextlib.suppress(*run.write_errors):
        drop_resumable(run)


def _preflight(run: Run, job: Job, *, rehearse: bool) -> None:
    if not rehearse:
        require_rehearsal(run, job)
    run.preflight(job.target, job.source_bytes)
    look_at_storage(run)
    if job.runs_revisions and job.target.exists:
        run.schema.refuse_env()


def is_whole(run: Run) -> bool:
    """No cut-over was left begun; where one was, what is live cannot be planned with before it is finished."""
    control = run.peek()
    return control is None or control.find_unfinished_cut_over() is None


def _nothing(run: Run, nothing: Nothing) -> Report:
    run.report.revisions = nothing.revisions
    return run.report.end("nothing to do", nothing.summary)


def _preview(run: Run, job: Job, looking: Path) -> Report:
    """Show the very steps that would run, and what they would come to; nothing is written."""
    report, question = run.report, job.question()
    report.target = job.target.to_json()
    report.source = {**report.source, "loads": question.loads}
    report.revisions = {**report.revisions, "live": job.target.revision}
    names = [*(step.name for step in job.steps), CUT_OVER]
    report.notes += [f"Steps: {', '.join(names)}", f"Backup to: {question.backup_place}"]
    if holder := _find_holder(run):
        run.note(f"The lock is held: {holder}. The run would wait for it, and plan again.")
    run.hooks.permit(question)
    with _look_whether_written(run):
        job.foresee(looking)
    replaced, tables = sum(question.replaced.values()), len(question.replaced)
    what = f"{count_rows(replaced)} in {count_tables(tables)}" if replaced else "no rows"
    return report.end("dry run", f"{job.preview(question)} It would replace {what}.")


@contextlib.contextmanager
def _look_whether_written(run: Run) -> Iterator[None]:
    """As :func:`_look_at_live`, of a dry run: it runs the revisions, too."""
    if not run.dialect.exists(run.target):
        yield
        return
    with run.dialect.fence(run.target) as fence:
        token = fence.token()
        try:
            yield
        finally:
            with contextlib.suppress(*run.database_errors):
                if fence.token() != token:
                    run.report.live = "written"


def _find_holder(run: Run) -> Holder | None:
    control = run.peek()
    holder = control.holder() if control else None
    return holder if holder and holder.alive else None


def _look_at_live(run: Run, job: Job) -> None:
    """Of a run that replaced nothing: whether somebody wrote to the live database; what is said of it must be so.

    The application may; a revision can, past everything that looks at what it sends, by a connection of its own.
    """
    if run.report.live != "unchanged" or not hasattr(job, "secured"):
        return
    with contextlib.suppress(*run.database_errors):
        if job.fence.token() != job.secured.token:
            run.report.live = "written"


def _stage(run: Run, job: Job, steps: Iterable[Step]) -> Entry:
    """Carry out steps; returns what the ledger would say of staging as it is now, proved."""
    carry_out_steps(run, steps)
    if job.keeps_counters and not job.secured.absent:
        keep_counters(run, read_counters(run, run.target), run.staging)
    return job.entry()


def _receipt(run: Run, job: Job, entry: Entry) -> None:
    report = run.report
    recall_prediction(run, job)
    way_back = job.way_back(entry)
    report.rollback = way_back and run.name_bind(way_back)
    report.revisions = {**report.revisions, "before": job.target.revision, "live": entry.revision}
    report.end("done", job.summary(entry, entry.count_rows(run.dialect.version_table)))


def _end_rehearsal(run: Run, job: Job, entry: Entry) -> None:
    report, rows = run.report, entry.count_rows(run.dialect.version_table)
    report.revisions = {**report.revisions, "before": job.target.revision, "staged": entry.revision}
    what_of_live = "nothing was replaced"
    if report.live == "written":
        what_of_live += ", but the live database was written meanwhile, by the application or by a revision"
    report.end(
        REHEARSED,
        f"Rehearsed: {count_rows(rows)} would be live at revision {entry.revision}; {what_of_live} (run {run.id}).",
    )
    prune_records(run)
    run.save_report()
    record_rehearsal(run, job)
