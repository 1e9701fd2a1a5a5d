"""Backups of a storage, found and brought here: to look at, or to be put back."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...dialects.wording import count_of
from ...errors import BackupFailed, DoesNotFit
from ..cutover import backups
from ..cutover.manifest import Backup, keep_manifest
from ..cutover.store import Store, open_store
from ..cutover.stored import Card, fetch, find_card, list_cards, store_of
from ..run.backup_key import check_storage
from ..run.private import fetched_directory
from ..run.run import Run


def list_ours(run: Run, store: Store) -> list[Card]:
    """The backups of this database in a storage, oldest first; of others there it is said that they are there."""
    cards = list_cards(store, run.warn)
    database = run.dialect.identity(run.target).full_name
    others: dict[str, list[Card]] = {}
    for card in cards:
        if card.database != database:
            others.setdefault(card.database, []).append(card)
    for name, of_other in sorted(others.items()):
        run.note(f"{count_of(len(of_other), 'backup')} of {name} in {store.url}, the newest {of_other[-1].id}")
    return [card for card in cards if card.database == database]


def find_stored(run: Run, wanted: str) -> tuple[Store, Card] | None:
    """A backup of the storage by its id, or of any by its URL; None: there is none such.

    :raises Misconfigured: the URL has a password, or cannot be opened.
    :raises BackupFailed: the storage does not answer.
    """
    store, name = store_of(run.settings), wanted
    if "://" in wanted:
        url, _, name = str(check_storage(wanted, "The URL")).rpartition("/")
        store = open_store(url)
    if store is None:
        return None
    card = find_card(list_cards(store, run.warn), name)
    return (store, card) if card else None


@contextlib.contextmanager
def look_into(run: Run, store: Store, card: Card) -> Iterator[Backup]:
    """A backup of a storage as a file for its owner alone, which is removed again.

    :raises BackupFailed: it is not what was stored, or cannot be decrypted.
    :raises DoesNotFit: there is no room for it.
    """
    backups.prepare_directory(run.settings.backups)
    free = shutil.disk_usage(run.settings.backups).free
    if free < card.size_bytes:
        raise DoesNotFit(
            f"Not enough space in {run.settings.backups}: {card.size_bytes:,} bytes are needed and {free:,} are free.",
            hint="Make room, then run the command again.",
        )
    # Should the process be killed, the next command of any kind removes it.
    with fetched_directory(run.settings.backups) as directory:
        yield fetch(run.settings, store, card, directory / Path(card.name).name)


def keep_fetched(run: Run, backup: Backup, card: Card) -> Backup:
    """Keep what was fetched in ``FERRY_BACKUPS``, with its manifest: from then on it is a backup as any.

    :raises BackupFailed: another file has its name.
    """
    file = run.settings.backups / card.name
    if file.exists():
        raise BackupFailed(f"{file} exists already.", hint=f"Put that back, or move it away: flask db-restore {file}")
    backup.path.replace(file)
    return keep_manifest(replace(backup, file=str(file)))
