"""Backups in a storage: each an object and, written last, its card; read back before anything is taken for kept.

The card says in the clear what a list and the pruning need. The manifest, with the names of tables, is in it: encrypted
where the backup is. It is sealed as a manifest is, so that nobody else's object is taken for ours.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
from collections.abc import Callable, Collection, Iterator
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import IO, Any

from ...dialects.files import create_private
from ...errors import BackupFailed
from ..rows.expect import Unexpected, a_count, a_digest, a_flag, a_text, a_text_or_null, an_instant, an_object
from ..rows.files import to_plain_json
from ..rows.strictjson import StrictJSONError, loads
from ..run.run import Run
from ..run.settings import Settings
from . import encryption
from .backups import beyond
from .manifest import LARGEST_BYTES, Backup, read_manifest
from .seal import existing_key, is_sealed, make_key, seal
from .store import Store, open_store

CARD = ".ferry.json"
MOST_ADDED = 1 << 20
"""What encryption adds besides 16 bytes for each 65,536: a head, of some 200 bytes for each recipient."""


@dataclass(frozen=True)
class Card:
    """What is kept of one backup.

    :ivar id: what it is asked for by; the name of the object begins with it.
    :ivar file: the name of the object. Not sealed: it is what the card's own name says.
    :ivar name: what the backup file is called.
    :ivar size_bytes: of the backup file.
    :ivar stored_bytes: of the object, which is longer where it is encrypted.
    :ivar manifest: the manifest as text; where it is encrypted, what age made of it, in hex.
    """

    id: str
    file: str
    name: str
    command: str
    run: str
    database: str
    made_at: str
    rows: int
    revision: str | None
    portable: bool
    size_bytes: int
    encrypted: bool
    stored_bytes: int
    stored_sha256: str
    manifest: str
    seal: str = ""

    def has_seal_of(self, key: bytes | None) -> bool:
        return is_sealed(asdict(self), key)


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
        raise error.with_details(
            f"The backup {backup.file} was made, and is not in the storage {store.url}.",
            [error.message, *error.details],
        ) from error
    how = encryption.describe(run.settings)
    run.note(f"Stored: {store.name(card.file)} ({card.stored_bytes} bytes, {how}, read back)")
    return card


def _upload(run: Run, store: Store, backup: Backup) -> Card:
    settings, encrypted = run.settings, encryption.is_encrypting(run.settings)
    of_our_name = backup.path.parent == settings.backups
    # A file of somebody's own choice may be called as one that was stored before.
    name = backup.path.name if of_our_name else f"{backup.run}-{backup.path.name}"
    file = name + (encryption.SUFFIX if encrypted else "")
    measured, plain = _put(settings, store, file, backup)
    names = [file]
    try:
        if plain.sha256 != backup.sha256:
            raise BackupFailed(f"{backup.file} was changed while it was stored.")
        _read_back(store, file, measured.size_bytes, measured.sha256)
        card = Card(
            id=backup.id if of_our_name else f"{backup.run}-{backup.id}",
            file=file,
            name=backup.path.name,
            command=backup.command,
            run=backup.run,
            database=backup.database,
            made_at=backup.made_at,
            rows=backup.rows,
            revision=backup.revision,
            portable=backup.portable,
            size_bytes=backup.size_bytes,
            encrypted=encrypted,
            stored_bytes=measured.size_bytes,
            stored_sha256=measured.sha256,
            manifest=_wrap(settings, backup, encrypted=encrypted),
        )
        card = replace(card, seal=seal(asdict(card), make_key(settings, run.control)))
        text = to_plain_json(asdict(card))
        store.put(file + CARD, len(text), lambda to: _write(to, text))
        names.append(file + CARD)
        _read_back(store, file + CARD, len(text), hashlib.sha256(text).hexdigest())
    except BackupFailed:
        for name in reversed(names):
            with contextlib.suppress(BackupFailed):
                store.remove(name)
        raise
    return card


def _write(to: IO[bytes], text: bytes) -> None:
    to.write(text)


def _put(settings: Settings, store: Store, file: str, backup: Backup) -> tuple[_Measured, _Source]:
    counted: list[tuple[_Measured, _Source]] = []

    def fill(to: IO[bytes]) -> None:
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


def _read_back(store: Store, name: str, size_bytes: int, sha256: str) -> None:
    """:raises BackupFailed: what the storage gives is not what was put."""
    source = _Source(store.read(name, size_bytes))
    source.drain()
    if (source.size_bytes, source.sha256) != (size_bytes, sha256):
        raise BackupFailed(f"{store.name(name)} does not read back as what was stored.")


def _wrap(settings: Settings, backup: Backup, *, encrypted: bool) -> str:
    # Where it lies on this machine is nobody's business there.
    text = to_plain_json(asdict(backup) | {"file": backup.path.name})
    if not encrypted:
        return text.decode()
    sealed = io.BytesIO()
    encryption.encrypt(settings, io.BytesIO(text), sealed)
    return sealed.getvalue().hex()


def list_cards(store: Store, warn: Callable[[str], object] | None = None) -> list[Card]:
    """The backups of a storage, oldest first; of which an object is not whole there is none.

    :param warn: is told of each that cannot be read, or is not whole.
    :raises BackupFailed: the storage cannot be listed.
    """
    sizes, cards = store.list(), []
    names = sorted(name for name in sizes if name.endswith(CARD))
    for name in names:
        try:
            card = _load(store, name, min(sizes[name], LARGEST_BYTES))
            if sizes.get(card.file) != card.stored_bytes:
                raise BackupFailed(f"{store.name(card.file)} is not whole: it is not there, or has another length.")
            cards.append(card)
        except BackupFailed as error:
            if warn:
                warn(error.message)
    return sorted(cards, key=lambda card: (card.made_at, card.id))


def _load(store: Store, name: str, most_bytes: int) -> Card:
    try:
        text = b"".join(store.read(name, most_bytes)).decode("utf-8")
        return replace(_check(an_object(loads(text), "it")), file=name.removesuffix(CARD))
    except (Unexpected, StrictJSONError, UnicodeDecodeError) as error:
        raise BackupFailed(f"{store.name(name)} is not the card of a backup: {error}") from error


def _check(card: dict[str, Any]) -> Card:
    """:raises Unexpected: a key is missing, unknown, or of another kind."""
    if unknown := sorted(card.keys() - {item.name for item in fields(Card)}):
        raise Unexpected("it", f"of this version: it says {', '.join(unknown)[:200]}")
    value = card.get
    return Card(
        id=a_text(value("id"), "id"),
        file=a_text(value("file"), "file"),
        name=a_text(value("name"), "name"),
        command=a_text(value("command"), "command"),
        run=a_text(value("run"), "run"),
        database=a_text(value("database"), "database"),
        made_at=an_instant(value("made_at"), "made_at"),
        rows=a_count(value("rows"), "rows"),
        revision=a_text_or_null(value("revision"), "revision"),
        portable=a_flag(value("portable"), "portable"),
        size_bytes=a_count(value("size_bytes"), "size_bytes"),
        encrypted=a_flag(value("encrypted"), "encrypted"),
        stored_bytes=a_count(value("stored_bytes"), "stored_bytes"),
        stored_sha256=a_digest(value("stored_sha256"), "stored_sha256", 64),
        manifest=a_text(value("manifest"), "manifest"),
        seal=a_text(value("seal"), "seal"),
    )


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


def find_surplus(run: Run, needed: Collection[str], command: str | None = None) -> tuple[list[Card], list[Card]]:
    """The backups of this database in the storage, and which of them are too many.

    Only those with our seal count: a card that somebody else laid there pushes none of ours out.

    :param needed: runs whose backups must stay.
    :param command: only this command's.
    :raises BackupFailed: the storage does not answer.
    """
    store, key = store_of(run.settings), existing_key(run.settings, run.peek())
    if store is None:
        return [], []
    database = run.dialect.identity(run.target).full_name
    cards = [card for card in list_cards(store) if card.database == database and card.has_seal_of(key)]
    files = {card.file for card in cards if card.run in needed}
    settings = run.settings
    # Of what is listed each is there with its length; its digest would be known after it was fetched.
    surplus = beyond(cards, settings.keep, files, command, keep_days=settings.keep_days, is_whole=lambda _: True)
    return cards, surplus


def remove_cards(run: Run, cards: Collection[Card]) -> None:
    """Remove backups: each object first, as one without a card could never be found.

    :raises BackupFailed: the storage does not let one go.
    """
    store = store_of(run.settings) if cards else None
    for card in cards:
        if store:
            store.remove(card.file)
            store.remove(card.file + CARD)
