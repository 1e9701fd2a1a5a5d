"""Two hosts' deploy hooks at once, on one database of a server."""

from __future__ import annotations

import datetime as dt
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.dialects import dialect_for
from app.transfer.run.control import Control
from app.transfer.run.ledger import lease
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


@pytest.mark.parametrize("name", ["mariadb", "postgresql"])
def test_a_holder_that_sleeps_is_waited_for_no_longer_than_asked(deployed: Deploy, tmp_path: Path, name: str) -> None:
    """A process that was stopped in the middle of its cut-over keeps the lease's row: a minute went by (seen)."""
    site = deployed(name)
    assert site.flask("db-init").status == 0
    dialect = dialect_for(site.url, directory=tmp_path)
    area = dialect.control_area(site.url)
    control = Control.open(dialect, area)
    control.take_lease("asleep", "db-init")
    with dialect.control_engine(area, each_alone=True).connect() as connection:
        long_ago = dt.datetime(2001, 1, 1)  # noqa: DTZ001 # as the column has it, in UTC
        connection.execute(sa.update(lease).values(host="elsewhere", heartbeat_at=long_ago))
    with dialect.control_engine(area).connect() as connection:
        connection.execute(sa.update(lease).values(command="asleep"))
        began = time.monotonic()
        refused = site.flask("db-backup", "--lock-timeout", "1")
        assert time.monotonic() - began < 20
        connection.rollback()
    assert refused.status == 11, refused.stderr
    assert "run asleep" in refused.stderr
    assert "Took over the lock" in site.flask("db-backup").stderr


def _ended(process: Forked) -> tuple[int, str, str]:
    try:
        stdout, stderr = process.communicate(timeout=120)
    except subprocess.TimeoutExpired:
        end(process)
        raise
    return process.wait(), stdout, stderr
