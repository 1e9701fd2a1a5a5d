"""How often a deployment reads its rows for a run over HTTP, and that less than before proves as much."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from app.transfer.jobs import source_job
from tests.support.local import Local
from tests.support.serving import Server

from .conftest import SECRET_KEY, source
from .countinghost import FORMER, NOTES
from .test_source import same_rows

LIMIT_S = 20.0


@dataclass(frozen=True)
class Counting:
    """A deployment that notes what it reads.

    :ivar old: its database, and what is beside it.
    :ivar is_former: it is of a version that gave checksums always.
    """

    old: Local
    server: Server
    notes: Path
    is_former: bool

    def count(self) -> dict[str, set[int]]:
        """For what rows were read, and how often those of a table were."""
        counts = Counter(self.notes.read_text().splitlines() if self.notes.exists() else ())
        found: dict[str, set[int]] = {}
        for line, number in counts.items():
            found.setdefault(line.split()[0], set()).add(number)
        return found

    def restart(self) -> None:
        """Let another process answer: the one that did is killed."""
        [worker] = psutil.Process(self.server.pid).children()
        os.kill(worker.pid, signal.SIGKILL)
        until = time.monotonic() + LIMIT_S
        while time.monotonic() < until and worker.is_running():
            time.sleep(0.02)
        assert not worker.is_running()


@contextmanager
def counting(served: Path, directory: Path, *, is_former: bool) -> Iterator[Counting]:
    shutil.copytree(served, directory / "old")
    old, notes = Local(directory / "old"), directory / "notes"
    with closing(sqlite3.connect(old.database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    former = {FORMER: "1"} if is_former else {}
    env = old.env(SECRET_KEY=SECRET_KEY, FLASK_INSTANCE_PATH=str(old.directory), PYTHONWARNINGS="", **former)
    host = "tests.scenarios.export.countinghost:create_app()"
    with Server(host, env | {NOTES: str(notes)}, directory / "server.log") as server:
        yield Counting(old, server, notes, is_former)


@pytest.fixture(params=[False, True], ids=["this version", "a former version"])
def deployment(request: pytest.FixtureRequest, served: Path, tmp_path: Path) -> Iterator[Counting]:
    with counting(served, tmp_path, is_former=request.param) as one:
        yield one


def once_staged(patch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Do something between the export and the manifest behind it."""
    inner = source_job.fill

    def fill(*arguments: object, **named: object) -> object:
        act()
        return inner(*arguments, **named)  # type: ignore[arg-type]

    patch.setattr(source_job, "fill", fill)


def migrate(target: Local, deployment: Counting, *options: str) -> None:
    target.ok("db-migrate-data", "--yes", *options, **source(deployment.server.url))


def test_for_a_run_each_row_is_read_once(target: Local, deployment: Counting) -> None:
    migrate(target, deployment)
    assert deployment.count() == {"export": {1}} | ({"manifest": {1}} if deployment.is_former else {})
    same_rows(deployment.old.database, target.database)


def test_a_source_that_nobody_wrote_is_not_read_again_for_the_manifest_behind(
    target: Local, deployment: Counting
) -> None:
    migrate(target, deployment, "--catch-up", "2")
    assert deployment.count() == {"export": {1}} | ({"manifest": {1}} if deployment.is_former else {})
    assert (target.report()["catch_up"], target.report()["not_caught_up"]) == ([], [])
    same_rows(deployment.old.database, target.database)


def test_a_write_behind_the_export_is_carried(
    target: Local, deployment: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = "UPDATE users SET name = 'Written Meanwhile' WHERE uid = 'niko'"
    once_staged(monkeypatch, lambda: deployment.old.write(write))
    migrate(target, deployment, "--catch-up", "2")
    [carried] = target.report()["catch_up"]
    assert (carried["table"], carried["added"], carried["changed"], carried["removed"]) == ("users", 0, 1, 0)
    same_rows(deployment.old.database, target.database)


def test_a_write_behind_the_last_pass_is_told(
    target: Local, deployment: Counting, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = "UPDATE users SET name = 'Written Meanwhile' WHERE uid = 'niko'"
    inner = source_job.verify_staging
    monkeypatch.setattr(
        source_job, "verify_staging", lambda *args, **named: (deployment.old.write(write), inner(*args, **named))[1]
    )
    migrate(target, deployment, "--catch-up", "1")
    assert (target.report()["catch_up"], target.report()["not_caught_up"]) == ([], ["users"])


@pytest.mark.parametrize("write", ["", "UPDATE users SET name = 'Written Meanwhile' WHERE uid = 'niko'"])
def test_a_deployment_that_was_started_again_reads_its_rows_again(
    target: Local, served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: str
) -> None:
    """What it had summed up is lost; what it says is as true."""
    with counting(served, tmp_path, is_former=False) as deployment:

        def act() -> None:
            deployment.restart()
            if write:
                deployment.old.write(write)

        once_staged(monkeypatch, act)
        migrate(target, deployment, "--catch-up", "2")
        assert [one["table"] for one in target.report()["catch_up"]] == (["users"] if write else [])
        assert deployment.count() == {"manifest": {1}, "export": {2 if write else 1}}
        same_rows(deployment.old.database, target.database)
