"""The last good snapshot in place of a source: only where it is allowed, of that source, and young enough."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.errors import BackupFailed, FerryError, SnapshotUnusable, SourceIncomplete, Unauthorized
from app.transfer.rows.encode import hash_rows, write_snapshot
from app.transfer.rows.header import Header, now
from app.transfer.run.source import SourceKind, SourceSpec
from app.transfer.sources.base import SourceOptions
from app.transfer.sources.fallback import can_fall_back, fallback
from tests.transfer.hosts import made_run

from .test_snapshot_file import T

SPEC = SourceSpec(SourceKind.HTTP, "https://old.example.com", "identity")


def store(directory: Path, identity: str = "identity", read_from: str | None = None) -> Path:
    head = Header("rows", "the source", identity, read_from or now(), "one", (T,))
    return write_snapshot(directory / "data.json", head, [("t", hash_rows(T, [[1, 2]]))]).path


def stand_in(directory: Path, policy: str = "7d", because: FerryError | None = None) -> str:
    run = made_run(directory, FERRY_FALLBACK=policy)
    return fallback(run, SPEC, SourceOptions(), because).describe


def test_it_stands_in_and_says_so(tmp_path: Path) -> None:
    path = store(tmp_path)
    said = stand_in(tmp_path)
    assert said.startswith(f"the snapshot {path} of ")
    assert said.endswith("not what https://old.example.com has now")


@pytest.mark.parametrize(
    ("policy", "identity", "read_from", "words"),
    [
        ("never", "identity", None, "never used"),
        ("7d", "another", None, "was taken from the source, not from https://old.example.com"),
        ("7d", "identity", "2020-01-01T00:00:00Z", "older than 7d"),
    ],
)
def test_one_that_may_not(tmp_path: Path, policy: str, identity: str, read_from: str | None, words: str) -> None:
    store(tmp_path, identity, read_from)
    with pytest.raises(SnapshotUnusable, match=words):
        stand_in(tmp_path, policy)
    because = SourceIncomplete("no answer", hint="again", details=["1"])
    with pytest.raises(SourceIncomplete, match="no answer") as caught:
        stand_in(tmp_path, policy, because)
    assert caught.value.hint == "again"
    assert caught.value.details[0] == "1"
    assert words in caught.value.details[1]


def test_none_at_all_and_one_that_is_damaged(tmp_path: Path) -> None:
    with pytest.raises(SnapshotUnusable, match="there is no file"):
        stand_in(tmp_path)
    path = store(tmp_path)
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(SnapshotUnusable):
        stand_in(tmp_path)


def test_only_a_source_that_fails_has_a_stand_in() -> None:
    errors = (SourceIncomplete("x"), Unauthorized("x"), SnapshotUnusable("x"), BackupFailed("x"), FerryError("x"))
    assert [can_fall_back(error) for error in errors] == [True, True, True, False, False]
