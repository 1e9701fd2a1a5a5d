"""A snapshot file as a source, and in place of one that fails: checked, described, refused where it is another's."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dialects.model import Column, LogicalType, Table
from app.errors import SnapshotUnusable
from app.transfer.rows.encode import hash_rows, write_snapshot
from app.transfer.rows.files import file_sha256
from app.transfer.rows.header import Header
from app.transfer.run.source import SourceKind, SourceSpec
from app.transfer.sources.base import Destination, SourceOptions
from app.transfer.sources.snapshot_file import SnapshotFile
from tests.transfer.hosts import made_run
from tests.transfer.schema.made import CREATE, Made

T = Table("t", (Column("id", LogicalType.INT), Column("x", LogicalType.INT)), ("id",))
OLD = Table("old", (Column("id", LogicalType.INT),), ("id",))


def snapshot(path: Path, revision: str | None = "one") -> Path:
    head = Header("rows", "the source", "identity", "2024-01-01T00:00:00Z", revision, (T, OLD))
    write_snapshot(path, head, [("t", hash_rows(T, [[1, 2]])), ("old", hash_rows(OLD, [[1], [2]]))])
    return path


def open_file(path: Path, *exclude: str) -> SnapshotFile:
    spec = SourceSpec(SourceKind.SNAPSHOT, str(path), "identity", file=path)
    return SnapshotFile(spec, SourceOptions(tuple(exclude)))


def test_it_says_what_it_is_and_is_taken_as_it_lies(tmp_path: Path) -> None:
    Made(tmp_path).add("one", None, CREATE)
    run = made_run(tmp_path)
    path = snapshot(tmp_path / "data.json")
    source = open_file(path)
    assert source.describe == f"the snapshot {path} of the source, taken 2024-01-01T00:00:00Z"
    ahead = source.look_ahead(run)
    assert (ahead.revision, ahead.tables) == ("one", {"t": T, "old": OLD})
    taken = source.take(run, Destination(tmp_path / "elsewhere.json", tmp_path))
    assert (taken.path, taken.sha256, taken.former) == (path, file_sha256(path), None)
    assert not (tmp_path / "elsewhere.json").exists()


def test_an_excluded_table_that_the_revision_lacks_is_counted(tmp_path: Path) -> None:
    Made(tmp_path).add("one", None, CREATE)
    run = made_run(tmp_path)
    with run.host.app_context():
        run.dialect.open_control(run.dialect.control_area(run.target))
        taken = open_file(snapshot(tmp_path / "data.json"), "old", "t").take(run, Destination(tmp_path, tmp_path))
    assert taken.extra == {"old": 2}


@pytest.mark.parametrize("cut", [0, 10, -3])
def test_a_file_that_is_not_whole_is_refused_when_it_is_opened(tmp_path: Path, cut: int) -> None:
    path = snapshot(tmp_path / "data.json")
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(SnapshotUnusable):
        open_file(path)
    with pytest.raises(SnapshotUnusable):
        open_file(tmp_path / "none.json")
