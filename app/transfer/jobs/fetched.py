"""Backups of a storage, found and brought here: to look at, or to be put back."""

from __future__ import annotations

import contextlib
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from ...dialects.wording import be, count_of
from ...errors import BackupFailed, DoesNotFit, Protected
from ..backup import backups
from ..backup.card import Card
from ..backup.manifest import Backup, keep_manifest
from ..backup.seal import existing_key
from ..backup.store import Store, open_store
from ..backup.stored import fetch, find_card, list_cards, sort_by_owner, store_of
from ..run.backup_key import check_storage
from ..run.private import fetched_directory
from ..run.run import Run

SHOWN = 5


def list_ours(run: Run, store: Store) -> list[Card]:
    """The backups of this database in a storage, oldest first; of others there it is said that they are there.

    :raises BackupFailed: the storage does not answer.
    """
    whose = sort_by_owner(run, list_cards(store, run.warn))
    for name, cards in sorted(whose.elsewhere.items()):
        run.note(f"{count_of(len(cards), 'backup')} of {name} in {store.url}, the newest {cards[-1].id}")
    if whose.others:
        run.warn(describe_others(store, whose.others))
    return whose.ours


def describe_others(store: Store, cards: list[Card]) -> str:
    """What there is to say of backups that have this database's name and are not known to be its own."""
    newest = ", ".join(card.id for card in cards[: -SHOWN - 1 : -1])
    more = ", ..." if len(cards) > SHOWN else ""
    return (
        f"{count_of(len(cards), 'backup')} in {store.url} {be(len(cards))} of another database with this name, or of "
        f"this one with another key or control area: taken only where you give an ID ({newest}{more})."
    )


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
    # Where two say that they are it, the one with our seal is.
    key = existing_key(run.settings, run.peek())
    cards = sorted(list_cards(store, run.warn), key=lambda card: not card.has_seal_of(key))
    card = find_card(cards, name)
    return (store, card) if card else None


def find_refusal(run: Run, store: Store, card: Card) -> Protected | None:
    """Why a backup is not even fetched: nobody with this database's key made its card. None: somebody did."""
    if card.has_seal_of(existing_key(run.settings, run.peek())):
        return None
    return refuse_unsealed(store.name(card.file), card.id)


def refuse_unsealed(place: str | Path, words: str) -> Protected:
    """The refusal of a backup without this database's seal, with the command that takes it all the same.

    :param words: what somebody types to mean it.
    """
    return Protected(
        backups.explain_unsealed(place),
        hint=f"Where you know who made it: flask db-restore {shlex.quote(words)} --trust-file\n"
        "A database elsewhere can check the seals of this one with the same FERRY_BACKUP_KEY.",
    )


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
