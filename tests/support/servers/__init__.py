"""Private database servers for tests: temporary data directories, free loopback ports, ended with the test session."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
from pathlib import Path

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
