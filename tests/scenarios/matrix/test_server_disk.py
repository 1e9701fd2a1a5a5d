"""The disk of the database server itself is full in the middle of a run; the next run, with room again, ends well."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.releases import deploy, first_release, second_release
from tests.support.places import ServerSite, databases, execute, new_name
from tests.support.runs.commands import until
from tests.support.servers import of_mariadb
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL
from tests.support.site import Result, end

LIMIT_S = 120.0
SIZES = {"mariadb": "400m", "postgresql": "120m"}
TOO_SMALL = 1 << 14
"""What is left free when a disk is full: no server gets by with that."""


@pytest.fixture
def disk(request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file system of its own for a server's data."""
    # No other user can look into pytest's directories.
    directory = Path(tempfile.mkdtemp(prefix="ferry-disk-"))
    size = SIZES[request.getfixturevalue("name")]
    mounting = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=755", "none", str(directory)]
    if os.geteuid() != 0 or subprocess.run(mounting, capture_output=True, check=False).returncode:
        pytest.skip("only root can mount a small file system, and not everywhere")
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)
    directory.rmdir()


@contextlib.contextmanager
def server_on(name: str, disk: Path, directory: Path) -> Iterator[tuple[Any, ServerSite]]:
    """A server whose data lie on a disk, of PostgreSQL those of one database, and an app that uses it."""
    server: Any = MariaDB(disk / "server") if name == "mariadb" else PostgreSQL()
    server.prepare()
    server.start()
    try:
        site = ServerSite(directory, url=server.url(new_name()))
        if name == "postgresql":
            space = disk / "space"
            space.mkdir(mode=0o700)
            shutil.chown(space, server.data.owner(), server.data.group())
            server.execute(f"CREATE TABLESPACE small LOCATION '{space}'")
            server.execute(f"CREATE DATABASE {site.url.database} TABLESPACE small")
        yield server, site
    finally:
        server.stop()


def fill(disk: Path) -> None:
    """Leave next to nothing free."""
    with (disk / "ballast").open("wb", buffering=0) as ballast, contextlib.suppress(OSError):
        os.posix_fallocate(ballast.fileno(), 0, shutil.disk_usage(disk).free - TOO_SMALL)


def run_until(site: ServerSite, arguments: tuple[str, ...], step: str, here: Path, then: Callable[[], None]) -> Result:
    """Run a command that waits before a step until something was done."""
    hooks = [("tests.support.runs.hooks:wait_at", {"step": step, "here": str(here)})]
    process = site.start(*arguments, hooks=hooks, **site.environ)
    try:
        until(lambda: here.exists() or process.poll() is not None, LIMIT_S)
        assert process.poll() is None, end(process)
        then()
        here.unlink()
        stdout, stderr = process.communicate(timeout=LIMIT_S)
        return Result(process.wait(), stdout, stderr)
    finally:
        end(process)


@pytest.mark.parametrize("written", [1, 3000])
@pytest.mark.parametrize("name", SIZES, ids=["MariaDB", "PostgreSQL"])
def test_the_disk_is_full_when_what_was_written_meanwhile_is_brought_over(
    name: str, written: int, disk: Path, taken: Path, tmp_path: Path
) -> None:
    """Whatever becomes of the run: who wrote has what was written, once, and the next run ends well."""
    arguments = ("db-migrate-data", "self", "--yes")
    with server_on(name, disk, tmp_path) as (server, site):
        deploy(site, first_release(tmp_path / "first"))
        assert site.flask("db-migrate-data", str(taken), "--yes", **site.environ).status == 0
        deploy(site, second_release(tmp_path / "second"))
        values = ", ".join(f"({n}, 'section {n}', 'S{n}')" for n in range(9000, 9000 + written))

        def write_and_fill() -> None:
            execute(site.url, f"INSERT INTO sections (id, name, abbreviation) VALUES {values}")
            fill(disk)

        before = {row["id"] for row in site.rows()["sections"]}
        result = run_until(site, arguments, "cut-over", tmp_path / "here", write_and_fill)
        (disk / "ballast").unlink()
        if not server.is_running:  # MariaDB ends itself
            server.start()
        assert "Traceback" not in result.stderr
        assert result.status in (0, 22, 25), result.stderr
        if result.status == 22:
            assert re.search(r"The live database is unchanged\.|This run has replaced nothing", result.stderr)
            assert "has no room" in result.stderr
        if result.status == 25:
            assert site.flask("db-backup", **site.environ).status == 0
        for _ in range(2):
            now = [row["id"] for row in site.rows()["sections"]]
            assert sorted(now) == sorted(before | set(range(9000, 9000 + written))), result.stderr
            done = site.flask(*arguments, **site.environ)
            assert done.status == 0, done.stderr
        assert [item for item in databases(site.url) if "staging" in item or "__stg_" in item] == []


@pytest.mark.parametrize("step", ["staging", "load", "upgrade", "cut-over"])
@pytest.mark.parametrize("name", SIZES, ids=["MariaDB", "PostgreSQL"])
def test_the_disk_of_the_server_is_full(name: str, step: str, disk: Path, taken: Path, tmp_path: Path) -> None:
    arguments = ("db-migrate-data", str(taken), "--rerun", "--yes")
    with server_on(name, disk, tmp_path) as (server, site):
        assert site.flask("db-init").status == 0
        before = site.content()
        result = run_until(site, arguments, step, tmp_path / "here", lambda: fill(disk))
        (disk / "ballast").unlink()
        if not server.is_running:  # MariaDB ends itself
            server.start()
        assert "Traceback" not in result.stderr
        assert result.status in ((0, 22, 1, 25) if step == "cut-over" else (1, 22)), result.stderr
        if result.status in (1, 22):
            assert "The live database is unchanged." in result.stderr
            assert site.content() == before
        if result.status == 22:
            assert "room" in result.stderr
        if result.status == 25:
            finished = site.flask("db-backup")
            assert finished.status == 0, finished.stderr
        if site.content() != before:
            assert len(site.rows()["users"]) == 60
            assert site.flask("db-rollback", "--yes").status == 0
            assert site.content() == before
        done = site.flask(*arguments)
        assert done.status == 0, done.stderr
        assert len(site.rows()["users"]) == 60
        assert [found for found in databases(site.url) if "staging" in found or "__stg_" in found] == []


@of_mariadb
@pytest.mark.parametrize("table", ["cutover_veto", "users"])
def test_a_file_that_a_crash_on_a_full_disk_left_is_named(mariadb: MariaDB, table: str, tmp_path: Path) -> None:
    """The server makes no table of its name any more, and forgets no such file by itself."""
    site = ServerSite(tmp_path, url=mariadb.url(new_name()))
    database = f"{site.url.database}__ferry" if table.startswith("cutover") else str(site.url.database)
    if table == "users":
        mariadb.execute(f"CREATE DATABASE {database}")
    else:
        assert site.flask("db-init").status == 0
    before = site.content()
    mariadb.execute("CREATE TABLE other (id INT PRIMARY KEY)", database=database)
    place = mariadb.directory / "data" / database
    left = place / f"{table}.ibd"
    shutil.copy2(place / "other.ibd", left)
    shutil.chown(left, place.owner(), place.group())
    mariadb.execute("DROP TABLE other", database=database)
    refused = site.flask("db-init", "--yes")
    assert refused.status == 22, refused.stderr
    assert f"{table}`" in refused.stderr or f"/{table}'" in refused.stderr
    assert ".ibd" in refused.stderr
    assert "The live database is unchanged." in refused.stderr
    assert site.content() == before
    left.unlink()
    assert site.flask("db-init", "--yes").status == 0
