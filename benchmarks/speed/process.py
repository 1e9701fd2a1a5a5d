"""Run a command and measure what it costs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

LIMIT_S = 3600.0
SPAWN = Path(__file__).with_name("spawn.py")


class Failed(Exception):
    """A command did not end with status 0, or not all rows arrived."""


@dataclass(frozen=True)
class Cost:
    """What one command took.

    :ivar cpu_s: user and system, of the command's processes.
    :ivar server_cpu_s: user and system, of all the servers.
    :ivar peak_mib: of the largest of its processes.
    """

    seconds: float
    cpu_s: float
    server_cpu_s: float
    peak_mib: float


def measure(command: str, environ: Mapping[str, str], directory: Path, server_cpu: Callable[[], float]) -> Cost:
    """Run a line of shell in a directory.

    :raises Failed: it ended with another status than 0, or not within :data:`LIMIT_S`.
    """
    cpu_before = server_cpu()
    with tempfile.TemporaryFile("w+", errors="replace") as output:
        process = subprocess.Popen(
            [sys.executable, "-I", "-S", SPAWN, command],
            cwd=directory,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=output,
            start_new_session=True,
        )
        limit = threading.Timer(LIMIT_S, os.killpg, (process.pid, signal.SIGKILL))
        limit.start()
        figures, _ = process.communicate()
        limit.cancel()
        if process.returncode:
            output.seek(0)
            raise Failed(f"status {process.returncode}: {output.read()[-600:].strip()}")
    seconds, cpu_s, peak_kib = map(float, figures.split())
    return Cost(seconds, cpu_s, server_cpu() - cpu_before, peak_kib / 1024)
