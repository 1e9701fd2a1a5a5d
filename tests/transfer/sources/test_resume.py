"""The finished parts of an extraction that was interrupted lately are gone on with, and no others."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest

from app.transfer.run.run import Run
from app.transfer.run.source import SourceKind, SourceSpec
from app.transfer.sources.parts import Part, PartWriter
from app.transfer.sources.resume import RESUMABLE_S, adopt, age_s, journal_part, resumable
from tests.transfer.hosts import made_run

SPEC = SourceSpec(SourceKind.HTTP, "https://old.example.com", "identity")


def instant(age: float) -> str:
    return (dt.datetime.now(dt.UTC) - dt.timedelta(seconds=age)).isoformat()


@pytest.fixture
def interrupted(tmp_path: Path) -> Run:
    return made_run(tmp_path)


@pytest.fixture
def part(interrupted: Run) -> Part:
    with PartWriter("user", interrupted.directory / "user") as writer:
        writer.add(b"{}")
        return writer.finish()


def names(tmp_path: Path, spec: SourceSpec = SPEC) -> list[str]:
    parts, since = resumable(made_run(tmp_path), spec)
    assert bool(parts) == (since is not None)
    return list(parts)


def test_a_part_of_lately_is_adopted_and_said(tmp_path: Path, interrupted: Run, part: Part) -> None:
    since = instant(60)
    journal_part(interrupted, SPEC, part, since)
    run = made_run(tmp_path)
    parts, read_from = resumable(run, SPEC)
    assert (parts, read_from) == ({"user": part}, since)
    assert interrupted.id in run.report.notes[0]
    adopted = adopt(part, run.directory)
    assert (adopted.file, adopted.is_whole()) == (run.directory / "user", True)


def test_what_is_too_old_or_of_another_source_or_changed_is_not(tmp_path: Path, interrupted: Run, part: Part) -> None:
    journal_part(interrupted, SPEC, part, instant(RESUMABLE_S + 60))
    assert names(tmp_path) == []
    journal_part(interrupted, SPEC, part, instant(60))
    assert names(tmp_path) == ["user"]
    assert names(tmp_path, SourceSpec(SourceKind.HTTP, "x", "another")) == []
    part.file.write_bytes(b"{ }\n")
    assert names(tmp_path) == []


def test_an_extraction_that_ended_or_is_not_the_last_run_is_not(tmp_path: Path, interrupted: Run, part: Part) -> None:
    journal_part(interrupted, SPEC, part, instant(60))
    interrupted.control.write(interrupted.id, "snapshot", "done", {})
    assert names(tmp_path) == []
    assert resumable(interrupted, SPEC) == ({}, None)


def test_another_run_since_ends_it(tmp_path: Path, interrupted: Run, part: Part) -> None:
    journal_part(interrupted, SPEC, part, instant(60))
    later = made_run(tmp_path)
    later.control.write(later.id, "run", "failed", {})
    assert names(tmp_path) == []


def test_an_age_counts_from_the_instant_in_any_zone() -> None:
    assert -5 < age_s(instant(0)) < 60
    assert age_s("2020-01-01T02:00:00+02:00") == pytest.approx(age_s("2020-01-01T00:00:00Z"), abs=60)
