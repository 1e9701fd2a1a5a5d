"""What a command costs is what its processes took, all of them and nobody else's."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.speed.process import Failed, measure

BUSY = "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass"


def run(line: str, directory: Path) -> tuple[float, float]:
    cost = measure(line, {"BUSY": BUSY, "PYTHON": sys.executable}, directory, lambda: 0.0)
    return cost.cpu_s, cost.peak_mib


def test_both_ends_of_a_pipe_are_counted(tmp_path: Path) -> None:
    line = '"$PYTHON" -S -c "$BUSY"'
    assert run(f"{line} | {line}", tmp_path)[0] >= 0.4


def test_the_peak_is_the_commands(tmp_path: Path) -> None:
    """This process is far larger than the shell, and forks it."""
    ballast = bytearray(200 << 20)
    assert run("true", tmp_path)[1] < 60
    assert run('"$PYTHON" -S -c "x = bytearray(100 << 20)"', tmp_path)[1] > 100
    assert len(ballast) == 200 << 20


@pytest.mark.parametrize("line", ["echo words; exit 3", "(echo words; exit 3) | cat"])
def test_a_command_that_fails_is_no_figure(line: str, tmp_path: Path) -> None:
    with pytest.raises(Failed, match="status 3: words"):
        run(line, tmp_path)
