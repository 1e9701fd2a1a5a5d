"""Private database servers for tests: temporary data directories, free loopback ports, ended with the test session."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

from filelock import FileLock

PREPARED = "FERRY_TEST_PREPARED"
"""The variable that names the directory where the workers of one run of the tests share what is prepared."""
MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30


def free_port() -> int:
    """A loopback port that nobody listened at just now."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_directory(prefix: str) -> Path:
    """A new directory for a server's data, in memory where there is room: it is gone with the server anyway."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > ROOM_BYTES
    return Path(tempfile.mkdtemp(prefix=prefix, dir=MEMORY if roomy else None))


def copy_prepared(name: str, to: Path, make: Callable[[Path], None]) -> None:
    """Make a server's empty data directory: the first of a run's workers does, all others copy that one.

    :param make: makes one where there is none.
    """
    shared = os.environ.get(PREPARED)
    if not shared:
        make(to)
        return
    prepared = Path(shared) / name
    with FileLock(f"{prepared}.lock"):
        if not prepared.exists():
            unfinished = prepared.with_suffix(".unfinished")
            make(unfinished)
            unfinished.rename(prepared)
    subprocess.run(["cp", "--archive", "--reflink=auto", prepared, to], check=True, timeout=120)
