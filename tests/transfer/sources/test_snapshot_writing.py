"""A source's snapshot is written beside the former one, which is kept and named where it may be personal."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.errors import FerryError
from app.transfer.rows.encode import HashedLine, hash_rows
from app.transfer.rows.header import AppliedProfile, Header
from app.transfer.sources.snapshot_writing import unlike, writable, write_taken
from tests.transfer.hosts import made_run

from .test_snapshot_file import T


def sections() -> Iterator[tuple[str, Iterator[HashedLine]]]:
    yield "t", hash_rows(T, [[1, 2]])


def header(profile: AppliedProfile | None = None) -> Header:
    return Header("rows", "s", "i", "2024-01-01T00:00:00Z", "one", (T,), profile=profile)


def test_the_former_one_is_kept_and_warned_of_where_it_is_not_anonymised(tmp_path: Path) -> None:
    run = made_run(tmp_path / "site")
    path = tmp_path / "data.json"
    assert write_taken(run, path, header(), sections()).former is None
    assert (run.report.notes, run.report.warnings) == ([], [])
    profile = AppliedProfile("dev", "0f")
    former = write_taken(run, path, header(profile), sections()).former
    assert former is not None
    assert run.report.notes == [f"The former snapshot is kept as {former}."]
    [warning] = run.report.warnings
    assert warning.startswith(f"{former} is not anonymised")
    write_taken(run, path, header(profile), sections())
    assert len(run.report.warnings) == 1


def test_what_cannot_be_written_is_named_with_the_way_out(tmp_path: Path) -> None:
    run = made_run(tmp_path / "site")
    with pytest.raises(FerryError, match="cannot be written") as caught:
        write_taken(run, run.host.migrations / "env.py" / "data.json", header(), sections())
    assert "FERRY_SNAPSHOT" in str(caught.value.hint)
    with pytest.raises(ValueError, match="else"), writable(tmp_path):
        raise ValueError("else")


def test_what_is_unlike() -> None:
    assert unlike({"a": 1, "b": 2, "c": 3}, {"a": 1, "b": 3, "d": 4}) == ["b", "c"]
