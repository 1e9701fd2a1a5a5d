"""The order of every command that replaces the live database, written once.

A job is data: what it was planned for, its question, its steps, its ledger entry. :func:`carry_out` is the only way to
run one, so a protection that one job has, all have.
"""

from __future__ import annotations

import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from ...dialects.base import Fence
from ...dialects.model import LateWrite
from ...dialects.wording import count_rows
from ...errors import VerificationFailed
from ..cutover.cutover import CUT_OVER, recover, still_written, swap
from ..cutover.prune import finish_report
from ..cutover.secure import PASSES, Secured, secure, watch_target
from ..run.ledger import REHEARSED, Entry
from ..run.plan import Question
from ..run.records import prune_records
from ..run.report import Report
from ..run.run import SWAP_TIMEOUT_S, Run
from ..run.target import Target
from ..staging.counters import keep_counters, read_counters
from .rehearsal import predict_wait, recall_prediction, record_rehearsal, require_rehearsal

UNFINISHED = "An unfinished cut-over would be finished or undone first."


@dataclass(frozen=True)
class Step:
    """A unit of a job's work, journalled before and after.

    :ivar of_live: it reads the live database, so it is done again when that was written meanwhile.
    """

    name: str
    work: Callable[[], object]
    of_live: bool = False


@dataclass(frozen=True)
class Nothing:
    """What is planned where there is nothing to do."""

    summary: str
    revisions: dict[str, str | None]


@dataclass(frozen=True)
class Planning:
    """What planning a job is given.

    :ivar resources: closed when the command ends.
    :ivar finished: the run whose cut-over was finished just now, because it had been left begun.
    :ivar finished_as: how that is said.
    """

    resources: contextlib.ExitStack
    finished: Entry | None = None
    finished_as: str = ""


class Job(ABC):
    """What one command does, planned: carried out by :func:`carry_out` and by nothing else.

    :ivar fence: watches the live database, from before the first step.
    :ivar secured: the live database as it was backed up; the cut-over refuses another one.
    """

    writers_wait: ClassVar[bool] = False
    """Whether the job reads the live database itself: writers wait while a pass is repeated, and until its cut-over."""

    keeps_counters: ClassVar[bool] = False
    """Whether numbers that the live database gave out are not given out again, though their rows may be gone."""

    rehearsal: Mapping[str, Any] | None = None
    """What a rehearsal of the job is of: equal for a run that does the same; None where there can be none."""

    fence: Fence
    secured: Secured

    def __init__(self, run: Run, target: Target, *, backup_to: Path | None = None) -> None:
        self.run, self.target, self.backup_to = run, target, backup_to
        self.report = run.report

    @property
    @abstractmethod
    def steps(self) -> tuple[Step, ...]:
        """All of its work before the cut-over, in order."""

    @abstractmethod
    def question(self) -> Question:
        """What is asked before anything is replaced."""

    @abstractmethod
    def preview(self, question: Question) -> str:
        """What the job would do, in a sentence for ``--dry-run``."""

    @abstractmethod
    def entry(self) -> Entry:
        """The ledger's entry of the cut-over; made from staging, which gets its mark."""

    @abstractmethod
    def summary(self, entry: Entry, rows: int) -> str:
        """What was done, in a sentence."""

    @property
    def source_bytes(self) -> int:
        """How much the source is, for the look at free space."""
        return 0

    @property
    def runs_revisions(self) -> bool:
        """Whether the host's ``env.py`` has to work."""
        return True

    @property
    def backup_place(self) -> str:
        """Where the backup goes, for people."""
        return str(self.backup_to or self.run.settings.backups)

    def way_back(self, entry: Entry) -> str | None:
        """The command that undoes the cut-over."""
        del entry
        return "flask db-rollback"

    def back_up(self) -> None:
        """Secure what is live; a backup that was asked for at a place of its own is made there once."""
        first = not hasattr(self, "secured")
        to = self.backup_to if first else None
        self.secured = secure(self.run, self.fence, to, changes=self.writers_wait)

    def announce_pass(self, number: int, *, waiting: bool) -> str:
        """What is said when the live database was written meanwhile."""
        if self.writers_wait:
            how = ", with writers waiting" if waiting else ""
            return f"The live database was written meanwhile; pass {number}{how}."
        return "The live database was written since its backup; backing it up again."

    def was_written_meanwhile(self) -> bool:
        """Whether a failed proof may only say that what the job read of the live database is newer than secured."""
        if not self.writers_wait or not hasattr(self, "secured"):
            return False
        return self.run.before == self.run.target and self.fence.token() != self.secured.token


