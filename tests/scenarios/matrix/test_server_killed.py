"""The server itself is killed in the middle of a run, and started again."""

from __future__ import annotations

import random
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.forks import Forked
from tests.support.places import Server, ServerSite, databases, new_name
from tests.support.runs.commands import until
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL
from tests.support.site import Result, end

LIMIT_S = 120.0


@pytest.fixture(scope="module", params=["mariadb", "postgresql"])
def mortal(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server of this module's own: nobody else's tests are disturbed."""
    started: Any = MariaDB(tmp_path_factory.mktemp("mortal") / "server") if request.param == "mariadb" else PostgreSQL()
    started.prepare()
    started.start()
    yield started
    started.stop()


@pytest.fixture
def site(tmp_path: Path, mortal: Server) -> ServerSite:
    return ServerSite(tmp_path, url=mortal.url(new_name()))


def start_waiting_at(site: ServerSite, step: str, here: Path, *arguments: str) -> Forked:
    """Start a command that waits where it has begun a step, as long as a file is there."""
    return site.start(*arguments, hooks=[("tests.support.runs.hooks:wait_at", {"step": step, "here": str(here)})])


def ended(process: Forked) -> Result:
    try:
        stdout, stderr = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        end(process)
        raise
    assert "Traceback" not in stderr, stderr
    return Result(process.wait(), stdout, stderr)


def killed_at(site: ServerSite, server: Server, step: str, here: Path, *arguments: str) -> Result:
    """What becomes of a command whose server is killed when it has begun a step."""
    process = start_waiting_at(site, step, here, *arguments)
    try:
        until(lambda: here.exists() or process.poll() is not None, LIMIT_S)
        assert process.poll() is None, end(process)
        server.kill()
        here.unlink()
        return ended(process)
    finally:
        end(process)
        server.start()


@pytest.mark.parametrize("step", ["load"])
def test_killed_before_the_cut_over(site: ServerSite, mortal: Server, taken: Path, tmp_path: Path, step: str) -> None:
    assert site.flask("db-init").status == 0
    before = site.content()
    arguments = ("db-migrate-data", str(taken), "--rerun", "--yes")
    result = killed_at(site, mortal, step, tmp_path / "here", *arguments)
    assert result.status == 1, result.stderr
    assert site.content() == before
    done = site.flask(*arguments)
    assert done.status == 0, done.stderr
    assert len(site.rows()["users"]) == 60
    assert [name for name in databases(site.url) if "staging" in name or "__stg_" in name] == []


def test_killed_as_the_cut_over_begins(site: ServerSite, mortal: Server, taken: Path, tmp_path: Path) -> None:
    assert site.flask("db-init").status == 0
    before = site.content()
    arguments = ("db-migrate-data", str(taken), "--rerun", "--yes")
    result = killed_at(site, mortal, "cut-over", tmp_path / "here", *arguments)
    assert result.status == 25, result.stderr
    assert "flask db-migrate-data --yes" in result.stderr
    assert site.flask("db-status", "--check").status == 25
    assert site.content() == before
    done = site.flask(*arguments)
    assert done.status == 0, done.stderr
    assert "before it took effect: the old database is live" in done.stdout + done.stderr
    assert len(site.rows()["users"]) == 60


def test_killed_in_a_restore(site: ServerSite, mortal: Server, tmp_path: Path) -> None:
    assert site.flask("db-init").status == 0
    assert site.flask("db-backup").status == 0
    backed_up = site.rows()
    site.execute("UPDATE sections SET name = 'later'")
    before = site.content()
    result = killed_at(site, mortal, "staging", tmp_path / "here", "db-restore", "--yes")
    assert result.status in (1, 21), result.stderr
    assert site.content() == before
    done = site.flask("db-restore", "--yes")
    assert done.status == 0, done.stderr
    assert site.rows()["sections"] == backed_up["sections"]


def test_killed_at_any_moment(site: ServerSite, mortal: Server, taken: Path) -> None:
    """Never a mixture: what was, or all of what comes."""
    rng = random.Random(11)
    assert site.flask("db-init").status == 0
    old = site.content()
    arguments = ("db-migrate-data", str(taken), "--rerun", "--yes")
    for _ in range(2):
        process = site.start(*arguments)
        time.sleep(rng.uniform(0.5, 5.0))
        mortal.kill()
        result = ended(process)
        mortal.start()
        assert result.status in (0, 1, 21, 25), result.stderr
        # Whatever was left begun is finished or undone by any command that locks.
        assert site.flask("db-backup").status == 0
        if site.content() != old:
            assert site.flask("db-verify").status == 0
            assert site.flask("db-rollback", "--yes").status == 0
            assert site.content() == old
