"""The cut-over: secure what is live, swap under the fence, write the ledger; recovery, and the way back.

Every path here ends with the old database live or the new one, and the journal saying which. Whoever finds a cut-over
begun and not ended looks at the mark in the live database and at nothing else.
"""

from __future__ import annotations

import contextlib
import itertools
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from typing import Any

from ...dialects.base import Fence
from ...dialects.reader import Reader
from ...errors import CutOverUnfinished, FerryError, LeaseLost, VerificationFailed
from ..backup.making import to_lists
from ..proof.checksums import NOTHING, Proved, fingerprint
from ..rows.header import now
from ..run.control import Control
from ..run.ledger import Entry
from ..run.report import WAITED
from ..run.run import SWAP_TIMEOUT_S, Run
from ..run.target import MIGRATE, Target
from .secure import Secured

CUT_OVER = "cut-over"
"""The step that no job has among its own: it ends each of them."""


def entry_for(
    run: Run,
    target: Target,
    secured: Secured,
    *,
    proved: Callable[[Reader], Proved] = NOTHING.known_in,
    beside: AbstractContextManager[object] | None = None,
    **more: Any,
) -> Entry:
    """The ledger entry of this run's cut-over, made from staging before it, which gets its mark.

    :param proved: what is known of the tables of staging.
    :param beside: what goes on while staging is read.
    """
    run.dialect.set_mark(run.staging, run.mark)
    with beside or contextlib.nullcontext(), run.dialect.reader(run.staging) as reader:
        sums = fingerprint(reader, proved=proved(reader))
    return Entry(
        **{
            "run_id": run.id,
            "command": run.command,
            "source_identity": "",
            "source": "",
            "revision": None,
            "mark": run.mark,
            "previous_mark": target.mark,
            "finished_at": now(),
            "backup": secured.backup.file if secured.backup else None,
            "checksums": to_lists(sums),
            "options": {"previous_absent": secured.absent},
            **more,
        }
    )


def still_written(passes: int) -> VerificationFailed:
    return VerificationFailed(
        f"The application kept writing to the live database; {passes} further passes did not catch up.",
        hint="Stop the writers, or run again when there are fewer.",
    )


def swap(
    run: Run,
    fence: Fence,
    token: bytes,
    entry: Entry,
    *,
    waiting_since: float | None = None,
    is_kept: bool = False,
) -> Entry:
    """The swap itself, once, between two journal entries; the ledger is written with the second.

    :param waiting_since: when writers were made to wait, by the monotonic clock; None: they are not yet.
    :param is_kept: the rows of staging are kept already.
    :raises LateWrite: the live database was written since ``token``; it is unchanged.
    :raises CutOverUnfinished: the new database is live and the ledger could not be written.
    """
    run.control.check_lease(run.id)  # so that nothing is kept for a cut-over that will not be
    if run.dialect.capabilities.swap_moves_old and not is_kept:
        run.dialect.keep(run.staging, run.new_generation)
    with run.show_step(CUT_OVER), run.hooks.hold_signals():
        run.control.write(run.id, CUT_OVER, "begun", {"entry": asdict(entry)}, with_lease=True)
        try:
            run.report.live = "unknown"
            with run.control.lease_held(run.id):
                waiting_since = waiting_since or time.monotonic()
                run.dialect.swap(run.staging, run.target, run.old_generation, fence, token, timeout_s=SWAP_TIMEOUT_S)
        except LeaseLost:
            # Whoever took over has seen this cut-over begun, and undone it; there is nothing to look at or to undo.
            raise
        except Exception as error:
            if not _took_effect(run, entry, error):
                run.report.live = "unchanged"
                raise
        if waiting_since is not None:
            note_wait(run, waiting_since)
        run.report.live = "replaced"
        for note in fence.notes:
            run.warn(note)
        return _finish(run, run.control, entry)


def note_wait(run: Run, since: float) -> None:
    """Writers waited from ``since``, by the monotonic clock, until now; the longest wait is told."""
    waited_s = round(time.monotonic() - since, 3)
    run.report.seconds[WAITED] = max(waited_s, run.report.seconds.get(WAITED, 0.0))


