"""Objects of a storage: put whole or not at all, never written over; on a real S3 server and in a directory."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import pytest

from app.errors import BackupFailed, Misconfigured
from app.transfer.cutover.store import PART_BYTES, Store, open_store
from tests.support.storage import S3Server


@pytest.fixture(scope="module")
def s3(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    with S3Server(tmp_path_factory.mktemp("s3")) as server:
        server.client().create_bucket(Bucket="kept")
        yield server


@pytest.fixture(params=["s3", "file"])
def store(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    if request.param == "file":
        return open_store(f"file://{tmp_path}/deep/kept")
    for name, value in request.getfixturevalue("s3").environ.items():
        monkeypatch.setenv(name, value)
    return open_store(f"s3://kept/{tmp_path.name}")


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


def test_a_bucket_that_is_absent_is_no_empty_one(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(BackupFailed, match="There is no 'absent'"):
        open_store("s3://absent/prefix").list()


def test_a_server_that_is_gone_in_the_middle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with S3Server(tmp_path) as server:
        server.client().create_bucket(Bucket="kept")
        for name, value in server.environ.items():
            monkeypatch.setenv(name, value)
        monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
        store = open_store("s3://kept/x")

        def fill(to: IO[bytes]) -> None:
            to.write(bytes(2 * PART_BYTES))
            server.kill()
            to.write(bytes(2 * PART_BYTES))

        with pytest.raises(BackupFailed, match="could not be stored in s3://kept/x") as caught:
            store.put("a", 4 * PART_BYTES, fill)
        assert server.environ["AWS_SECRET_ACCESS_KEY"] not in str(caught.value)


def test_what_nobody_can_open() -> None:
    with pytest.raises(Misconfigured, match="cannot be opened"):
        open_store("nothing://of/this")
    with pytest.raises(Misconfigured, match="cannot be opened") as caught:
        open_store("hdfs://host/path")
    assert caught.value.hint


def _write(to: IO[bytes], text: bytes) -> None:
    to.write(text)
