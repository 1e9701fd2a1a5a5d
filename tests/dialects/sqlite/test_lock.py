"""The lock of a target: one holder at a time, and none after its process ended."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.dialects.sqlite.lock import lock
from app.errors import LockHeld
from tests.support.site import ROOT

HOLDING = """
import sys, time
from pathlib import Path
from app.dialects.sqlite.lock import lock
with lock(Path(sys.argv[1]), 5):
    print("held", flush=True)
    time.sleep(600)
"""


def test_it_has_one_holder_and_is_given_back_by_a_failure(tmp_path: Path) -> None:
    def fail() -> None:
        with lock(tmp_path, 0):
            raise ValueError

    with pytest.raises(ValueError):  # noqa: PT011 # raised just above
        fail()
    with lock(tmp_path, 0):
        with pytest.raises(LockHeld), lock(tmp_path, 0.05):
            pass
        assert (tmp_path / "lock").stat().st_mode & 0o77 == 0
    with lock(tmp_path, 0):
        pass


def test_a_killed_process_holds_it_no_longer(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLDING, str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        with pytest.raises(LockHeld), lock(tmp_path, 0):
            pass
        process.send_signal(signal.SIGKILL)
    with lock(tmp_path, 0):
        pass
