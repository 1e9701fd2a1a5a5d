"""The way back: the generation that the last cut-over replaced becomes live again."""

from __future__ import annotations

import shlex

import sqlalchemy as sa

from ...dialects.model import TableChecksum
from ...errors import Protected, VerificationFailed
from ..cutover import backups
from ..cutover.cutover import cut_over, entry_for, recover
from ..cutover.prune import finish_report
from ..cutover.secure import Secured, fenced, secure
from ..proof.compare import compare_databases
from ..rows.files import to_plain_json, write
from ..run.evidence import databases_differ
from ..run.ledger import Entry
from ..run.plan import Question, undo_stack
from ..run.report import Report
from ..run.run import SWAP_TIMEOUT_S, Run
from ..run.target import Target
from ..schema.alembic import revision_of


def roll_back(run: Run, *, lock_timeout_s: float, dry_run: bool) -> Report:
    """Undo the last cut-over: the generation it replaced becomes live again.

    Writes made since are listed and saved to a file first, and the database as it is is backed up.
    """
    run.refuse_prohibited()
    if dry_run:
        return _preview(run)
    with run.locked(lock_timeout_s):
        begun = run.control.unfinished_cut_over()
        said = recover(run)
        run.drop_leftovers()
        if begun and said and _is_rollback(run, begun.run_id):
            # What was asked for then is done now; undoing one more was not asked for.
            run.report.outcome, run.report.exit_status, run.report.summary = "done", 0, said
            return run.report
        target = run.look()
        undone, generation = _to_undo(run, target)
        run.preflight(target)
        run.hooks.ask(_question(run, target, undone))
        _undo(run, target, undone, generation)
    return run.report


def _preview(run: Run) -> Report:
    report, target = run.report, run.look()
    report.outcome, report.exit_status = "dry run", 0
    if target.unfinished:
        report.summary = "An unfinished cut-over would be finished or undone first."
        return report
    undone, _ = _to_undo(run, target)
    run.preflight(target)
    question = _question(run, target, undone)
    run.hooks.permit(question)
    report.summary = f"Would undo run {undone.run_id} ({undone.command} from {undone.source or 'nothing'})."
    return report


def _is_rollback(run: Run, run_id: str) -> bool:
    return any(entry.run_id == run_id and entry.command == run.command for entry in run.control.ledger())


def _question(run: Run, target: Target, undone: Entry) -> Question:
    return Question(
        target=target,
        replaced=target.rows,
        loads=f"what was live before run {undone.run_id} ({undone.command}, {undone.finished_at})",
        backup=str(run.settings.backups),
        typed_name=target.identity.database if target.production else None,
        needs_permission="rows of a production database are replaced" if target.production else None,
        always=True,
    )


def _to_undo(run: Run, target: Target) -> tuple[Entry, sa.URL | None]:
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
            hint=f"Put its backup back: flask db-restore {undone.backup or '(see flask db-backup --list)'}",
        )
    return undone, generation


def _undo(run: Run, target: Target, undone: Entry, generation: sa.URL | None) -> None:
    try:
        with fenced(run) as fence:
            with run.step("backup"):
                secured = secure(run, fence)
                _save_writes_since(run, target)
            with run.step("staging", generation=f"{undone.mark}-old"):
                expected = _stage_generation(run, generation)

            def again() -> Secured:
                found = secure(run, fence)
                _save_writes_since(run, target)
                return found

            def make_entry(found: Secured) -> Entry:
                return entry_for(
                    run,
                    target,
                    found,
                    source_identity=f"generation:{undone.previous_mark}",
                    source=f"what was live before run {undone.run_id}",
                    revision=_revision(run),
                    undoes=undone.run_id,
                    emptied=generation is None,
                )

            entry = cut_over(run, fence, secured, make_entry, again)
        _complete(run, undone, entry, expected)
    finally:
        run.cleaned_up()


def _revision(run: Run) -> str | None:
    with run.dialect.reader(run.staging) as reader:
        return revision_of(reader)


def _stage_generation(run: Run, generation: sa.URL | None) -> dict[str, TableChecksum]:
    """Bring the old generation into staging and prove that it is whole."""
    if generation is None:
        run.dialect.prepare_staging(run.staging, run.target)
        return {}
    expected = backups.state_of(run.dialect, generation)
    run.dialect.copy(generation, run.staging, timeout_s=SWAP_TIMEOUT_S)
    run.dialect.fit_staging(run.staging, run.target)
    found = backups.state_of(run.dialect, run.staging)
    if found != expected:
        with run.dialect.reader(generation) as kept, run.dialect.reader(run.staging) as copy:
            details = databases_differ(run, kept, copy)
        raise VerificationFailed("The copy of the old generation is not what the generation is.", details=details)
    return found


def _save_writes_since(run: Run, target: Target) -> None:
    """List what was written since the last cut-over, and save it to a file."""
    last = target.in_force
    new = run.dialect.generation_url(run.target, f"{last.mark}-new") if last else None
    if new is None or not run.dialect.exists(new) or not run.dialect.exists(run.before):
        run.note("What was written since the cut-over is not known; it is in the backup made now.")
        return
    with run.dialect.reader(new) as was, run.dialect.reader(run.before) as is_now:
        found = [item.to_json() for item in compare_databases(was, is_now, run.directory / "differences.keys")]
    run.report.differences = found[:100]
    if not found:
        run.note("Nothing was written since the cut-over.")
        return
    path = run.directory / "writes-since.json"
    write(path, [to_plain_json(found)], keep_former=False)
    run.warn(f"{len(found)} rows were written since the cut-over; they are listed in {path} and kept in the backup.")


def _complete(run: Run, undone: Entry, entry: Entry, expected: dict[str, TableChecksum]) -> None:
    rows = sum(found.rows for name, found in expected.items() if name != "alembic_version")
    run.report.outcome, run.report.exit_status = "done", 0
    run.report.revisions = {"live": entry.revision}
    # One more rollback would lead further back; what was live until now is in the backup that was just made.
    run.report.rollback = f"flask db-restore {shlex.quote(entry.backup)}" if entry.backup else None
    run.report.summary = (
        f"Rolled back run {undone.run_id} ({undone.command}): {rows} rows are live again, at revision {entry.revision}."
        if not entry.emptied
        else f"Rolled back run {undone.run_id} ({undone.command}): the database is empty, as it was before."
    )
    finish_report(run)