def _took_effect(run: Run, entry: Entry, error: Exception) -> bool:
    """Never infer from an exception what happened to the database: look.

    :raises CutOverUnfinished: it cannot be looked at.
    """
    try:
        if _mark_when_recovered(run, entry) == entry.mark:
            return True
    except run.database_errors as blind:
        raise CutOverUnfinished(
            f"The database went away in the cut-over (run {entry.run_id}): the old or the new one is live, and which "
            f"it is cannot be seen now: {blind}",
            hint=f"When it answers again, finish or undo it with: {finishing_command(entry.command)}",
        ) from error
    # Where even this cannot be written, the next run finds the same out by the mark; where one took over, it did, and
    # a line that comes after that run's own beginning would be taken for the end of its cut-over.
    with contextlib.suppress(FerryError):
        run.control.write(run.id, CUT_OVER, "undone", {"why": str(error) or "written meanwhile"}, with_lease=True)
    return False


def _mark_when_recovered(run: Run, entry: Entry) -> str:
    staging = run.dialect.staging_url(run.target, entry.run_id)
    old = run.dialect.generation_url(run.target, f"{entry.mark}-old")
    for note in run.dialect.recover(staging, run.target, old):
        run.warn(note)
    return run.dialect.mark(run.target)


def _finish(run: Run, control: Control, entry: Entry) -> Entry:
    try:
        # In this order: what is recorded is complete, so that nobody has to look for what is left to do.
        keep_generation(run, entry)
        control.record(entry)
    except run.write_errors as error:
        if _is_finished(run, entry):
            return entry
        raise CutOverUnfinished(
            f"The new database is live (run {entry.run_id}), but the ledger could not be written: {error}",
            hint=f"Make room or fix the permissions, then finish it with: {finishing_command(entry.command)}",
        ) from error
    return entry


def _is_finished(run: Run, entry: Entry) -> bool:
    """Whether a run that took over has finished this cut-over, so that what was left to do was done already."""
    with contextlib.suppress(*run.write_errors):
        return run.control.is_recorded(entry.run_id)
    return False


def finishing_command(command: str) -> str:
    """What finishes or undoes a command's cut-over and does no more than that; every command that locks does first."""
    return f"flask {MIGRATE} --yes" if command == MIGRATE else "flask db-backup"


def keep_generation(run: Run, entry: Entry) -> None:
    """Keep what was cut over as it was then; only the last one's is needed to find what was written since."""
    staging = run.dialect.staging_url(run.target, entry.run_id)
    if run.dialect.exists(staging):
        run.dialect.keep(staging, run.dialect.generation_url(run.target, f"{entry.mark}-new"))
    # Those after it are another run's, which took over while this process slept.
    for former in itertools.takewhile(lambda each: each.mark != entry.mark, run.control.ledger()):
        run.dialect.drop(run.dialect.generation_url(run.target, f"{former.mark}-new"))


def recover(run: Run) -> tuple[Entry | None, str]:
    """Finish or undo the cut-over that a run left begun; returns its entry where it was finished, and what was done.

    Only ever called under the lock.
    """
    unfinished = run.control.find_unfinished_cut_over()
    if unfinished is None:
        return None, ""
    entry = run.control.entry_begun(unfinished)
    run.report.live = "unknown"
    finished = _mark_when_recovered(run, entry) == entry.mark
    if finished:
        run.report.live = "replaced"
        _finish(run, run.control, entry)
        text = f"Run {entry.run_id} ended in its cut-over: the new database is live; its ledger entry was written now."
    else:
        run.control.write(entry.run_id, CUT_OVER, "undone", {"by": run.id})
        text = f"Run {entry.run_id} ended in its cut-over before it took effect: the old database is live, unchanged."
    # From here on it is what this run found, and what happens to it is this run's own doing.
    run.report.live = "unchanged"
    run.note(text)
    return (entry if finished else None), text
