"""The record of whole runs: what the page says was run on which server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.servers import whole_runs
from tests.support.servers.whole_runs import Recorder, read_records, render_others, render_servers

PASSED = "tests/dialects/test_a.py::test_b"
FAILED = "tests/scenarios/test_c.py::test_d"
TYPES = "tests/scenarios/types/test_g.py::test_h"


def tell(recorder: Recorder, **outcomes: str) -> None:
    """Reports of one test: what its parts ended with."""
    name = outcomes.pop("name")
    for when, outcome in outcomes.items():
        recorder.pytest_runtest_logreport(pytest.TestReport(name, ("", 0, ""), {}, outcome, None, when))  # type: ignore[arg-type]


def test_a_run_is_counted_and_its_failures_are_counted_when_they_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whole_runs, "RECORD", tmp_path / "runs.json")
    run = Recorder("python3.11", mended=False)
    tell(run, name=PASSED, setup="passed", call="passed", teardown="passed")
    tell(run, name=FAILED, setup="passed", call="passed", teardown="failed")
    tell(run, name=TYPES, setup="failed", teardown="passed")
    tell(run, name="tests/test_e.py::test_f", setup="skipped", teardown="passed")
    run.pytest_sessionfinish(2)
    assert read_records() == {}
    run.pytest_sessionfinish(1)
    record = read_records()["python3.11"]
    assert (record["failed"], record["skipped"], sum(record["passed"].values())) == ([FAILED, TYPES], 1, 1)
    assert record["on"].startswith("Python 3.")
    again = Recorder("python3.11", mended=True)
    tell(again, name=FAILED, setup="passed", call="passed", teardown="passed")
    tell(again, name=TYPES, setup="passed", call="failed", teardown="passed")
    again.pytest_sessionfinish(1)
    record = read_records()["python3.11"]
    assert (record["failed"], record["mended"]) == ([TYPES], [FAILED])
    assert record["passed"]["tests/dialects/"] == record["passed"]["tests/scenarios/"] == 1
    assert f"| {record['on'].partition(',')[0]}" in render_others()
    assert "| 2 | 1 | 1, 1 |" in render_others()
    assert render_servers().splitlines()[0] == "|  |"


def test_no_run_on_the_page_has_a_failure_or_a_skipped_test() -> None:
    records = read_records()
    assert {name: (record["failed"], record["skipped"]) for name, record in records.items()} == {
        name: ([], 0) for name in records
    }
    assert {*records} >= {"mysql-9.7", "mariadb-11.8", "postgresql-18", "python3.13", "python3.14", "lowest", "newest"}