def carry_out(
    run: Run,
    plan: Callable[[Planning], Job | Nothing],
    *,
    dry_run: bool = False,
    rehearse: bool = False,
    lock_timeout_s: float = 0.0,
) -> Report:
    """Run a command that replaces the live database, in the one order there is.

    :param plan: looks and decides, and changes nothing; called again under the lock.
    :param rehearse: do and prove everything but the cut-over, in staging, which is dropped then.
    :raises FerryError: with its exit status; the live database is unchanged then, but for CutOverUnfinished.
    """
    run.refuse_prohibited()
    with contextlib.ExitStack() as resources:
        whole = _is_whole(run)
        if whole:
            job = plan(Planning(resources))
            if isinstance(job, Nothing):
                return _nothing(run, job)
            _preflight(run, job, rehearse=rehearse)
            if dry_run:
                return _preview(run, job)
        elif dry_run:
            return run.report.end("dry run", UNFINISHED)
        resources.enter_context(run.hold_lock(lock_timeout_s))
        with run.control.read_once():
            finished, finished_as = recover(run)
            run.drop_leftovers()
            job = plan(Planning(resources, finished, finished_as))
        if isinstance(job, Nothing):
            return _nothing(run, job)
        if not whole:
            _preflight(run, job, rehearse=rehearse)
        if not rehearse:
            run.hooks.ask(job.question())
        return _do_work(run, job, rehearse=rehearse)


def _preflight(run: Run, job: Job, *, rehearse: bool) -> None:
    if not rehearse:
        require_rehearsal(run, job)
    run.preflight(job.target, job.source_bytes)
    if job.runs_revisions and job.target.exists:
        run.schema.refuse_env()


def carry_out_steps(run: Run, steps: Iterable[Step]) -> None:
    """Carry out steps in order; nothing else opens one."""
    for step in steps:
        with run.step(step.name):
            step.work()


def refresh_derived(run: Run) -> None:
    """Where all rows of staging are in, let the server compute anew what it keeps of them, and say so.

    :raises DoesNotFit: something cannot be computed over these rows.
    """
    if names := run.dialect.refresh_derived(run.staging):
        run.note(f"Computed anew over the new rows: {', '.join(names)}")


def _is_whole(run: Run) -> bool:
    """No cut-over was left begun; where one was, what is live cannot be planned with before it is finished."""
    control = run.peek()
    return control is None or control.find_unfinished_cut_over() is None


def _nothing(run: Run, nothing: Nothing) -> Report:
    run.report.revisions = nothing.revisions
    return run.report.end("nothing to do", nothing.summary)


def _preview(run: Run, job: Job) -> Report:
    """Show the very steps that would run."""
    report, question = run.report, job.question()
    report.target = job.target.to_json()
    report.source = {**report.source, "loads": question.loads}
    report.revisions = {**report.revisions, "live": job.target.revision}
    names = [*(step.name for step in job.steps), CUT_OVER]
    report.notes += [f"Steps: {', '.join(names)}", f"Backup to: {question.backup_place}"]
    report.end("dry run", job.preview(question))
    run.hooks.permit(question)
    return report


def _do_work(run: Run, job: Job, *, rehearse: bool) -> Report:
    """The steps and their end; whatever ends them early, staging is dropped and live is as it was.

    :param rehearse: the end is a look at the live database in place of the cut-over; the ledger has no entry of it.
    """
    run.report.target = job.target.to_json()
    run.may_hold_writers = not rehearse
    try:
        with watch_target(run) as fence:
            job.fence = fence
            try:
                entry = _make_passes(run, job, rehearse=rehearse)
            finally:
                # A rehearsal that succeeds has replaced nothing either.
                _look_at_live(run, job)
        with run.control.read_once():
            (_end_rehearsal if rehearse else _receipt)(run, job, entry)
        return run.report
    finally:
        run.clean_up()


def _look_at_live(run: Run, job: Job) -> None:
    """Of a run that replaced nothing: whether somebody wrote to the live database; what is said of it must be so.

    The application may; a revision can, past everything that looks at what it sends, by a connection of its own.
    """
    if run.report.live != "unchanged" or not hasattr(job, "secured"):
        return
    with contextlib.suppress(*run.database_errors):
        if job.fence.token() != job.secured.token:
            run.report.live = "written"


def _make_passes(run: Run, job: Job, *, rehearse: bool) -> Entry:
    """Carry out the steps and swap; what reads the live database is repeated while that is written.

    A rehearsal does not swap, and keeps nobody waiting; what is written after its steps is no reason for a pass.

    :raises VerificationFailed: it was written in each pass.
    """
    for number in range(PASSES + 1):
        waiting = bool(number) and job.writers_wait and run.may_hold_writers
        if number:
            run.note(job.announce_pass(number + 1, waiting=waiting))
        began = time.monotonic() if waiting else None
        try:
            # The swap ends the hold last of all: no writer gets in between.
            with job.fence.hold(SWAP_TIMEOUT_S) if waiting else contextlib.nullcontext():
                entry = _stage(run, job, (step for step in job.steps if step.of_live or not number))
                if rehearse:
                    run.report.predicted_wait = predict_wait(run, job, number + 1)
                else:
                    swap(run, job.fence, job.secured.token, entry, waiting_since=began)
                return entry
        except LateWrite:
            continue
        except VerificationFailed:
            if not job.was_written_meanwhile():
                raise
    raise still_written(PASSES)


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
    finish_report(run)


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
