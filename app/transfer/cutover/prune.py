"""What a run no longer needs: old backups and generations, its own report ended."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

from ...errors import FerryError
from ..backup import backups
from ..backup.retention import find_surplus, remove_cards
from ..backup.stored import list_cards, store_of
from ..run.control import Control
from ..run.ledger import Entry
from ..run.leftovers import LEFTOVER_S
from ..run.records import prune_records
from ..run.run import Run


def find_needed(control: Control | None) -> list[Entry]:
    """The cut-overs whose backups stay however many there are: the last one, and one that was left begun."""
    if control is None:
        return []
    unfinished = control.find_unfinished_cut_over()
    return control.ledger()[-1:] + ([control.entry_begun(unfinished)] if unfinished else [])


def prune(run: Run) -> None:
    """After a success: keep as many generations and backups of this command as configured."""
    keep = run.settings.keep
    entries = run.control.ledger()
    of_command = [entry for entry in entries if entry.command == run.command]
    for entry in of_command[:-keep]:
        run.dialect.drop(run.dialect.generation_url(run.target, f"{entry.mark}-old"))
    database = run.dialect.identity(run.target).full_name
    files, needed = backups.list_in(run.settings.backups, database), find_needed(run.control)
    backups.prune(files, keep, {entry.backup or "" for entry in needed}, run.command, keep_days=run.settings.keep_days)
    try:
        if store := store_of(run.settings):
            runs = {entry.run_id for entry in needed}
            remove_cards(store, find_surplus(run, store, list_cards(store), runs, run.command)[1])
    except FerryError as error:
        run.warn(f"Old backups in the storage stay: {error.message}")
    prune_records(run)
    _drop_stale(run.settings.backups, f".{Path(database).stem}-")
    _drop_stale(run.settings.snapshot.parent, f".{run.settings.snapshot.name}.")


def _drop_stale(directory: Path, start: str) -> None:
    """Remove the temporary files of killed runs; another host may be writing one, but not for so long."""
    for file in directory.iterdir() if directory.is_dir() else ():
        name, sign, rest = file.name.partition(".tmp")
        if name.startswith(start) and sign and rest in ("", "-journal"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > LEFTOVER_S:
                    file.unlink()


def finish_report(run: Run) -> None:
    """After the cut-over nothing may fail any more: what cannot be written or pruned is a warning."""
    try:
        with run.control.read_once():
            prune(run)
        run.save_report()
    except run.write_errors as error:
        run.warn(f"The run succeeded, but its report or the pruning of old generations failed: {error}")
