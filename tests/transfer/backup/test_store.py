"""Objects of a storage that is a directory; those of an S3 server are in ``tests/scenarios/storage/``."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import IO

import pytest

from app.errors import BackupFailed, Misconfigured
from app.transfer.backup.store import PART_BYTES, Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    (tmp_path / "kept").mkdir()
    return open_store(f"file://{tmp_path}/kept")


def test_an_object_is_put_listed_read_and_removed(store: Store) -> None:
    assert store.list() == {}
    store.put("a.txt", 3, lambda to: _write(to, b"abc"))
    assert store.list() == {"a.txt": 3}
    assert b"".join(store.read("a.txt", 3)) == b"abc"
    with pytest.raises(BackupFailed, match="longer than 2 bytes"):
        list(store.read("a.txt", 2))
    with pytest.raises(BackupFailed, match="exists already"):
        store.put("a.txt", 3, lambda to: _write(to, b"xyz"))
    assert b"".join(store.read("a.txt", 3)) == b"abc"
    age_s = store.age_s("a.txt")
    assert age_s is not None
    assert -5 < age_s < 60
    assert store.age_s("b.txt") is None
    store.remove("a.txt")
    store.remove("a.txt")
    assert store.list() == {}
    with pytest.raises(BackupFailed, match=r"a\.txt cannot be read"):
        list(store.read("a.txt", 3))


def test_what_fails_half_way_leaves_nothing(store: Store) -> None:
    """Closing the file would keep the half: of a large one, and of one that fits into a part."""
    for pieces in (1, 2):

        def fail(to: IO[bytes], pieces: int = pieces) -> None:
            for _ in range(pieces):
                to.write(bytes(PART_BYTES))
            raise BackupFailed("no more")

        with pytest.raises(BackupFailed, match="no more"):
            store.put("half", PART_BYTES, fail)
        assert store.list() == {}


def test_a_file_is_for_its_owner_alone(tmp_path: Path, store: Store) -> None:
    store.put("a", 1, lambda to: _write(to, b"a"))
    assert stat.S_IMODE((tmp_path / "kept" / "a").stat().st_mode) == 0o600
    assert [file.name for file in (tmp_path / "kept").iterdir()] == ["a"]


def test_a_directory_is_never_made_as_what_it_lies_on_may_not_be_mounted(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/mounted/kept")
    for _ in range(2):
        with pytest.raises(BackupFailed, match="There is no directory") as caught:
            store.put("a", 1, lambda to: _write(to, b"a"))
        assert "mounted" in str(caught.value.hint)
        with pytest.raises(BackupFailed, match="There is no directory"):
            store.list()
        assert not (tmp_path / "mounted" / "kept").exists()
        (tmp_path / "mounted").mkdir(exist_ok=True)
    (tmp_path / "mounted" / "kept").write_text("a file")
    with pytest.raises(BackupFailed, match="There is no directory"):
        store.list()


def test_a_file_has_its_name_when_it_is_whole_and_what_a_killed_process_left_goes(tmp_path: Path, store: Store) -> None:
    half, young = tmp_path / "kept" / ".old.00000000.ferry-tmp", tmp_path / "kept" / ".young.00000000.ferry-tmp"
    for file in (half, young):
        file.write_text("half")
    os.utime(half, (0, 0))

    def look(to: IO[bytes]) -> None:
        to.write(b"a")
        to.flush()
        assert store.list() == {}
        assert not (tmp_path / "kept" / "a").exists()
        assert {stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "kept").glob(".a.*")} == {0o600}

    store.put("a", 1, look)
    assert sorted(file.name for file in (tmp_path / "kept").iterdir()) == [young.name, "a"]


def test_what_nobody_can_open() -> None:
    with pytest.raises(Misconfigured, match="cannot be opened"):
        open_store("nothing://of/this")
    with pytest.raises(Misconfigured, match="cannot be opened") as caught:
        open_store("hdfs://host/path")
    assert caught.value.hint


def _write(to: IO[bytes], text: bytes) -> None:
    to.write(text)
