"""Backups in a storage: what comes back is what was proved, or it is refused; what is removed is nobody's last."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.errors import BackupFailed, Misconfigured
from app.transfer.backup import stored as module
from app.transfer.backup.card import CARD
from app.transfer.backup.seal import make_key
from app.transfer.backup.store import Store
from app.transfer.backup.stored import (
    fetch,
    find_card,
    list_cards,
    look_at_storage,
    sort_by_owner,
    store_backup,
    store_of,
)
from tests.transfer.backup.backup import CLEAR, ENCRYPTED, IDENTITY, a_backup, a_run, far, made, stored
from tests.transfer.hosts import made_run


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
    with pytest.raises(BackupFailed, match="no file's name"):
        fetch(run.settings, store, changed, tmp_path / "again")
    place.write_text(json.dumps(said | {"made_at": "2099-01-01T00:00:00Z"}))
    (changed,) = list_cards(store)
    assert not changed.has_seal_of(make_key(run.settings, run.control))
    with pytest.raises(BackupFailed, match="does not say what the manifest in it says"):
        fetch(run.settings, store, changed, tmp_path / "again")
    whose = sort_by_owner(run, [changed])
    assert (whose.ours, whose.others) == ([], [changed])
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


def test_a_key_that_cannot_encrypt_is_refused_before_anything(tmp_path: Path) -> None:
    wrong = IDENTITY[:-1] + ("Q" if IDENTITY[-1] != "Q" else "P")
    with pytest.raises(Misconfigured, match="FERRY_BACKUP_KEY"):
        look_at_storage(a_run(tmp_path, wrong), ask=False)


def test_an_interruption_leaves_no_object_without_a_card(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(tmp_path)
    backup, store = a_backup(run, source), store_of(run.settings)
    assert store

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    for moments in ([interrupt], [lambda: None, interrupt]):
        monkeypatch.setattr(module, "read_back", lambda *_, rest=moments: rest.pop(0)())
        with pytest.raises(KeyboardInterrupt):
            store_backup(run, backup)
        assert store.list() == {}
    put = Store.put

    def put_and_interrupt(*arguments: Any) -> None:
        put(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(Store, "put", put_and_interrupt)
    with pytest.raises(KeyboardInterrupt):
        store_backup(run, backup)
    assert store.list() == {}


def test_what_could_not_be_taken_back_is_not_said_to_be_absent(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(tmp_path)
    backup, place = a_backup(run, source), tmp_path / "far" / "kept"

    def fail(*_: object) -> None:
        (place / "b.sqlite3").unlink()
        (place / "b.sqlite3").mkdir()
        raise BackupFailed("the line is down")

    monkeypatch.setattr(module, "read_back", fail)
    with pytest.raises(BackupFailed, match="may lie in part in the storage") as caught:
        store_backup(run, backup)
    assert caught.value.details[0] == "the line is down"
    assert "b.sqlite3 could not be removed" in caught.value.details[1]


def test_a_card_that_nobody_could_list_is_refused_before_anything_is_sent(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = a_run(tmp_path)
    backup, store = a_backup(run, source), store_of(run.settings)
    monkeypatch.setattr(module, "LARGEST_BYTES", 1 << 16)
    with pytest.raises(BackupFailed, match="is not in the storage") as caught:
        store_backup(run, backup)
    assert "too long for a card" in caught.value.details[0]
    assert store
    assert store.list() == {}
