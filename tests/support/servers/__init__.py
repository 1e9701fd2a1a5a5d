"""Private database servers for tests: temporary data directories, free loopback ports, ended with the test session."""

from __future__ import annotations

import contextlib
import socket


def free_port() -> int:
    """A loopback port that nobody listened at just now."""
    with contextlib.closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
