"""Counts of the tests that ran in whole runs, for the page that says what was run on which server.

``--record NAME`` begins the record of a run anew; ``--mended NAME`` takes what passes now out of the failures of that
run. Nothing is counted that was only collected.
"""

from __future__ import annotations

import datetime
import json
import platform
import re
import subprocess
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from . import find_fetched

RECORD = Path(__file__).with_name("whole_runs.json")
"""NAME of a run -> what it ran on, the day, how many tests of each suite passed, and which ones failed."""
SUITES = {
    "tests/dialects/": "every promise of a dialect, the cut-over, crashes (`tests/dialects/`)",
    "tests/scenarios/matrix/": "pairs of servers, busy writers, killed servers, two hosts (`tests/scenarios/matrix/`)",
    "tests/scenarios/types/": "every type of column, random databases by random routes (`tests/scenarios/types/`)",
    "tests/scenarios/": "whole commands (all others of `tests/scenarios/`)",
    "tests/": "the app's API and the settings (all others)",
}
"""A suite, by how the names of its tests begin: the first that fits -> what the page calls it."""
SERVERS = {
    "mysql-": ("MySQL", "mysqld"),
    "mariadb-": ("MariaDB", "mariadbd"),
    "postgresql-": ("PostgreSQL", "postgres"),
}
LIBRARIES = ("Flask", "Flask-SQLAlchemy", "Flask-Migrate", "SQLAlchemy", "alembic")
OTHERS = {
    "fast": "what needs neither a server nor a whole command (`make test-fast`)",
    "python": "all, as `make test` runs them",
    "lowest": "`make test-lowest`",
    "newest": "`make test-newest`",
}


class Recorder:
    """A plugin of pytest that notes how each test of a run ended and writes that at the run's end."""

    def __init__(self, name: str, *, mended: bool) -> None:
        self.name, self.mended = name, mended
        self.ended: dict[str, str] = {}

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            # What fails after the call, as it is taken down, did not pass.
            former = self.ended.get(report.nodeid)
            self.ended[report.nodeid] = former if former == "failed" else report.outcome

    def pytest_sessionfinish(self, exitstatus: int) -> None:
        if exitstatus not in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED):
            # It was interrupted, or began with an error: no whole run.
            return
        records = read_records()
        if self.mended:
            mend(records[self.name], self.ended)
        else:
            records[self.name] = {
                "on": describe(self.name),
                "day": f"{datetime.datetime.now(datetime.UTC):%F}",
                **count(self.ended),
            }
        RECORD.write_text(json.dumps(records, indent=1, sort_keys=True) + "\n", encoding="utf-8")


def read_records() -> dict[str, Any]:
    """Every run of which there is a record."""
    return json.loads(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}  # type: ignore[no-any-return]


def count(ended: dict[str, str]) -> dict[str, Any]:
    """How many tests of each suite passed, the names of those that failed, how many were skipped."""
    passed = dict.fromkeys(SUITES, 0)
    for name, outcome in ended.items():
        passed[suite_of(name)] += outcome == "passed"
    failed = sorted(name for name, outcome in ended.items() if outcome == "failed")
    skipped = sum(outcome == "skipped" for outcome in ended.values())
    return {"passed": passed, "failed": failed, "mended": [], "skipped": skipped}


def mend(record: dict[str, Any], ended: dict[str, str]) -> None:
    """Count what failed in a whole run and passes now; its names stay in the record."""
    for name in [name for name in record["failed"] if ended.get(name) == "passed"]:
        record["failed"].remove(name)
        record["mended"].append(name)
        record["passed"][suite_of(name)] += 1


def suite_of(name: str) -> str:
    """The suite of a test, by its name."""
    return next(suite for suite in SUITES if name.startswith(suite))


def describe(name: str) -> str:
    """What a run is on: the server's exact version, or Python's and those of the libraries."""
    for start, (title, program) in SERVERS.items():
        if name.startswith(start):
            path = str((find_fetched(start[:-1]) or Path()) / "programs" / program)
            output = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=60, check=True).stdout
            # The program may begin with its own path, where another version stands.
            return f"{title} {re.findall(r'[0-9]+[.][0-9.]*[0-9]', output.replace(path, ''))[0]}"
    libraries = ", ".join(f"{library} {version(library)}" for library in LIBRARIES)
    return f"Python {platform.python_version()}" + (f", {libraries}" if name in ("lowest", "newest") else "")


def render_servers() -> str:
    """The table of servers: a row for each suite."""
    records = read_records()
    names = [name for start in SERVERS for name in sorted(records) if name.startswith(start)]
    rows = [["", *(records[name]["on"] for name in names)], ["---", *("--:" for _ in names)]]
    for suite, title in SUITES.items():
        rows.append([title, *(f"{records[name]['passed'][suite]}" for name in names)])
    rows.append(["together", *(f"{_total(records[name]):,}" for name in names)])
    rows.append(["of these, passed only after a fix", *(f"{len(records[name]['mended'])}" for name in names)])
    rows.append(["failed, skipped", *(f"{len(records[name]['failed'])}, {records[name]['skipped']}" for name in names)])
    rows.append(["day", *(records[name]["day"] for name in names)])
    return _write(rows)


def render_others() -> str:
    """The table of Pythons and of versions of libraries: a row for each run."""
    records = read_records()
    rows = [["tests", "on", "passed", "of these, passed only after a fix", "failed, skipped", "day"]]
    rows.append(["---", "---", "--:", "--:", "--:", "---"])
    for start, title in OTHERS.items():
        for name in sorted(records):
            if name.startswith(start):
                record = records[name]
                numbers = [f"{_total(record):,}", f"{len(record['mended'])}"]
                numbers.append(f"{len(record['failed'])}, {record['skipped']}")
                rows.append([title, record["on"], *numbers, record["day"]])
    return _write(rows)


def _total(record: dict[str, Any]) -> int:
    return sum(record["passed"].values())


def _write(rows: list[list[str]]) -> str:
    return "".join(f"| {' | '.join(row)} |\n" for row in rows)
