"""A Dask scheduler and its workers, as processes on free ports of this machine."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from tests.support.site import ROOT

LIMIT_S = 60.0
COMMON = ("--host", "127.0.0.1", "--no-dashboard")


@dataclass
class DaskCluster:
    """A scheduler, and workers of one thread each that end with it.

    :ivar url: as ``FERRY_EXECUTOR`` names it.
    """

    scheduler: subprocess.Popen[bytes]
    port: int
    directory: Path
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"dask://127.0.0.1:{self.port}?wait=60"

    def add_workers(self, count: int, *options: str, environ: dict[str, str] | None = None) -> None:
        """Start workers, and wait until they have said that they are there."""
        for _ in range(count):
            number = len(self.workers)
            command = [
                "worker",
                f"tcp://127.0.0.1:{self.port}",
                "--no-nanny",
                "--nthreads",
                "1",
                "--death-timeout",
                "20",
            ]
            directory = ["--local-directory", str(self.directory / f"worker-{number}")]
            log = self.directory / f"worker-{number}.log"
            self.workers.append(start([*command, *COMMON, *directory, *options], log, environ))
        for number in range(len(self.workers)):
            wait_for_words(self.directory / f"worker-{number}.log", "Registered to:")

    def rows_of(self, text: str) -> dict[int, str]:
        """What a run noted of each worker: process -> words."""
        return {worker.pid: text for worker in self.workers if f"process {worker.pid}:" in text}

    def stop(self, *workers: int) -> None:
        """Let workers do nothing more, as if they were cut off."""
        for number in workers:
            self.workers[number].send_signal(signal.SIGSTOP)

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
def dask_cluster(directory: Path, workers: int) -> Iterator[DaskCluster]:
    """A scheduler with workers."""
    log = directory / "scheduler.log"
    scheduler = start(["scheduler", "--port", "0", *COMMON], log)
    try:
        port = int(wait_for_words(log, "Scheduler at:").rpartition(":")[2])
    except BaseException:
        scheduler.kill()
        scheduler.wait()
        raise
    with contextlib.closing(DaskCluster(scheduler, port, directory)) as cluster:
        cluster.add_workers(workers)
        yield cluster
