"""Retention in a storage: what is removed is nobody's last, and what others laid there pushes nothing out."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

from app.transfer.backup.card import CARD, Card
from app.transfer.backup.retention import Leftovers, find_leftovers, find_surplus, remove_cards, remove_objects
from app.transfer.backup.store import Store
from app.transfer.backup.stored import list_cards, look_through, store_of
from app.transfer.run.run import Run

from .backup import a_backup, a_run, far, stored


def four(run: Run, source: Path) -> None:
    for n in range(4):
        stored(run, a_backup(run, source, f"b{n}.sqlite3"))


def store_for(run: Run) -> Store:
    store = store_of(run.settings)
    assert store
    return store


def find(run: Run, *needed: str, command: str | None = None) -> tuple[list[Card], list[Card]]:
    store = store_for(run)
    return find_surplus(run, store, list_cards(store), needed, command)


def surplus(run: Run, *needed: str, command: str | None = None) -> list[str]:
    return [card.id for card in find(run, *needed, command=command)[1]]


def test_by_count_and_days_and_never_the_last_nor_one_that_is_needed(tmp_path: Path, source: Path) -> None:
    run = a_run(tmp_path, FERRY_KEEP="2")
    four(run, source)
    assert surplus(run) == ["b0", "b1"]
    assert surplus(run, "run") == surplus(run, command="db-restore") == []
    assert surplus(a_run(tmp_path, FERRY_KEEP="2", FERRY_KEEP_DAYS="1")) == []
    store = store_for(run)
    remove_cards(store, find(run)[1])
    assert [card.id for card in list_cards(store)] == ["b2", "b3"]
    assert len(store.list()) == 4


def test_a_card_that_somebody_laid_there_pushes_none_out(tmp_path: Path, source: Path) -> None:
    """With a date of tomorrow; a copy of the newest one beside random bytes of its length."""
    run = a_run(tmp_path, FERRY_KEEP="2")
    cards = [stored(run, a_backup(run, source, f"b{n}.sqlite3")) for n in range(2)]
    place = far(run, cards[1])
    for n in range(2):
        place.with_name(f"z{n}.sqlite3").write_bytes(os.urandom(cards[1].stored_bytes))
        shutil.copy(f"{place}{CARD}", place.with_name(f"z{n}.sqlite3{CARD}"))
    values = json.loads(Path(f"{place}{CARD}").read_text())
    for n in range(2):
        shutil.copy(place, place.with_name(f"y{n}.sqlite3"))
        forged = values | {"file": f"y{n}.sqlite3", "id": f"y{n}", "made_at": "2099-01-01T00:00:00Z"}
        place.with_name(f"y{n}.sqlite3{CARD}").write_text(json.dumps(forged))
    assert find(run) == (cards, [])


def test_nothing_goes_before_one_that_stays_reads_back(tmp_path: Path, source: Path) -> None:
    run = a_run(tmp_path, FERRY_KEEP="1")
    cards = [stored(run, a_backup(run, source, f"b{n}.sqlite3")) for n in range(3)]
    far(run, cards[2]).write_bytes(bytes(cards[2].stored_bytes))
    assert surplus(run) == ["b0"]
    assert "b2.sqlite3 does not read back" in run.report.warnings[-1]
    for card in cards[:2]:
        far(run, card).write_bytes(bytes(card.stored_bytes))
    assert surplus(run) == []
    assert "so none is removed" in run.report.warnings[-1]


def test_another_database_of_this_name_and_key_has_its_own(tmp_path: Path, source: Path) -> None:
    """Two containers with one path, one key and one storage: each has a control area."""
    run = a_run(tmp_path, FERRY_KEEP="1")
    four(run, source)
    area = run.dialect.control_area(run.target).directory
    area.rename(tmp_path / "of-another-container")
    other = a_run(tmp_path, FERRY_KEEP="1")
    assert find(other) == ([], [])
    cards = [stored(other, a_backup(other, source, f"other{n}.sqlite3")) for n in range(2)]
    assert find(other) == (cards, cards[:1])


def test_what_was_left_half_way_goes_after_a_day(tmp_path: Path, source: Path) -> None:
    run = a_run(tmp_path)
    names = [f"live-20240101T00000{n}Z-db-backup-abc123.sqlite3" for n in range(3)]
    cards = [stored(run, a_backup(run, source, name)) for name in names]
    place = far(run, cards[0]).parent
    (place / f"{names[0]}{CARD}").unlink()
    (place / names[1]).unlink()
    (place / "of-somebody-else.txt").touch()
    (place / "other-20240101T000000Z-db-backup-abc123.sqlite3").touch()
    half, store = [names[0], f"{names[1]}{CARD}"], store_for(run)
    assert find_leftovers(run, store, look_through(store)) == Leftovers([], half)
    for name in half:
        os.utime(place / name, (time.time() - 90_000,) * 2)
    assert find_leftovers(run, store, look_through(store)) == Leftovers(half, [])
    remove_objects(store, half)
    assert len(list(place.glob("*.sqlite3*"))) == 3
