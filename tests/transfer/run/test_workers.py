"""Processes that help: there when they are needed, and gone with the run however it ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from app.transfer.run.workers import MOST, Workers, count_by_itself
from tests.support.site import ROOT

LIMIT_S = 20.0
BUSY = """
import os, sys, time
from app.transfer.run.workers import Workers
workers = Workers(1)
print(workers.submit(os.getpid).result(), flush=True)
workers.submit(time.sleep, 600)
time.sleep(600)
"""
QUIET = """
import os, signal, sys, time
sys.modules["psutil"] = None
from app.transfer.run.workers import Workers
workers = Workers(1)
pid = workers.submit(os.getpid).result()
workers.submit(time.sleep, 600)
signal.signal(signal.SIGHUP, lambda *_: sys.exit())
try:
    print("begun", flush=True)
    time.sleep(600)
finally:
    workers.close()
    if os.path.exists(f"/proc/{pid}"):
        print("the worker is still there", file=sys.stderr)
"""
"""Without what only the tests have installed."""


def is_gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def wait_until_gone(pid: int) -> None:
    deadline = time.monotonic() + LIMIT_S
    while not is_gone(pid):
        assert time.monotonic() < deadline, f"the worker {pid} is still there"
        time.sleep(0.05)


@pytest.fixture
def workers() -> Iterator[Workers]:
    these = Workers(1)
    yield these
    these.close()


def test_none_is_started_before_it_has_work() -> None:
    workers = Workers(1)
    assert not workers.are_there
    workers.close()


def test_they_are_processes_of_their_own_which_leave_the_keyboard_to_the_run(workers: Workers) -> None:
    pid = workers.submit(os.getpid).result(LIMIT_S)
    assert pid != os.getpid()
    assert workers.are_there
    assert workers.submit(signal.getsignal, signal.SIGINT).result(LIMIT_S) == signal.SIG_IGN


def test_a_busy_one_is_ended_with_the_run(workers: Workers) -> None:
    pid = workers.submit(os.getpid).result(LIMIT_S)
    workers.submit(time.sleep, 600)
    workers.close()
    wait_until_gone(pid)
    assert not workers.are_there


def test_a_run_that_is_killed_leaves_none() -> None:
    with subprocess.Popen([sys.executable, "-c", BUSY], cwd=ROOT, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        pid = int(run.stdout.readline())
        assert not is_gone(pid)
        run.kill()
    wait_until_gone(pid)


STARTS = """
import signal, sys, time
from app.transfer.run.workers import Workers
workers = Workers(2)
signal.signal(signal.SIGINT, lambda *_: sys.exit())
workers.submit(int)
try:
    print("begun", flush=True)
    time.sleep(600)
finally:
    workers.close()
"""


def test_none_complains_of_ctrl_c_while_it_starts() -> None:
    """A terminal sends it to all; a process that is not ready to leave it to the run would end with a traceback."""
    run = subprocess.Popen(
        [sys.executable, "-c", STARTS],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "begun\n"
    # Within that time an interpreter runs already, and has not imported everything.
    time.sleep(0.05)
    os.killpg(run.pid, signal.SIGINT)
    _, stderr = run.communicate(timeout=LIMIT_S)
    assert (run.returncode, stderr) == (0, "")


@pytest.mark.parametrize("to_all", [True, False])
def test_none_complains_where_the_terminal_is_gone_or_a_program_is_lacking(to_all: bool, tmp_path: Path) -> None:
    """There is no ``pgrep`` in a small image; a terminal that is closed says so to all that was started from it."""
    run = subprocess.Popen(
        [sys.executable, "-c", QUIET],
        cwd=ROOT,
        env={**os.environ, "PATH": str(tmp_path)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    assert run.stdout is not None
    assert run.stdout.readline() == "begun\n"
    (os.killpg if to_all else os.kill)(run.pid, signal.SIGHUP)
    _, stderr = run.communicate(timeout=LIMIT_S)
    assert (run.returncode, stderr) == (0, "")


def test_as_many_as_the_machine_has_cores_besides_the_first() -> None:
    cores = len(os.sched_getaffinity(0))
    assert count_by_itself() == min(cores - 1, 4) <= MOST
