"""The card of a backup: sealed for its object and nothing else, and of the manifest that it holds."""

from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path

import pytest

from app.errors import BackupFailed
from app.transfer.backup.card import Card, facts_of, id_beside, read_card
from app.transfer.backup.manifest import Backup

from .backup import KEY, entry

VALUES = {
    "file": "a.sqlite3",
    "database_id": "0f",
    "encrypted": False,
    "stored_bytes": 1,
    "stored_sha256": "0" * 64,
    "manifest": "{}",
}


def a_card(directory: Path) -> tuple[Card, Backup]:
    backup = entry(directory, "a.sqlite3", made_at="2024-01-01T00:00:00Z")
    return Card(**facts_of(backup), id=backup.id, **VALUES).seal_with(KEY), backup  # type: ignore[arg-type]


def test_a_seal_is_of_every_value_and_of_the_objects_name(tmp_path: Path) -> None:
    card, _ = a_card(tmp_path)
    assert card.has_seal_of(KEY)
    assert not card.has_seal_of(b"another")
    assert not card.has_seal_of(None)
    for change in ({"file": "b.sqlite3"}, {"database_id": "10"}, {"made_at": "2099-01-01T00:00:00Z"}, {"id": "b"}):
        assert not replace(card, **change).has_seal_of(KEY), change  # type: ignore[arg-type]


def test_a_card_is_read_for_its_object_only(tmp_path: Path) -> None:
    card, _ = a_card(tmp_path)
    assert read_card(card.to_json(), card.file, "place") == card
    with pytest.raises(BackupFailed, match=r"place is not the card .* a copy of that of 'a.sqlite3'"):
        read_card(card.to_json(), "b.sqlite3", "place")
    for text in (b"{}", b"\xff", json.dumps(asdict(card) | {"more": 1}).encode()):
        with pytest.raises(BackupFailed, match="place is not the card of a backup"):
            read_card(text, card.file, "place")


def test_a_card_says_what_its_manifest_says(tmp_path: Path) -> None:
    card, backup = a_card(tmp_path)
    assert card.is_of(backup)
    assert replace(card, id=id_beside(backup)).is_of(backup)
    for change in ({"id": "b"}, {"name": "b"}, {"made_at": "2099-01-01T00:00:00Z"}, {"database": "/other"}):
        assert not replace(card, **change).is_of(backup), change  # type: ignore[arg-type]
