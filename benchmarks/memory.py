"""Peak memory of ``flask db-migrate-data`` for 10,000 and for 100,000 posts, over HTTP and from the SQLite file.

Memory is to be bounded by the largest row and a fixed batch: ten times the posts may not need more. Run with
``make memory``; prints one line per run, and the differences.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from tests.support.deployment.data import volume
from tests.support.deployment.runner import Deployment
from tests.support.deployment.settings import Settings
from tests.support.site import ROOT, Site

SIZES = (10_000, 100_000)


@dataclass(frozen=True)
class Measured:
    """One run: its peak resident memory in MiB and its wall time in seconds."""

    peak_mib: float
    seconds: float


def measure(site: Site, source: str, **environ: str) -> Measured:
    """Migrate into a new site and measure the process.

    :raises RuntimeError: the run did not end with status 0.
    """
    command = [sys.executable, "-m", "flask", "db-migrate-data", "--yes", "--quiet", source]
    began = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, cwd=ROOT, env=site.env(**environ), stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode:
            errors.seek(0)
            raise RuntimeError(f"status {process.returncode}: {errors.read()}")
    return Measured(usage.ru_maxrss / 1024, time.monotonic() - began)


def compare(directory: Path, sizes: tuple[int, int] = SIZES) -> dict[str, tuple[Measured, Measured]]:
    """Per kind of source (``file``, ``http``): the smaller run and the larger one."""
    found: dict[str, list[Measured]] = {"file": [], "http": []}
    for posts in sizes:
        place = directory / str(posts)
        place.mkdir()
        with Deployment(place / "old", Settings(cheap=True), shape=volume(posts)) as deployment:
            for kind, source in (("file", str(deployment.database)), ("http", deployment.url)):
                site = Site(place / kind)
                site.directory.mkdir()
                secrets = site.source(deployment)
                found[kind].append(measure(site, source, **secrets, FLASK_FERRY_TIMEOUT="30"))
    return {kind: (runs[0], runs[1]) for kind, runs in found.items()}


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ferry-") as directory:
        for kind, runs in compare(Path(directory)).items():
            for posts, run in zip(SIZES, runs, strict=True):
                print(f"{kind:<5} {posts:>7} posts: peak {run.peak_mib:6.1f} MiB, {run.seconds:5.1f} s")
            print(f"{kind:<5} difference:    {runs[1].peak_mib - runs[0].peak_mib:6.1f} MiB")


if __name__ == "__main__":
    main()
