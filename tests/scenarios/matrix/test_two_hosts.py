"""Two hosts' deploy hooks at once, on one database of a server."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.forks import Forked
from tests.support.places import ServerSite
from tests.support.site import end

Deploy = Callable[[str], ServerSite]


@pytest.mark.parametrize("name", ["mariadb", "postgresql"])
def test_one_migrates_and_the_other_finds_it_done(deployed: Deploy, taken: Path, tmp_path: Path, name: str) -> None:
    first = deployed(name)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    hosts = [first, replace(first, directory=elsewhere)]
    started = [host.start("db-migrate-data", str(taken), "--yes") for host in hosts]
    results = [_ended(process) for process in started]
    assert [status for status, _, _ in results] == [0, 0], results
    lines = sorted(stdout.rstrip().rpartition("\n")[2] for _, stdout, _ in results)
    assert lines[0].startswith("Done: "), lines
    assert lines[1].startswith("Nothing to do: already migrated"), lines


def _ended(process: Forked) -> tuple[int, str, str]:
    try:
        stdout, stderr = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        end(process)
        raise
    return process.wait(), stdout, stderr
