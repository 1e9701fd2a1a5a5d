"""What ``flask db-backup`` does: make, list, check and prune backups."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ...dialects.base import Image
from ...dialects.dumping import Dump
from ...dialects.redact import redact_text
from ...dialects.wording import be, count_of, count_rows
from ...errors import BackupFailed, DatabaseDamaged, FerryError, Misconfigured
from ..backup import backups, encryption
from ..backup.card import Card
from ..backup.manifest import Backup
from ..backup.seal import existing_key
from ..backup.stored import look_at_storage, store_backup, store_of
from ..cutover.cutover import recover
from ..cutover.secure import lines_left_out, lines_outside, write_backup
from ..run.leftovers import drop_leftovers
from ..run.report import Report
from ..run.run import Run
from .fetched import find_refusal, find_stored, list_ours, look_into
from .job import Step, carry_out_steps

PORTABLE_SUFFIXES = (".json", ".json.gz", ".json.zst")


def make_backup(
    run: Run,
    *,
    to: Path | None,
    portable: bool,
    lock_timeout_s: float,
    client: bool = False,
    dry_run: bool = False,
) -> Report:
    """Back the live database up, read back.

    :param to: a file, or None for a new name in ``FERRY_BACKUPS``.
    :param portable: write the JSON snapshot.
    :param client: let the server's own program write it.
    :raises BackupFailed: nothing is left behind then.
    """
    run.refuse_prohibited()
    _check_place(to, portable=portable)
    if not run.dialect.exists(run.target):
        raise Misconfigured(
            "There is no database to back up.", hint="Make one with: flask db upgrade, or flask db-init"
        )
    try:
        run.check_space(run.look())
        # A storage that does not answer now is no reason to have no backup at all.
        look_at_storage(run, ask=dry_run)
        if dry_run:
            return run.report.end("dry run", f"Would back {_database(run)} up to {run.settings.name_places(to)}.")
        with run.hold_lock(lock_timeout_s):
            recover(run)
            drop_leftovers(run)
            with prove_left_alone(run):
                backup = _make(run, to, portable=portable, client=client)
    except DatabaseDamaged as error:
        raise BackupFailed(error.message, hint=error.hint) from error
    text = f"Backup {backup.id}: {count_rows(backup.rows)}, {backup.size_bytes} bytes, read back: {backup.file}"
    if run.settings.storage:
        text += f", and in {redact_text(run.settings.storage)} ({encryption.describe(run.settings)})"
    return run.report.end("done", text)


def _check_place(to: Path | None, *, portable: bool) -> None:
    if portable and to and not to.name.endswith(PORTABLE_SUFFIXES):
        raise Misconfigured(
            f"{to} does not look like a portable snapshot.", hint=f"End its name in {', '.join(PORTABLE_SUFFIXES)}."
        )
    if to and to.exists():
        raise BackupFailed(f"{to} exists already.", hint="Give another path.")


class ClientImage:
    """An image that the server's own program dumps; it must read back as the image."""

    def __init__(self, run: Run, image: Image) -> None:
        self._run = run
        self.token, self.reader = image.token, image.reader

    def dump(self, to: Path) -> None:
        self._run.dialect.client_dump(self._run.target, to)

    def begin_dump(self, to: Path) -> Dump:
        return Dump(beside=functools.partial(self.dump, to))


def _make(run: Run, to: Path | None, *, portable: bool, client: bool) -> Backup:
    if to is None and portable:
        backups.prepare_directory(run.settings.backups)
        to = backups.file_for(run.settings.backups, _database(run), run.command, ".json.zst")
    files: list[Backup] = []

    def write() -> None:
        with run.dialect.image(run.target, run.old_generation, None) as image:
            _refuse_left_out(run, image)
            files.append(write_backup(run, ClientImage(run, image) if client else image, to))
        run.report.backup = files[0].file
        store_backup(run, files[0])

    try:
        carry_out_steps(run, [Step("backup", write)])
        return files[0]
    except BackupFailed as error:
        if client and error.hint is None:
            raise error.with_hint(
                "The server's own program loses digits of some types, and dumps another instant where somebody "
                "writes. Leave --client out for an exact backup."
            ) from error
        raise
    finally:
        run.clean_up()


def _refuse_left_out(run: Run, image: Image) -> None:
    """:raises BackupFailed: put back elsewhere, it would lack what rows name."""
    lines = lines_left_out(image.reader)
    if lines and lines_outside(image.reader):
        raise BackupFailed(
            "The database has large objects that this user may not read, so a backup cannot have any.",
            details=lines,
            hint="Let their owner grant it: GRANT SELECT ON LARGE OBJECT ... TO CURRENT_USER; or delete those that "
            "nothing names any more.",
        )
    for line in lines:
        run.warn(f"The backup has no large objects, which no column names: {line}")


def _database(run: Run) -> Path:
    return Path(run.dialect.identity(run.target).full_name)


def list_backups(run: Run) -> list[Backup]:
    """The backups of this database, oldest first."""
    return backups.list_in(run.settings.backups, str(_database(run)))


def list_report(run: Run) -> Report:
    """The backups of this database, for people and programs."""
    run.refuse_prohibited()
    of_database = list_backups(run)
    run.report.backups = [_describe(item, item.file) for item in of_database]
    for message in backups.broken(run.settings.backups):
        run.warn(message)
    text = f"{count_of(len(of_database), 'backup')} of {_database(run)} in {run.settings.backups}"
    try:
        if store := store_of(run.settings):
            cards = list_ours(run, store)
            run.report.backups += [_describe(card, store.name(card.file)) for card in cards]
            text += f", {len(cards)} in {store.url}"
    except FerryError as error:
        return end_without_storage(run, f"{text}; the storage was not listed.", error)
    return run.report.end("listed", f"{text}.")


