"""What killed runs left behind beside the live database and among the backups, and how it is removed."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from ...dialects.model import Beside
from ...errors import LockHeld
from .control import Control
from .evidence_files import find_half_written, find_unfinished_files
from .resumable import Resumable, find_resumable
from .run import STAMP, Run

LEFTOVER_S = 86_400


def drop_leftovers(run: Run) -> None:
    """Remove what killed runs left behind; only ever called under the lock, after recovery.

    A run that plans has no lock yet and may build a schema beside ours: what no run journalled stays for a day.
    """
    run.resumable = find_resumable(run.control, run.id)
    databases, files = find_leftovers(run, run.control, run.resumable)
    for item in databases:
        try:
            run.dialect.drop(item.url)
        except LockHeld as error:
            # A session of a machine that is gone, which its server has not missed yet, is in nobody's way.
            run.warn(f"{item.name} of a run that died cannot be removed yet: {error.message}")
    for file in files:
        file.unlink(missing_ok=True)


def drop_resumable(run: Run) -> None:
    """Remove what could have been gone on with; something else is live now."""
    if run.resumable is not None and not run.resumable.is_old:
        run.dialect.drop(run.dialect.staging_url(run.target, run.resumable.staging))


def find_leftovers(run: Run, control: Control, resumable: Resumable | None = None) -> tuple[list[Beside], list[Path]]:
    """What killed runs left: databases beside the live one, and half-written files among the backups.

    Of a run that is still at work this names what that one needs: only under the lock is it nobody's.

    :param resumable: what the next migration may go on with, and so stays.
    """
    ended = {entry.run_id for entry in control.journal()} - {run.id}
    marks = {entry.mark for entry in control.ledger()}
    databases = []
    for item in run.dialect.beside(run.target):
        run_id = "-".join(item.name.split("-")[:2])
        stale = item.name.partition("-")[0] not in marks if item.is_generation else _is_old(run_id)
        if not item.is_generation and resumable and not resumable.is_old and item.name == resumable.staging:
            continue
        if stale or (run_id in ended and not item.is_generation):
            databases.append(item)
    files = find_unfinished_files(run.settings.backups, ended)
    return databases, [*files, *find_half_written(control.directory / "runs", ended)]


def _is_old(run_id: str) -> bool:
    """Whether a run's name says that it began more than a day ago; what has no such name is nobody's."""
    try:
        began = dt.datetime.strptime(run_id.partition("-")[0], STAMP).replace(tzinfo=dt.UTC)
    except ValueError:
        return True
    return (dt.datetime.now(dt.UTC) - began).total_seconds() > LEFTOVER_S
