"""Backups in a storage: each an object and, written last, its card; read back before anything is taken for kept.

The card says in the clear what a list and the pruning need. The manifest, with the names of tables, is in it: encrypted
where the backup is. It is sealed as a manifest is, so that nobody else's object is taken for ours.
"""

from __future__ import annotations

import hashlib
import io
import shlex
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

from ...dialects.files import create_private
from ...errors import BackupFailed
from ..rows.files import to_plain_json
from ..run.run import Run
from ..run.settings import Settings
from . import encryption
from .card import CARD, Card, facts_of, id_beside, read_card
from .manifest import LARGEST_BYTES, Backup, read_manifest
from .seal import existing_id, existing_key, make_id, make_key
from .store import Store, open_store

_REST_OF_A_CARD = 64 << 10
"""What a card has besides its manifest."""


class _Measured:
    """Passes a stream on, and knows its length and digest."""

    def __init__(self, to: Any) -> None:
        self._to, self._hash, self.size_bytes = to, hashlib.sha256(), 0

    def write(self, piece: bytes) -> int:
        self._to.write(piece)
        self._hash.update(piece)
        self.size_bytes += len(piece)
        return len(piece)

    def flush(self) -> None:
        """The object is whole when it is closed, not before."""

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


class _Source:
    """Pieces as a file to read, whose length and digest are known when it ends."""

    def __init__(self, pieces: Iterator[bytes]) -> None:
        self._pieces, self._rest, self._hash, self.size_bytes = pieces, b"", hashlib.sha256(), 0

    def read(self, size: int = -1) -> bytes:
        while not self._rest or size < 0:
            piece = next(self._pieces, b"")
            if not piece:
                break
            self._hash.update(piece)
            self.size_bytes += len(piece)
            self._rest += piece
        head, self._rest = (self._rest, b"") if size < 0 else (self._rest[:size], self._rest[size:])
        return head

    def drain(self) -> None:
        """Read what is left, to the end."""
        while self.read(1 << 20):
            pass

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


def store_of(settings: Settings) -> Store | None:
    """The storage that is configured, opened; None: there is none.

    :raises Misconfigured: it cannot be opened.
    """
    return open_store(settings.storage) if settings.storage else None


def look_at_storage(run: Run, *, ask: bool = True) -> None:
    """Refuse early, before anything is written, what an upload would fail of.

    :param ask: ask the storage, too; else only whether what is needed is installed.
    :raises Misconfigured: what is needed is not installed, or no key.
    :raises BackupFailed: the storage does not answer.
    """
    if store := store_of(run.settings):
        encryption.require(run.settings)
        if ask:
            store.list()


def store_backup(run: Run, backup: Backup) -> Card | None:
    """Put a backup that was proved into the storage, and read it back; None where there is none.

    :raises BackupFailed: it is not kept there; the backup itself is whole, and stays.
    """
    store = store_of(run.settings)
    if store is None:
        return None
    try:
        card = _upload(run, store, backup)
    except BackupFailed as error:
        stays = getattr(error, "__notes__", [])
        where = f"may lie in part in the storage {store.url}" if stays else f"is not in the storage {store.url}"
        explained = error.with_details(
            f"The backup {backup.file} was made, and {where}.", [error.message, *error.details, *stays]
        )
        raise explained.with_hint(_name_next(run, backup, error.hint)) from error
    how = encryption.describe(run.settings)
    run.note(f"Stored: {store.name(card.file)} ({card.stored_bytes} bytes, {how}, read back)")
    return card


def _name_next(run: Run, backup: Backup, hint: str | None) -> str:
    """A run that is run again makes, and stores, another backup; one that was asked for lies here and is stored."""
    if run.command != "db-backup":
        return hint or "Look at the storage, then run the command again."
    word = backup.id if _has_our_name(run.settings, backup) else shlex.quote(backup.file)
    return "\n".join(filter(None, [hint, f"Then store it: flask db-backup --store {word}"]))


def name_object(settings: Settings, backup: Backup) -> str:
    """What the object of a backup is called."""
    # A file of somebody's own choice may be called as one that was stored before.
    name = backup.path.name if _has_our_name(settings, backup) else f"{backup.run}-{backup.path.name}"
    return name + (encryption.SUFFIX if encryption.is_encrypting(settings) else "")


def _has_our_name(settings: Settings, backup: Backup) -> bool:
    return backup.path.parent == settings.backups


