"""The way back: the generation that the last cut-over replaced becomes live again."""

from __future__ import annotations

import shlex
from collections import Counter
from pathlib import Path
from typing import NoReturn

import sqlalchemy as sa

from ...dialects.wording import at_revision, count_rows, rows_are, rows_were
from ...errors import Protected, VerificationFailed
from ..backup import backups
from ..cutover.cutover import entry_for
from ..proof.checksums import NOTHING
from ..proof.writes import find_writes
from ..run.evidence import databases_differ
from ..run.ledger import Entry
from ..run.plan import Question, undo_stack
from ..run.run import SWAP_TIMEOUT_S, Run
from ..run.target import Target
from ..schema.alembic import data_tables, revision_of
from .job import Job, Nothing, Planning, Step
from .passage import Order
from .writes_since import keep_writes_since

UNKNOWN_WRITES = "What was written since the cut-over is not known; it is in the backup made now."


def order_rollback(run: Run, *, lock_timeout_s: float, dry_run: bool, kind: type[Rollback] | None = None) -> Order:
    """Undo the last cut-over: the generation it replaced becomes live again.

    Writes made since are listed and saved to a file first, and the database as it is is backed up.

    :param kind: what is carried out in place of a plain rollback.
    """

    last, unfinished = _find_last(run)

    def plan(planning: Planning) -> Job | Nothing:
        finished = planning.finished
        if finished and finished.command == run.command:
            # What was asked for then is done now; undoing one more was not asked for.
            return Nothing(planning.finished_as, {"live": finished.revision})
        target = run.look()
        # Who waited for a cut-over that went on knows of it, and did not mean it.
        _refuse_another(target, unfinished if finished else last)
        job = (kind or Rollback)(run, target, *_find_undone(run, target))
        planning.resources.callback(job.close)
        return job

    return Order(run, plan, dry_run=dry_run, lock_timeout_s=lock_timeout_s)


class Rollback(Job):
    """Puts what was live before the last cut-over in the place of what is live.

    :param undone: the ledger's entry of that cut-over.
    :param generation: where the database is that it replaced; None where there was none.
    """

    keeps_counters = True

    def __init__(self, run: Run, target: Target, undone: Entry, generation: sa.URL | None) -> None:
        super().__init__(run, target)
        self._undone, self._generation = undone, generation
        self._contents = NOTHING

    @property
    def runs_revisions(self) -> bool:
        return False

    @property
    def steps(self) -> tuple[Step, ...]:
        return (
            Step("backup", self.back_up, of_live=True),
            Step("compare", self._save_writes_since, of_live=True),
            Step("staging", self._stage),
        )

    def close(self) -> None:
        """Drop what was made beside for this job alone."""

    def question(self) -> Question:
        target, undone = self.target, self._undone
        return Question(
            target=target,
            replaced=target.rows,
            loads=f"what was live before run {undone.run_id} ({undone.command}, {undone.finished_at})",
            backup=self.backup_place,
            typed_name=target.identity.database if target.production else None,
            needs_permission="rows of a production database are replaced" if target.production else None,
            always=True,
        )

    def preview(self, question: Question) -> str:
        del question
        undone = self._undone
        return f"Would undo run {undone.run_id} ({undone.command} from {undone.source or 'nothing'})."

    def foresee(self, directory: Path) -> None:
        run, live = self.run, self.run.target
        if self._generation is not None:
            with run.dialect.reader(self._generation) as reader:
                self.report.expected = reader.counts(data_tables(reader.tables()))
        new = self._find_new(live)
        if new is None:
            run.note(UNKNOWN_WRITES)
            return
        with run.dialect.reader(new) as was, run.dialect.reader(live) as is_now:
            counts = Counter(item.table.name for item in find_writes(was, is_now, directory))
        if counts:
            tables = ", ".join(f"{name} {number}" for name, number in counts.items())
            rows = f"{count_rows(counts.total())} written since the cut-over"
            self.report.notes.append(f"{rows} would go to a file first: {tables}")

    def entry(self) -> Entry:
        with self.run.dialect.reader(self.run.staging) as reader:
            revision = revision_of(reader)
        return entry_for(
            self.run,
            self.target,
            self.secured,
            proved=self._contents.known_in,
            source_identity=f"generation:{self._undone.previous_mark}",
            source=f"what was live before run {self._undone.run_id}",
            revision=revision,
            undoes=self._undone.run_id,
            emptied=self._generation is None,
        )

    def way_back(self, entry: Entry) -> str | None:
        """One more rollback would lead further back; what was live until now is in the backup that was just made."""
        return f"flask db-restore {shlex.quote(entry.backup)}" if entry.backup else None

    def summary(self, entry: Entry, rows: int) -> str:
        begin = f"Rolled back run {self._undone.run_id} ({self._undone.command})"
        if entry.emptied:
            return f"{begin}: the database is empty, as it was before."
        return f"{begin}: {rows_are(rows)} live again, {at_revision(entry.revision)}."

    def _stage(self) -> None:
        """Bring the old generation into staging and prove that it is whole."""
        run, generation = self.run, self._generation
        if generation is None:
            run.dialect.prepare_staging(run.staging, run.target)
            return
        self._contents = backups.contents_of(run.dialect, generation)
        run.dialect.copy(generation, run.staging, timeout_s=SWAP_TIMEOUT_S)
        run.dialect.fit_staging(run.staging, run.target)
        if backups.state_of(run.dialect, run.staging, self._contents) != self._contents.checksums:
            _refuse_copy(run, generation)

    def _save_writes_since(self, live: sa.URL | None = None) -> None:
        """List what was written since the last cut-over, and save it to a file.

        :param live: the live database where it is not secured yet.
        """
        live = live or self.run.before
        run, last = self.run, self.target.in_force
        new = self._find_new(live)
        if last is None or new is None:
            run.note(UNKNOWN_WRITES)
            return
        with run.dialect.reader(new) as was, run.dialect.reader(live) as is_now:
            writes = keep_writes_since(run, last, was, is_now)
        if writes.file is None:
            run.note("Nothing was written since the cut-over.")
            return
        run.warn(
            f"{rows_were(writes.count)} written since the cut-over: whole in {writes.file}, and kept in the backup. "
            "To put them back by hand: docs/guide.md."
        )

    def _find_new(self, live: sa.URL) -> sa.URL | None:
        """Where the database is as the cut-over left it; None where that, or the live one, is not there."""
        run, last = self.run, self.target.in_force
        new = run.dialect.generation_url(run.target, f"{last.mark}-new") if last else None
        return new if new is not None and run.dialect.exists(new) and run.dialect.exists(live) else None