def end_without_storage(run: Run, text: str, error: FerryError) -> Report:
    """End a command that did its part here, and could not in the storage, with the status of that."""
    run.warn("\n".join(filter(None, [error.message, *error.details, error.hint])))
    run.report.fail(error)
    run.report.summary = text
    return run.report


def _describe(item: Backup | Card, place: str) -> dict[str, Any]:
    return {
        "id": item.id,
        "file": place,
        "made_at": item.made_at,
        "rows": item.rows,
        "size_bytes": item.size_bytes,
        "revision": item.revision,
        "command": item.command,
        "portable": item.portable,
    }


def hold_drill(run: Run, *, lock_timeout_s: float = 0.0) -> Report:
    """Restore the newest backup into a throw-away database, prove it, and say how long that took.

    :raises BackupFailed: there is none, or it is not what it was when it was made.
    """
    run.refuse_prohibited()
    with contextlib.ExitStack() as resources:
        began = time.monotonic()
        newest, place = _find_newest(run, resources)
        fetching_s = time.monotonic() - began
        seconds = _check(run, newest, lock_timeout_s)
    fetched = f"fetched from {place} in {fetching_s:.1f} s and " if place else ""
    # Its rows have no schema before revisions built one; that is what a restore of it does.
    how = "read to its end, not restored, as it is portable," if newest.portable else "restored beside the database"
    return run.report.end(
        "checked",
        f"The newest backup, {newest.id} of {newest.made_at}, was {fetched}{how} in "
        f"{seconds:.1f} s: {count_rows(newest.rows)}, as they were when it was made.",
    )


def _find_newest(run: Run, resources: contextlib.ExitStack) -> tuple[Backup, str]:
    """The newest backup, and from which storage it was fetched, if so.

    :raises BackupFailed: there is none.
    """
    if store := store_of(run.settings):
        if not (cards := list_ours(run, store)):
            raise BackupFailed(
                f"There is no backup of {_database(run)} in {store.url}.", hint="Make one: flask db-backup"
            )
        return resources.enter_context(look_into(run, store, cards[-1])), store.url
    of_database = list_backups(run)
    for message in backups.broken(run.settings.backups):
        run.warn(message)
    if not of_database:
        raise BackupFailed(f"There is no backup of {_database(run)}.", hint="Make one: flask db-backup")
    return of_database[-1], ""


def _check(run: Run, backup: Backup, lock_timeout_s: float) -> float:
    """Prove a backup again; returns how long that took, in seconds."""
    with run.hold_lock(lock_timeout_s), prove_left_alone(run):
        begin = time.monotonic()
        backups.check(run.dialect, backup, run.scratch, existing_key(run.settings, run.control))
        return time.monotonic() - begin


def check_backups(run: Run, wanted: str | None, *, lock_timeout_s: float = 0.0) -> Report:
    """Prove one backup, or all of this database, again.

    :raises BackupFailed: one is damaged, or there is none such.
    """
    run.refuse_prohibited()
    to_check = list_backups(run)
    if wanted:
        to_check = [backup for backup in backups.list_in(run.settings.backups) if backup.id == wanted]
    with contextlib.ExitStack() as resources:
        if wanted and not to_check and (stored := find_stored(run, wanted)):
            if refusal := find_refusal(run, *stored):
                raise BackupFailed(refusal.message, hint=refusal.hint)
            to_check = [resources.enter_context(look_into(run, *stored))]
        if not to_check:
            raise BackupFailed(
                f"There is no backup {wanted or ''} in {run.settings.name_places(None)}.",
                hint="See: flask db-backup --list",
            )
        wrong = list(_check_each(run, to_check, lock_timeout_s))
    several = count_of(len(to_check), "backup")
    if wrong:
        raise BackupFailed(f"{len(wrong)} of {several} {be(len(wrong))} not good.", details=wrong)
    if not wanted and run.settings.storage:
        several += f" in {run.settings.backups}"
        place = redact_text(run.settings.storage)
        run.note(f"Not looked at: {place}. The newest there: flask db-backup --drill; any: flask db-backup --check ID")
    return run.report.end("checked", f"{several} {be(len(to_check))} good.")


def _check_each(run: Run, to_check: list[Backup], lock_timeout_s: float) -> Iterator[str]:
    """What is wrong with each that is not good."""
    for backup in to_check:
        try:
            _check(run, backup, lock_timeout_s)
        except BackupFailed as error:
            yield error.message
        else:
            run.note(f"{backup.id}: {count_rows(backup.rows)}, as they were when it was made")


@contextlib.contextmanager
def prove_left_alone(run: Run) -> Iterator[None]:
    """Prove that the live database is what it was before a backup was looked at.

    A restore into a scratch database cannot reach it (see the rooms); this looks all the same. Rows that the
    application wrote meanwhile cannot be told from others, so they are said.

    :raises BackupFailed: its schema is another one.
    """
    if not run.dialect.exists(run.target):
        yield
        return
    with run.dialect.fence(run.target) as fence:
        token, schema = fence.token(), run.dialect.schema_fingerprint(run.target)
        yield
        # Which is another one after a change of the schema, too.
        if fence.token() == token:
            return
    if run.dialect.schema_fingerprint(run.target) != schema:
        raise BackupFailed(
            "The schema of the live database was changed while a backup was read back.",
            hint="Look at it before anything else: flask db-verify",
        )
    run.warn("The live database was written while the backup was read back: by the application, if it runs.")
