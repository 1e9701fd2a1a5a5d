"""Which backups of a storage are too many, and what a killed process left there."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ...errors import BackupFailed
from ..run.leftovers import LEFTOVER_S
from ..run.run import Run
from .backups import beyond
from .card import CARD, Card
from .store import Store
from .stored import Listing, read_back, sort_by_owner

_REST_OF_A_NAME = r"-\d{8}T\d{6}Z-[a-z-]+-[0-9a-f]{6}\..+"


def find_surplus(
    run: Run, store: Store, cards: Sequence[Card], needed: Collection[str], command: str | None = None
) -> tuple[list[Card], list[Card]]:
    """The backups of this database in a storage, and which of them are too many.

    Only those with our seal and of this very database count, each once: what somebody else laid there pushes none of
    ours out. None is too many before the newest that stays was read back, or another that stays.

    :param cards: of the storage.
    :param needed: runs whose backups must stay.
    :param command: only this command's.
    :raises BackupFailed: the storage does not answer.
    """
    ours, settings = sort_by_owner(run, cards).ours, run.settings
    by_id = {card.id: card for card in ours}
    counted, whole = list(by_id.values()), []
    files = {card.file for card in counted if card.run in needed}

    def is_whole(card: Card) -> bool:
        if card.run != run.id and not _reads_back(run, store, card):
            return False
        whole.append(card)
        return True

    surplus = beyond(counted, settings.keep, files, command, keep_days=settings.keep_days, is_whole=is_whole)
    if surplus and not whole:
        run.warn(f"None of the backups in {store.url} reads back, so none is removed there.")
        return counted, []
    ids = {card.id for card in surplus}
    return counted, [card for card in ours if card.id in ids]


def _reads_back(run: Run, store: Store, card: Card) -> bool:
    try:
        read_back(store, card.file, card.stored_bytes, card.stored_sha256)
    except BackupFailed as error:
        run.warn(error.message)
        return False
    return True


def remove_cards(store: Store, cards: Collection[Card]) -> None:
    """Remove backups: each object first, as one without a card is found by its name only.

    :raises BackupFailed: the storage does not let one go.
    """
    remove_objects(store, [name for card in cards for name in (card.file, card.file + CARD)])


def remove_objects(store: Store, names: Collection[str]) -> None:
    """Remove objects by their names.

    :raises BackupFailed: the storage does not let one go.
    """
    for name in names:
        store.remove(name)


@dataclass(frozen=True)
class Leftovers:
    """Objects without a card, and cards without an object: what is left where a process was killed.

    :ivar old: that are called as this database's backups are, and older than a day: nobody is storing them.
    :ivar young: the others: it may become whole yet, or nobody says how old it is.
    """

    old: list[str] = field(default_factory=list)
    young: list[str] = field(default_factory=list)


def find_leftovers(run: Run, store: Store, listing: Listing) -> Leftovers:
    """What is left in a storage of uploads and removals that did not end.

    :raises BackupFailed: the storage does not answer.
    """
    leftovers = Leftovers()
    called = re.compile(re.escape(Path(run.dialect.identity(run.target).full_name).stem) + _REST_OF_A_NAME)
    names = [name for name in listing.bare if called.fullmatch(name)]
    names += [card.file + CARD for card in sort_by_owner(run, listing.widowed).ours]
    for name in names:
        age_s = store.age_s(name)
        (leftovers.old if age_s is not None and age_s > LEFTOVER_S else leftovers.young).append(name)
    return leftovers
