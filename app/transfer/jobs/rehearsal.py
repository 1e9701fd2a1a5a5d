"""What a rehearsal leaves for the run that follows: that it was, of what, and how long writers would wait."""

from __future__ import annotations

import datetime as dt
import time
from typing import TYPE_CHECKING, Any

from ...errors import Protected
from ..run.ledger import CLOSING, REHEARSED, JournalEntry
from ..run.run import SWAP_TIMEOUT_S, Run

if TYPE_CHECKING:
    from .job import Job

LOOKS = 2


def predict_wait(run: Run, job: Job, passes: int) -> dict[str, Any]:
    """How long writers would wait: what a swap does under its locks is done, on copies and by looking.

    ``swap_s`` is for the swap alone; ``pass_s``, where the job reads the live database itself, for what a run does with
    writers waiting where somebody writes during its first pass: what was written is brought over (``short``), or all of
    it is made anew. Renaming tables, on servers, is in neither.

    :param passes: how many there were; called while staging is whole.
    """
    began = time.monotonic()
    # A swap looks before it makes anybody wait, and once more under its locks; both are told as waiting.
    for _ in range(LOOKS):
        job.fence.token()
    if not run.dialect.capabilities.swap_moves_old:
        run.dialect.copy(run.staging, run.scratch, timeout_s=SWAP_TIMEOUT_S)
    swap_s = time.monotonic() - began
    if not job.writers_wait:
        return {"swap_s": round(swap_s, 3), "pass_s": None, "short": False}
    short_s = job.time_catch_up()
    again_s = sum(run.report.seconds.get(step.name, 0.0) for step in job.steps if step.of_live) / passes
    pass_s = swap_s + (again_s if short_s is None else short_s)
    return {"swap_s": round(swap_s, 3), "pass_s": round(pass_s, 3), "short": short_s is not None}


def record_rehearsal(run: Run, job: Job) -> None:
    """Journal that the rehearsal succeeded, and of what."""
    run.control.write(run.id, CLOSING, REHEARSED, {"of": job.rehearsal, "wait": run.report.predicted_wait})


def require_rehearsal(run: Run, job: Job) -> None:
    """Refuse a run without a rehearsal as young as ``FERRY_REHEARSED`` says; what cannot be rehearsed needs none.

    :raises Protected: says of what the last one was.
    """
    age = run.settings.rehearsed
    if age is None or job.rehearsal is None:
        return
    last = _find_last(run, job)
    if last is not None and _find_age_s(last) <= age.age_s:
        return
    when = f"the last one was at {last.written_at:%Y-%m-%dT%H:%M:%SZ}" if last else "there is none"
    raise Protected(
        "This run needs a rehearsal of the same command, options and source, from the same revision to the same head, "
        f"that is not older than {age.text} (FERRY_REHEARSED, {run.settings.origins['FERRY_REHEARSED']}); {when}.",
        hint=f"Rehearse it: flask {run.command} --rehearse",
    )


def recall_prediction(run: Run, job: Job) -> None:
    """Put what the last rehearsal of this run predicted into the report, beside what comes of it."""
    if job.rehearsal is not None and (last := _find_last(run, job)) is not None:
        run.report.predicted_wait = {**last.detail["wait"], "rehearsal": last.run_id}


def _find_last(run: Run, job: Job) -> JournalEntry | None:
    control = run.peek()
    if control is None:
        return None
    entries = (entry for entry in reversed(control.journal()) if (entry.step, entry.phase) == (CLOSING, REHEARSED))
    return next((entry for entry in entries if entry.detail.get("of") == job.rehearsal), None)


def _find_age_s(entry: JournalEntry) -> float:
    written_at = entry.written_at.replace(tzinfo=dt.UTC)
    return (dt.datetime.now(dt.UTC) - written_at).total_seconds()
