"""A Dask scheduler and its workers, as processes on free ports of this machine."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.site import ROOT
from tests.support.sources.tls import Authority

LIMIT_S = 60.0
HERE, BY_NAME = "127.0.0.1", socket.gethostname()
TLS = "DASK_DISTRIBUTED__COMM__TLS__"


@dataclass
class DaskCluster:
    """A scheduler, and workers of one thread each that end with it.

    :ivar url: as ``FERRY_EXECUTOR`` names it.
    """

    scheduler: subprocess.Popen[bytes]
    port: int
    directory: Path
    environ: dict[str, str] = field(default_factory=dict)
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"dask://{self.host}:{self.port}?wait=60"

    @property
    def host(self) -> str:
        """By its name this machine is as far away as any other."""
        return BY_NAME if self.environ else HERE

    def add_workers(self, count: int) -> None:
        """Start workers, and wait until they have said that they are there."""
        address = f"{'tls' if self.environ else 'tcp'}://{self.host}:{self.port}"
        options = ["--no-nanny", "--nthreads", "1", "--death-timeout", "20", "--no-dashboard", "--host", self.host]
        for number in range(len(self.workers), len(self.workers) + count):
            directory = ["--local-directory", str(self.directory / f"worker-{number}")]
            log = self.directory / f"worker-{number}.log"
            self.workers.append(start(["worker", address, *options, *directory], log, self.environ))
        for number in range(len(self.workers)):
            wait_for_words(self.directory / f"worker-{number}.log", "Registered to:")

    def close(self) -> None:
        for process in [*self.workers, self.scheduler]:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
            process.wait()


def start(arguments: Sequence[str], log: Path, environ: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
    with log.open("wb") as file:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments],
            cwd=ROOT,
            env={**os.environ, **(environ or {})},
            stdout=subprocess.DEVNULL,
            stderr=file,
        )


def wait_for_words(log: Path, words: str) -> str:
    """The first line of a log that has some words."""
    deadline = time.monotonic() + LIMIT_S
    while time.monotonic() < deadline:
        if lines := [line for line in log.read_text().splitlines() if words in line]:
            return lines[0]
        time.sleep(0.05)
    raise AssertionError(f"{words} is not in {log}: {log.read_text()}")


@contextlib.contextmanager
def dask_cluster(directory: Path, workers: int, environ: dict[str, str] | None = None) -> Iterator[DaskCluster]:
    """A scheduler with workers.

    :param environ: certificates, see :func:`name_certificates`; then they listen under this machine's name.
    """
    log, environ = directory / "scheduler.log", environ or {}
    host = ["--host", BY_NAME, "--protocol", "tls"] if environ else ["--host", HERE]
    scheduler = start(["scheduler", "--port", "0", "--no-dashboard", *host], log, environ)
    try:
        port = int(wait_for_words(log, "Scheduler at:").rpartition(":")[2])
    except BaseException:
        scheduler.kill()
        scheduler.wait()
        raise
    with contextlib.closing(DaskCluster(scheduler, port, directory, environ)) as cluster:
        cluster.add_workers(workers)
        yield cluster


def name_certificates(authority: Authority) -> dict[str, str]:
    """Where certificates for all of a cluster are, as Dask reads it from the environment."""
    pair = authority.sign(f"DNS:{BY_NAME}")
    files = {"CA_FILE": authority.file}
    for role in ("SCHEDULER", "WORKER", "CLIENT"):
        files |= {f"{role}__CERT": pair.with_suffix(".crt"), f"{role}__KEY": pair.with_suffix(".key")}
    return {f"{TLS}{name}": str(file) for name, file in files.items()}
