"""Private database servers for tests: temporary data directories, free loopback ports, ended with the test session."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from filelock import FileLock

PREPARED = "FERRY_TEST_PREPARED"
"""The variable that names the directory where the workers of one run of the tests share what is prepared."""
CHOSEN = "FERRY_TEST_SERVERS"
"""The variable that names the servers of other versions that take the place of the machine's own."""
FETCHED = Path(__file__).resolve().parents[3] / ".servers"
MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30


def choose(names: Iterable[str]) -> None:
    """Let tests run on servers that ``make servers`` fetched, such as ``mysql-9.7``, with the clients that they have.

    MySQL takes the place of MariaDB.

    :raises ValueError: one of them was not fetched.
    """
    chosen = list(names)
    for name in chosen:
        if not (FETCHED / name).is_dir():
            raise ValueError(f"{name} is not there: make servers")
    if not chosen:
        return
    os.environ[CHOSEN] = " ".join(chosen)
    os.environ["PATH"] = os.pathsep.join([*(str(FETCHED / name / "programs") for name in chosen), os.environ["PATH"]])


def find_fetched(kind: str) -> Path | None:
    """The directory of the chosen server of a kind: ``mysql``, ``mariadb`` or ``postgresql``."""
    chosen = os.environ.get(CHOSEN, "").split()
    return next((FETCHED / name for name in chosen if name.startswith(f"{kind}-")), None)


def of_server(kind: str, *, since: int = 0, until: int = 999) -> pytest.MarkDecorator:
    """Marks what only one kind of server has, or some versions of it: left out where tests run on another.

    :param since: the first version that has it; of PostgreSQL.
    :param until: the last.
    """
    return pytest.mark.of_server(kind, since=since, until=until)


of_mysql = of_server("mysql")
of_mariadb = of_server("mariadb")


def runs_on(kind: str, *, since: int = 0, until: int = 999) -> bool:
    """Whether tests run on a server that :func:`of_server` names."""
    if kind in ("mysql", "mariadb"):
        return (find_fetched("mysql") is not None) == (kind == "mysql")
    from .postgresql import find_version

    return since <= find_version() <= until


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
