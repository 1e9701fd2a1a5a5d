"""Storing a backup that lies here and is not in the storage: its upload failed, or there was none then."""

from __future__ import annotations

from pathlib import Path

from ...dialects.redact import redact_text
from ...errors import BackupFailed, Misconfigured
from ..backup import backups
from ..backup.card import CARD, Card
from ..backup.manifest import Backup, load_manifest
from ..backup.seal import existing_key
from ..backup.store import Store
from ..backup.stored import list_cards, look_at_storage, name_object, read_back, sort_by_owner, store_backup, store_of
from ..run.report import Report
from ..run.run import Run
from .backup import list_backups


def store_again(run: Run, wanted: str, *, directory: Path, lock_timeout_s: float = 0.0) -> Report:
    """Put a backup of this database that lies here into the storage; one that is there already is read back.

    :param wanted: its id or path.
    :param directory: where a relative path counts from.
    :raises Misconfigured: no storage is configured.
    :raises BackupFailed: there is none such, it is not what it was, or it is not kept there.
    """
    run.refuse_prohibited()
    store = store_of(run.settings)
    if store is None:
        raise Misconfigured("There is no storage to put a backup into.", hint="Set FERRY_STORAGE.")
    backup = _find(run, wanted, directory)
    look_at_storage(run)
    with run.hold_lock(lock_timeout_s):
        if not backup.has_seal_of(existing_key(run.settings, run.control)):
            raise BackupFailed(backups.explain_unsealed(backup.path))
        whose = sort_by_owner(run, list_cards(store))
        card = _find_whole(run, store, backup, whose.ours)
        if card is None:
            _make_room(run, store, backup, whose.others)
            store_backup(run, backup)
    already = f" already, as {card.file}, read back" if card else ""
    return run.report.end("done", f"Backup {backup.id} is in {store.url}{already}.")


def _find(run: Run, wanted: str, directory: Path) -> Backup:
    backup = next((backup for backup in list_backups(run) if backup.id == wanted), None)
    path = directory / Path(wanted).expanduser()
    backup = backup or (load_manifest(path.absolute()) if path.is_file() else None)
    if backup is None or backup.database != run.dialect.identity(run.target).full_name:
        raise BackupFailed(
            f"There is no backup {redact_text(wanted)!r} of this database in {run.settings.backups}.",
            hint="See: flask db-backup --list",
        )
    return backup


def _find_whole(run: Run, store: Store, backup: Backup, ours: list[Card]) -> Card | None:
    for card in ours:
        if card.run == backup.run and card.made_at == backup.made_at and card.name == backup.path.name:
            try:
                read_back(store, card.file, card.stored_bytes, card.stored_sha256)
            except BackupFailed as error:
                run.warn(error.message)
            else:
                return card
    return None


def _make_room(run: Run, store: Store, backup: Backup, others: list[Card]) -> None:
    """Remove what is left of an upload of this very backup: nobody else's is called so.

    :raises BackupFailed: the storage does not let it go, or a whole one is there that is another database's.
    """
    file, sizes = name_object(run.settings, backup), store.list()
    if any(card.file == file for card in others):
        raise BackupFailed(
            f"{store.name(file)} is there, stored with another key or from another control area.",
            hint="Look at it, and remove it by hand where it is yours.",
        )
    for name in (file, file + CARD):
        if name in sizes:
            store.remove(name)