def _upload(run: Run, store: Store, backup: Backup) -> Card:
    settings, encrypted = run.settings, encryption.is_encrypting(run.settings)
    file = name_object(settings, backup)
    manifest = _wrap(settings, backup, encrypted=encrypted)
    if (size := len(to_plain_json({"manifest": manifest}))) + _REST_OF_A_CARD > LARGEST_BYTES:
        # It could be listed by nobody.
        raise BackupFailed(f"The manifest of {backup.file} is too long for a card: {size} bytes.")
    names: list[str] = []
    try:
        # From its first byte on: an interruption may come when the object is there and nobody was told so yet.
        measured, plain = _put(settings, store, file, backup, lambda: names.append(file))
        if plain.sha256 != backup.sha256:
            raise BackupFailed(f"{backup.file} was changed while it was stored.")
        read_back(store, file, measured.size_bytes, measured.sha256)
        card = Card(
            **facts_of(backup),
            id=backup.id if _has_our_name(settings, backup) else id_beside(backup),
            file=file,
            database_id=make_id(run.control),
            encrypted=encrypted,
            stored_bytes=measured.size_bytes,
            stored_sha256=measured.sha256,
            manifest=manifest,
        ).seal_with(make_key(settings, run.control))
        text = card.to_json()
        store.put(file + CARD, len(text), lambda to: _write(to, text))
        names.append(file + CARD)
        read_back(store, file + CARD, len(text), hashlib.sha256(text).hexdigest())
    except BaseException as error:
        # A signal as well: an object without a card is nobody's.
        _take_back(store, names, error)
        raise
    return card


def _take_back(store: Store, names: Sequence[str], error: BaseException) -> None:
    """Remove what was put; what stays is said with the error that came first."""
    for name in reversed(names):
        try:
            store.remove(name)
        except BackupFailed as refusal:
            error.add_note(refusal.message)


def _write(to: IO[bytes], text: bytes) -> None:
    to.write(text)


def _put(
    settings: Settings, store: Store, file: str, backup: Backup, begin: Callable[[], object]
) -> tuple[_Measured, _Source]:
    counted: list[tuple[_Measured, _Source]] = []

    def fill(to: IO[bytes]) -> None:
        begin()
        with backup.path.open("rb") as reader:
            measured, plain = _Measured(to), _Source(iter(lambda: reader.read(1 << 20), b""))
            if encryption.is_encrypting(settings):
                encryption.encrypt(settings, plain, measured)
            else:
                while piece := plain.read(1 << 20):
                    measured.write(piece)
            counted.append((measured, plain))

    store.put(file, backup.size_bytes, fill)
    return counted[0]


def read_back(store: Store, name: str, size_bytes: int, sha256: str) -> None:
    """Read an object to its end.

    :raises BackupFailed: what the storage gives is not what was put.
    """
    source = _Source(store.read(name, size_bytes))
    source.drain()
    if (source.size_bytes, source.sha256) != (size_bytes, sha256):
        raise BackupFailed(f"{store.name(name)} does not read back as what was stored.")


def _wrap(settings: Settings, backup: Backup, *, encrypted: bool) -> str:
    # Where it lies on this machine is nobody's business there.
    text = to_plain_json(backup.to_manifest() | {"file": backup.path.name})
    if not encrypted:
        return text.decode()
    sealed = io.BytesIO()
    encryption.encrypt(settings, io.BytesIO(text), sealed)
    return sealed.getvalue().hex()


@dataclass(frozen=True)
class Listing:
    """What there is in a storage.

    :ivar cards: of the backups that are whole, as far as can be seen: the object is there, with its length.
    :ivar widowed: the cards whose object is not there.
    :ivar bare: names of objects that no card lies beside.
    :ivar problems: what cannot be read, or is not whole.
    """

    cards: list[Card] = field(default_factory=list)
    widowed: list[Card] = field(default_factory=list)
    bare: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def look_through(store: Store) -> Listing:
    """Everything in a storage, oldest first.

    :raises BackupFailed: the storage cannot be listed.
    """
    sizes, listing = store.list(), Listing()
    for name in sorted(name for name in sizes if name.endswith(CARD)):
        try:
            _sort_in(listing, _load(store, name, min(sizes[name], LARGEST_BYTES)), store, sizes)
        except BackupFailed as error:
            listing.problems.append(error.message)
    listing.cards.sort(key=lambda card: (card.made_at, card.id))
    listing.bare.extend(sorted(name for name in sizes if not name.endswith(CARD) and name + CARD not in sizes))
    return listing


