"""Differences as evidence: the first for people, all of them in a file, and no more than somebody reads."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from app.transfer.proof.compare import Difference
from app.transfer.run import evidence
from app.transfer.run.evidence import databases_differ, keep_differences, keep_lines
from tests.transfer.hosts import made_run


def differences(count: int) -> list[Difference]:
    return [Difference("t", [number], "added", {}) for number in range(count)]


def test_no_difference_leaves_nothing(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    assert keep_differences(run, iter(())) is None
    assert keep_lines(run, []) == []
    assert run.report.differences_file is None
    assert not (tmp_path / "live.db.ferry").exists()


def test_all_are_in_the_file_and_the_first_are_told(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    lines = keep_lines(run, iter(differences(12)))
    file = run.directory / "differences.json"
    assert lines[:2] == ["t [0]: added", "t [1]: added"]
    assert lines[-1] == f"and 2 more; all 12: {file}"
    assert len(json.loads(file.read_text())) == len(run.report.differences) == 12
    assert (run.report.differences_file, file.stat().st_mode & 0o77) == (str(file), 0)


def test_a_database_that_is_another_one_is_not_written_into_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(evidence, "KEPT_DIFFERENCES", 11)
    run = made_run(tmp_path)
    kept = keep_differences(run, iter(differences(50)))
    assert kept is not None
    assert (kept.count, kept.lines()[-1]) == ("more than 11 rows", f"and 1 more; the first 11: {kept.file}")
    assert len(json.loads(kept.file.read_text())) == 11


def test_two_databases(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    one, other = (run.dialect.staging_url(run.target, name) for name in ("one", "two"))
    for url, sql in ((one, "CREATE TABLE t (id INTEGER PRIMARY KEY)"), (other, "CREATE TABLE u (id INTEGER)")):
        run.control.directory.mkdir(exist_ok=True)
        engine = run.dialect.engine(url)
        with engine.begin() as connection:
            connection.exec_driver_sql(sql)
    with run.dialect.reader(one) as left, run.dialect.reader(other) as right:
        assert databases_differ(run, left, left) == []
        assert databases_differ(run, left, right)[:2] == ["t []: table missing", "u []: table added"]
