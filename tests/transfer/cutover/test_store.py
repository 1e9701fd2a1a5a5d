"""Objects of a storage that is a directory; those of an S3 server are in ``tests/scenarios/storage/``."""

from __future__ import annotations

import stat
from pathlib import Path
from typing import IO

import pytest

from app.errors import BackupFailed, Misconfigured
from app.transfer.cutover.store import PART_BYTES, Store, open_store


@pytest.fixture
def store(tmp_path: Path) -> Store:
    return open_store(f"file://{tmp_path}/deep/kept")


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


def test_a_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    store = open_store(f"file://{tmp_path}/new")
    store.put("a", 1, lambda to: _write(to, b"a"))
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / "a").stat().st_mode) == 0o600


def test_what_nobody_can_open() -> None:
    with pytest.raises(Misconfigured, match="cannot be opened"):
        open_store("nothing://of/this")
    with pytest.raises(Misconfigured, match="cannot be opened") as caught:
        open_store("hdfs://host/path")
    assert caught.value.hint


def _write(to: IO[bytes], text: bytes) -> None:
    to.write(text)
