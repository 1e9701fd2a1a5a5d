"""Backups in a storage: what comes back is what was proved, or it is refused; what is removed is nobody's last."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from pyrage import x25519

from app.errors import BackupFailed, Misconfigured
from app.transfer.cutover.manifest import Backup
from app.transfer.cutover.seal import make_key
from app.transfer.cutover.stored import (
    CARD,
    Card,
    fetch,
    find_card,
    find_surplus,
    list_cards,
    look_at_storage,
    remove_cards,
    store_backup,
    store_of,
)
from app.transfer.run.run import Run
from tests.transfer.cutover.backup import made
from tests.transfer.hosts import made_run

IDENTITY = str(x25519.Identity.generate())
CLEAR, ENCRYPTED = "a key of sixteen or more", IDENTITY


def a_run(directory: Path, key: str = CLEAR, **config: str) -> Run:
    (directory / "far" / "kept").mkdir(parents=True, exist_ok=True)
    return made_run(directory, FERRY_STORAGE=f"file://{directory}/far/kept", FERRY_BACKUP_KEY=key, **config)


def a_backup(run: Run, source: Path, name: str = "b.sqlite3", command: str = "db-backup") -> Backup:
    run.settings.backups.mkdir(exist_ok=True)
    return made(source, run.settings.backups / name, command, run.dialect.identity(run.target).full_name)


def stored(run: Run, backup: Backup) -> Card:
    card = store_backup(run, backup)
    assert card
    return card


def far(run: Run, card: Card) -> Path:
    return Path(str(run.settings.storage).removeprefix("file://")) / card.file


@pytest.mark.parametrize("key", [CLEAR, ENCRYPTED], ids=["clear", "encrypted"])
def test_what_comes_back_is_what_was_proved(tmp_path: Path, source: Path, key: str) -> None:
    run = a_run(tmp_path, key)
    backup = a_backup(run, source)
    card, store = stored(run, backup), store_of(run.settings)
    assert store
    assert list_cards(store) == [card]
    assert card.has_seal_of(make_key(run.settings, run.control))
    assert far(run, card).read_bytes().startswith(b"age-encryption.org/v1" if key is ENCRYPTED else b"SQLite format 3")
    assert ("alembic_version" in far(run, card).with_name(card.file + CARD).read_text()) is (key is CLEAR)
    again = fetch(run.settings, store, card, tmp_path / "again")
    assert (tmp_path / "again").read_bytes() == backup.path.read_bytes()
    assert (again.seal, again.tables, again.sha256) == (backup.seal, backup.tables, backup.sha256)
    for name in (card.id, card.file, card.file + CARD):
        assert find_card([card], name) is card
    assert "read back" in run.report.notes[-1]


@pytest.mark.parametrize("key", [CLEAR, ENCRYPTED], ids=["clear", "encrypted"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda text: text[:5000] + bytes([text[5000] ^ 1]) + text[5001:],
        lambda text: bytes(len(text)),
        lambda text: text[:-1],
        lambda text: text + b"x",
    ],
)
def test_an_object_that_was_changed(tmp_path: Path, source: Path, key: str, spoil: Callable[[bytes], bytes]) -> None:
    run = a_run(tmp_path, key)
    card, store = stored(run, a_backup(run, source)), store_of(run.settings)
    assert store
    file = far(run, card)
    spoiled = spoil(file.read_bytes())
    file.write_bytes(spoiled)
    with pytest.raises(BackupFailed):
        fetch(run.settings, store, card, tmp_path / "again")
    assert not (tmp_path / "again").exists()
    warnings: list[str] = []
    assert len(list_cards(store, warnings.append)) == (len(spoiled) == card.stored_bytes)
    assert len(warnings) == (len(spoiled) != card.stored_bytes)


def test_a_card_that_was_changed_has_not_our_seal_and_names_no_other_file(tmp_path: Path, source: Path) -> None:
    run = a_run(tmp_path)
    card, store = stored(run, a_backup(run, source)), store_of(run.settings)
    assert store
    place = far(run, card).with_name(card.file + CARD)
    said = json.loads(place.read_text())
    place.write_text(json.dumps(said | {"made_at": "2099-01-01T00:00:00Z", "name": "../../outside"}))
    (changed,) = list_cards(store)
    assert not changed.has_seal_of(make_key(run.settings, run.control))
    with pytest.raises(BackupFailed, match="no file's name"):
        fetch(run.settings, store, changed, tmp_path / "again")
    for text in ("{}", "[]", json.dumps(said | {"more": 1}), json.dumps(said | {"rows": -1}), '{"id": "'):
        place.write_text(text)
        warnings: list[str] = []
        assert list_cards(store, warnings.append) == []
        assert "is not the card of a backup" in warnings[0]


def test_a_file_of_somebodys_own_choice_has_a_name_of_its_own_there(tmp_path: Path, source: Path) -> None:
    run = a_run(tmp_path)
    run.settings.backups.mkdir()
    elsewhere = tmp_path / "chosen"
    elsewhere.mkdir()
    card = stored(run, made(source, elsewhere / "same.sqlite3", "db-backup"))
    assert (card.id, card.name) == ("run-same", "same.sqlite3")


def test_a_backup_that_was_changed_is_not_stored(tmp_path: Path, source: Path) -> None:
    run = a_run(tmp_path)
    backup = a_backup(run, source)
    backup.path.write_bytes(backup.path.read_bytes()[:-1] + b"x")
    with pytest.raises(BackupFailed, match="was made, and is not in the storage") as caught:
        store_backup(run, backup)
    assert "was changed" in caught.value.details[0]
    store = store_of(run.settings)
    assert store
    assert store.list() == {}


def test_without_a_storage_nothing_is_stored_or_asked(tmp_path: Path, source: Path) -> None:
    run = made_run(tmp_path)
    look_at_storage(run)
    assert store_backup(run, a_backup(run, source)) is None
    assert find_surplus(run, ()) == ([], [])
    remove_cards(run, [])


def test_a_key_that_cannot_encrypt_is_refused_before_anything(tmp_path: Path) -> None:
    wrong = IDENTITY[:-1] + ("Q" if IDENTITY[-1] != "Q" else "P")
    with pytest.raises(Misconfigured, match="FERRY_BACKUP_KEY"):
        look_at_storage(a_run(tmp_path, wrong), ask=False)


def test_retention_by_count_and_days_and_never_the_last_nor_one_that_is_needed(tmp_path: Path, source: Path) -> None:
    run = a_run(tmp_path, FERRY_KEEP="2")
    cards = [stored(run, a_backup(run, source, f"b{n}.sqlite3")) for n in range(4)]
    assert [card.id for card in find_surplus(run, ())[1]] == ["b0", "b1"]
    assert find_surplus(run, {"run"})[1] == []
    assert find_surplus(run, (), "db-restore")[1] == []
    assert find_surplus(a_run(tmp_path, FERRY_KEEP="2", FERRY_KEEP_DAYS="1"), ())[1] == []
    # A card that somebody laid there, with a date of tomorrow, pushes none out.
    place = far(run, cards[0]).with_name(cards[0].file + CARD)
    said = json.loads(place.read_text())
    place.write_text(json.dumps(said | {"made_at": "2099-01-01T00:00:00Z"}))
    listed, surplus = find_surplus(run, ())
    assert ([card.id for card in listed], [card.id for card in surplus]) == (["b1", "b2", "b3"], ["b1"])
    remove_cards(run, surplus)
    store = store_of(run.settings)
    assert store
    assert sorted(name for name in store.list() if name.endswith(".sqlite3")) == [
        "b0.sqlite3", "b2.sqlite3", "b3.sqlite3",
    ]  # fmt: skip
