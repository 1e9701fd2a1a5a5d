"""Objects of a real S3 server: put whole or not at all, whatever becomes of the server meanwhile."""

from __future__ import annotations

from pathlib import Path
from typing import IO

import pytest

from app.errors import BackupFailed
from app.transfer.backup.store import PART_BYTES, Store, open_store
from tests.support.storage import BUCKET, S3Server
from tests.transfer.backup.test_store import (  # noqa: F401 # the same is true of any storage
    test_an_object_is_put_listed_read_and_removed,
    test_what_fails_half_way_leaves_nothing,
)


@pytest.fixture
def store(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Store:
    for name, value in s3.environ.items():
        monkeypatch.setenv(name, value)
    return open_store(f"s3://{BUCKET}/{tmp_path.name}")


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