def _load(store: Store, name: str, most_bytes: int) -> Card:
    return read_card(b"".join(store.read(name, most_bytes)), name.removesuffix(CARD), store.name(name))


def _sort_in(listing: Listing, card: Card, store: Store, sizes: Mapping[str, int]) -> None:
    size = sizes.get(card.file)
    if size is None:
        listing.widowed.append(card)
    if size != card.stored_bytes:
        listing.problems.append(f"{store.name(card.file)} is not whole: it is not there, or has another length.")
    else:
        listing.cards.append(card)


def list_cards(store: Store, warn: Callable[[str], object] | None = None) -> list[Card]:
    """The backups of a storage, oldest first; of which an object is not whole there is none.

    :param warn: is told of each that cannot be read, or is not whole.
    :raises BackupFailed: the storage cannot be listed.
    """
    listing = look_through(store)
    for problem in listing.problems:
        if warn:
            warn(problem)
    return listing.cards


def fetch(settings: Settings, store: Store, card: Card, to: Path) -> Backup:
    """Bring a backup to a private file, and prove that it is what was stored and what was backed up.

    :return: its manifest, of that file; whether its seal is ours is still to be asked.
    :raises BackupFailed: nothing is left of the file then.
    """
    if Path(card.name).name != card.name or card.name in ("", ".", ".."):
        raise BackupFailed(
            f"{store.name(card.file)} says that it is called {card.name[:80]!r}, which is no file's name."
        )
    backup = _unwrap(settings, store, card)
    if not card.is_of(backup):
        raise BackupFailed(f"{store.name(card.file + CARD)} does not say what the manifest in it says: it was changed.")
    try:
        create_private(to)
        with to.open("wb") as file:
            plain = _Measured(file)
            source = _Source(store.read(card.file, card.stored_bytes))
            if card.encrypted:
                encryption.decrypt(settings, source, plain, store.name(card.file))
            else:
                while piece := source.read(1 << 20):
                    plain.write(piece)
            source.drain()
        if source.sha256 != card.stored_sha256 or source.size_bytes != card.stored_bytes:
            raise BackupFailed(_describe_change(store, card), hint="Use another one: flask db-backup --list")
        if plain.sha256 != backup.sha256:
            raise BackupFailed(_describe_change(store, card), hint="Use another one: flask db-backup --list")
    except OSError as error:
        to.unlink(missing_ok=True)
        raise BackupFailed(f"{store.name(card.file)} could not be written to {to}: {error.strerror}.") from error
    except BaseException:
        to.unlink(missing_ok=True)
        raise
    return replace(backup, file=str(to))


def _describe_change(store: Store, card: Card) -> str:
    return f"{store.name(card.file)} was changed since it was stored (another SHA-256)."


def _unwrap(settings: Settings, store: Store, card: Card) -> Backup:
    """:raises BackupFailed: the manifest in a card cannot be read."""
    name = store.name(card.file + CARD)
    text = card.manifest
    if card.encrypted:
        plain = io.BytesIO()
        try:
            encryption.decrypt(settings, io.BytesIO(bytes.fromhex(text)), plain, name)
            text = plain.getvalue().decode("utf-8")
        except ValueError as error:
            raise BackupFailed(f"{name} is not the card of a backup: its manifest is damaged.") from error
    return read_manifest(text, name)


def find_card(cards: list[Card], wanted: str) -> Card | None:
    """A card by its id, or by the name of its object or of itself."""
    return next((card for card in cards if wanted in (card.id, card.file, card.file + CARD)), None)


@dataclass(frozen=True)
class Whose:
    """The backups of a storage by whose they are, each oldest first.

    :ivar ours: sealed with this database's key, of its name, and stored from its control area.
    :ivar others: of its name, without that seal or stored from another control area: of another database, or of this
        one before its control area was lost. None of them is taken, or removed, by itself.
    :ivar elsewhere: of other databases, by name.
    """

    ours: list[Card] = field(default_factory=list)
    others: list[Card] = field(default_factory=list)
    elsewhere: dict[str, list[Card]] = field(default_factory=dict)


def sort_by_owner(run: Run, cards: Sequence[Card]) -> Whose:
    """Say of each card whose it is."""
    control, database = run.peek(), run.dialect.identity(run.target).full_name
    key, database_id, whose = existing_key(run.settings, control), existing_id(control), Whose()
    for card in cards:
        if card.database != database:
            whose.elsewhere.setdefault(card.database, []).append(card)
        elif card.database_id == database_id and card.has_seal_of(key):
            whose.ours.append(card)
        else:
            whose.others.append(card)
    return whose