def _refuse_copy(run: Run, generation: sa.URL) -> NoReturn:
    with run.dialect.reader(generation) as original, run.dialect.reader(run.staging) as copy:
        details = databases_differ(run, original, copy)
    raise VerificationFailed("The copy of the old generation is not what the generation is.", details=details)


def _find_last(run: Run) -> tuple[str | None, str | None]:
    """The runs of the last cut-over and of one that was begun since, each None where there is none."""
    control = run.peek()
    entries, unfinished = (control.ledger(), control.find_unfinished_cut_over()) if control else ([], None)
    return entries[-1].run_id if entries else None, unfinished.run_id if unfinished else None


def _refuse_another(target: Target, expected: str | None) -> None:
    """Refuse to undo another cut-over than that which was the last one when this command began.

    It waited for its lock, or slept, and another command came: of two rollbacks at once none undoes one more.
    """
    entry = target.entries[-1] if target.entries else None
    if entry and entry.run_id != expected:
        raise Protected(
            f"While this command waited, run {entry.run_id} ({entry.command}) replaced the live database.",
            hint="See what is live: flask db-status. To undo that, too: flask db-rollback",
        )


def _find_undone(run: Run, target: Target) -> tuple[Entry, sa.URL | None]:
    """The entry to undo, and where the generation is that it replaced; None for an absent one.

    :raises Protected: there is nothing to undo, or it is not kept any more.
    """
    if target.in_force is None:
        raise Protected(
            "What is live is not what the last cut-over left, so there is nothing to undo.",
            hint="To put a backup back: flask db-restore (see flask db-backup --list)",
        )
    stack = undo_stack(target.entries)
    if not stack:
        raise Protected("There is no cut-over left to undo.", hint="See flask db-backup --list and flask db-restore.")
    undone = stack[-1]
    generation = run.dialect.generation_url(run.target, f"{undone.mark}-old")
    if undone.options.get("previous_absent"):
        return undone, None
    if not run.dialect.exists(generation):
        raise Protected(
            f"The generation before run {undone.run_id} is not kept any more (FERRY_KEEP {run.settings.keep}).",
            hint=f"Put its backup back: flask db-restore {shlex.quote(undone.backup)}"
            if undone.backup
            else "Choose a backup from: flask db-backup --list",
        )
    return undone, generation
