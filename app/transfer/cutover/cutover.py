"""The cut-over: secure what is live, swap under the fence, write the ledger; recovery, and the way back.

Every path here ends with the old database live or the new one, and the journal saying which. Whoever finds a cut-over
begun and not ended looks at the mark in the live database and at nothing else.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ...dialects.base import Fence, Image, LateWrite, Reader, TableChecksum
from ...errors import BackupFailed, CutOverUnfinished, FerryError, LeaseLost, Protected, VerificationFailed
from ..proof.verify import fingerprint
from ..rows.files import write
from ..rows.snapshot import check, encode, hashed_rows, now
from ..run.control import Control, Entry
from ..run.plan import MIGRATE, Target
from ..run.run import LEFTOVER_S, SWAP_TIMEOUT_S, Run
from ..schema.alembic import data_tables, revision_of
from ..schema.host import VERSION_TABLE
from ..sources.database import header_of
from . import backups
from .manifest import Backup
from .seal import make_key

PASSES = 3
"""How often a backup is made anew, or the live database copied anew, because somebody wrote meanwhile."""


@dataclass
class Secured:
    """The live database as it was at ``token``: backed up, and its checksums."""

    token: bytes
    backup: Backup | None
    absent: bool = False
    checksums: Mapping[str, TableChecksum] = field(default_factory=dict)


@contextlib.contextmanager
def fenced(run: Run) -> Iterator[Fence]:
    """Watch the target from here on; an absent one is created empty first, which changes nothing that is there."""
    run.dialect.create(run.target)
    with run.dialect.fence(run.target) as fence:
        yield fence


def secure(run: Run, fence: Fence, backup_to: Path | None = None) -> Secured:
    """Back the live database up as it is at one instant, read back.

    :raises BackupFailed: no backup, no run.
    :raises LockHeld: a writer could not be made to wait.
    """
    refuse_foreign_mark(run)
    token = fence.token()
    if not run.dialect.exists(run.target):
        run.note("Nothing to back up: there is no database yet.")
        return Secured(token, None, absent=True)
    with imaged(run, fence) as image:
        sums = fingerprint(image.reader)
        return Secured(image.token, _back_up(run, image, sums, backup_to), checksums=sums)


@contextlib.contextmanager
def imaged(run: Run, fence: Fence) -> Iterator[Image]:
    """The live database at one instant; when it was written during each of three copies, writers wait for one more.

    :raises LockHeld: a writer could not be made to wait.
    """
    for attempt in range(PASSES + 1):
        with contextlib.ExitStack() as stack:
            with fence.hold(SWAP_TIMEOUT_S) if attempt == PASSES else contextlib.nullcontext():
                try:
                    image = stack.enter_context(run.dialect.image(run.target, run.old_generation, fence))
                except LateWrite:
                    continue
            yield image
            return
    raise VerificationFailed(
        "The live database was written while writers were made to wait.",
        hint="Run again when nobody writes.",
    )


def refuse_foreign_mark(run: Run) -> None:
    """Refuse a database that keeps something of its own where the generation mark goes: it would be overwritten.

    :raises Protected: names what is there.
    """
    if own := run.dialect.foreign_mark(run.target):
        raise Protected(
            f"This database keeps {own} of its own, where Flask-Ferry keeps its generation mark.",
            hint="See docs/guarantees.md.",
        )


def _back_up(run: Run, image: Image, sums: Mapping[str, TableChecksum], to: Path | None) -> Backup | None:
    if not any(found.rows for name, found in sums.items() if name != VERSION_TABLE):
        run.note("Nothing to back up: the database is empty.")
        return None
    run.report.backup = None
    made = write_backup(run, image, to)
    run.report.backup = made.file
    run.emit("note", f"Backup: {made.file} ({made.rows} rows, {made.size_bytes} bytes, read back)")
    return made


def write_backup(run: Run, image: Image, to: Path | None) -> Backup:
    """Back an image of the live database up: a dump, or a portable snapshot when the path says so."""
    database = run.dialect.identity(run.target).full_name
    portable = to is not None and to.name.endswith((".json", ".json.gz", ".json.zst"))
    if to is None:
        backups.prepare_directory(run.settings.backups)
        to = backups.file_for(run.settings.backups, Path(database), run.command, run.dialect.backup_suffix)
    if to.exists():
        raise BackupFailed(f"{to} exists already.", hint="Give another path.")
    if not to.parent.is_dir():
        raise BackupFailed(f"There is no directory {to.parent}.", hint="Create it, or give another path.")
    if portable:
        write_portable(database, image.reader, to)
        return backups.register_portable(
            to, command=run.command, run=run.id, database=database, key=make_key(run.settings, run.control)
        )
    return backups.make(
        run.dialect,
        image,
        to,
        scratch=run.scratch,
        command=run.command,
        run=run.id,
        database=database,
        key=make_key(run.settings, run.control),
    )


def write_portable(database: str, reader: Reader, to: Path) -> None:
    """Write a database as a snapshot of kind ``rows``.

    :raises BackupFailed: it is at no revision, or holds objects that a snapshot cannot.
    """
    revision = revision_of(reader)
    if revision is None:
        raise BackupFailed(
            "A portable snapshot needs the revision of its tables, and this database has no alembic_version.",
            hint="Stamp it with the revision it is at (flask db stamp REVISION), or make an ordinary backup.",
        )
    header = header_of(database, "backup", revision, data_tables(reader.tables()))
    rows = ((table.name, hashed_rows(table, reader.rows(table))) for table in header.tables)
    try:
        write(to, encode(header, rows), check=check)
    except OSError as error:
        raise BackupFailed(f"The backup to {to} failed: {error.strerror}.") from error


def entry_for(run: Run, target: Target, secured: Secured, **more: Any) -> Entry:
    """The ledger entry of this run's cut-over, made from staging before it, which gets its mark."""
    run.dialect.set_mark(run.staging, run.mark)
    with run.dialect.reader(run.staging) as reader:
        sums = fingerprint(reader)
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
            "checksums": backups.to_lists(sums),
            "options": {"previous_absent": secured.absent},
            **more,
        }
    )


def cut_over(
    run: Run,
    fence: Fence,
    secured: Secured,
    make_entry: Callable[[Secured], Entry],
    secure_again: Callable[[], Secured],
) -> Entry:
    """Swap; when the live database was written since it was secured, secure it anew, at most three times.

    :raises VerificationFailed: it was written each time.
    """
    for attempt in range(PASSES + 1):
        try:
            return swap(run, fence, secured.token, make_entry(secured))
        except LateWrite:
            if attempt < PASSES:
                run.note("The live database was written since its backup; backing it up again.")
                secured = secure_again()
    raise still_written(PASSES)


def still_written(passes: int) -> VerificationFailed:
    return VerificationFailed(
        f"The application kept writing to the live database; {passes} further passes did not catch up.",
        hint="Nothing was changed. Stop the writers, or run again when there are fewer.",
    )


def swap(run: Run, fence: Fence, token: bytes, entry: Entry) -> Entry:
    """The swap itself, once, between two journal entries; the ledger is written with the second.

    :raises LateWrite: the live database was written since ``token``; it is unchanged.
    :raises CutOverUnfinished: the new database is live and the ledger could not be written.
    """
    run.control.check_lease(run.id)  # so that nothing is kept for a cut-over that will not be
    if run.dialect.capabilities.swap_moves_old:
        run.dialect.keep(run.staging, run.new_generation)
    run.emit("step", "cut-over")
    with run.hooks.hold_signals():
        run.control.write(run.id, "cut-over", "begun", {"entry": asdict(entry)}, with_lease=True)
        try:
            with run.control.lease_held(run.id):
                run.dialect.swap(run.staging, run.target, run.old_generation, fence, token, timeout_s=SWAP_TIMEOUT_S)
        except LeaseLost:
            # Whoever took over has seen this cut-over begun, and undone it; there is nothing to look at or to undo.
            raise
        except Exception as error:
            if not _took_effect(run, entry, error):
                raise
        for note in fence.notes:
            run.warn(note)
        return _finish(run, run.control, entry)


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
    # Where even this cannot be written, the next run finds the same out by the mark.
    with contextlib.suppress(FerryError):
        run.control.write(run.id, "cut-over", "undone", {"why": str(error) or "written meanwhile"})
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
        raise CutOverUnfinished(
            f"The new database is live (run {entry.run_id}), but the ledger could not be written: {error}",
            hint=f"Make room or mend the permissions, then finish it with: {finishing_command(entry.command)}",
        ) from error
    return entry


def finishing_command(command: str) -> str:
    """What finishes or undoes a command's cut-over and does no more than that; every command that locks does first."""
    return f"flask {MIGRATE} --yes" if command == MIGRATE else "flask db-backup"


def keep_generation(run: Run, entry: Entry) -> None:
    """Keep what was cut over as it was then; only the last one's is needed to find what was written since."""
    staging = run.dialect.staging_url(run.target, entry.run_id)
    if run.dialect.exists(staging):
        run.dialect.keep(staging, run.dialect.generation_url(run.target, f"{entry.mark}-new"))
    for former in run.control.ledger():
        if former.mark != entry.mark:
            run.dialect.drop(run.dialect.generation_url(run.target, f"{former.mark}-new"))


def recover(run: Run) -> str | None:
    """Finish or undo the cut-over that a run left begun; returns what was done, or None.

    Only ever called under the lock.
    """
    begun = run.control.unfinished_cut_over()
    if begun is None:
        return None
    entry = run.control.entry_begun(begun)
    if _mark_when_recovered(run, entry) == entry.mark:
        _finish(run, run.control, entry)
        said = f"Run {entry.run_id} ended in its cut-over: the new database is live; its ledger entry was written now."
    else:
        run.control.write(entry.run_id, "cut-over", "undone", {"by": run.id})
        said = f"Run {entry.run_id} ended in its cut-over before it took effect: the old database is live, unchanged."
    run.note(said)
    return said


def prune(run: Run) -> None:
    """After a success: keep as many generations and backups of this command as configured."""
    keep = run.settings.keep
    entries = run.control.ledger()
    own = [entry for entry in entries if entry.command == run.command]
    for entry in own[:-keep]:
        run.dialect.drop(run.dialect.generation_url(run.target, f"{entry.mark}-old"))
    database = run.dialect.identity(run.target).full_name
    found = backups.listed(run.settings.backups, database)
    backups.prune(found, keep, {entry.backup for entry in entries[-1:] if entry.backup}, run.command)
    run.prune_runs()
    _drop_stale(run.settings.backups, f".{Path(database).stem}-")
    _drop_stale(run.settings.snapshot.parent, f".{run.settings.snapshot.name}.")


def _drop_stale(directory: Path, start: str) -> None:
    """Remove the temporary files of killed runs; another host may be writing one, but not for so long."""
    for file in directory.iterdir() if directory.is_dir() else ():
        name, found, rest = file.name.partition(".tmp")
        if name.startswith(start) and found and rest in ("", "-journal"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > LEFTOVER_S:
                    file.unlink()


def finish_report(run: Run) -> None:
    """After the cut-over nothing may fail any more: what cannot be written or pruned is a warning."""
    try:
        prune(run)
        run.save_report()
    except run.write_errors as error:
        run.warn(f"The run succeeded, but its report or the pruning of old generations failed: {error}")
