"""A Ferry deployment as the source of a migration: another process, real HTTP."""

from __future__ import annotations

import shutil
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path

import pytest

from app.transfer.rows.snapshot import check
from tests.support.local import HEAD, PRODUCTION, Local, refused
from tests.support.serving import Proxy, Server, proxied
from tests.support.site import Site, query

from . import otherhost
from .conftest import source


def tables(database: Path) -> list[str]:
    return [name for (name,) in query(database, "SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")]


def same_rows(one: Path, other: Path) -> None:
    """Every table of the one holds what the other's holds; columns by name."""
    assert tables(one) == tables(other)
    for name in tables(one):
        columns = ", ".join(f'"{row[1]}"' for row in query(one, f"PRAGMA table_info({name})"))
        sql = f"SELECT {columns} FROM {name} ORDER BY 1, 2, 3" if columns.count(",") > 1 else f"SELECT * FROM {name}"
        assert query(one, sql) == query(other, sql), name


def test_every_table_arrives_as_it_is(target: Local, served: Path) -> None:
    result = target.ok("db-migrate-data", "--yes")
    same_rows(served / "app.db", target.database)
    assert HEAD in result.last_line
    header, footer = check(target.snapshot)
    assert header.identity == target.environ["FLASK_FERRY_SOURCE"]
    assert footer.checksums["users"].rows == target.query("SELECT count(*) FROM users")[0][0]
    assert target.snapshot.stat().st_mode & 0o777 == 0o600
    assert target.report()["source"]["revision"] == HEAD
    assert target.staging() == []


def test_as_a_process(tmp_path: Path, server: Server, served: Path) -> None:
    site = Site(tmp_path, environ=source(server.url))
    result = site.flask("db-migrate-data", "--yes")
    assert result.status == 0, result.stderr
    same_rows(served / "app.db", site.database)
    again = site.flask("db-migrate-data", "--yes")
    assert (again.status, len(again.stdout.splitlines())) == (0, 1)


def test_counts_only(target: Local, served: Path) -> None:
    target.ok("db-migrate-data", "--yes", "--verify", "counts")
    same_rows(served / "app.db", target.database)


def test_it_can_be_proved_again(target: Local, server: Server) -> None:
    target.ok("db-migrate-data", "--yes")
    target.ok("db-verify")
    target.ok("db-verify", "--against", server.url)
    target.write("UPDATE users SET name = 'Somebody else' WHERE uid = 'niko'")
    snapshot = target.snapshot.read_bytes()
    result = target.run("db-verify", "--against", server.url)
    assert result.status == 23
    assert "'Somebody else'" in result.stdout
    assert target.snapshot.read_bytes() == snapshot


def test_a_wrong_table_is_excluded_by_name(target: Local) -> None:
    target.ok("db-migrate-data", "--yes", "--exclude", "feedbacks")
    assert target.query("SELECT count(*) FROM feedbacks") == [(0,)]


# Credentials


@pytest.mark.parametrize(("uid", "password"), [("toby", "wrong-4711"), ("nobody", "wrong-4711"), ("niko", "123Niko!")])
def test_who_may_not_read(target: Local, server: Server, uid: str, password: str) -> None:
    result = target.run("db-migrate-data", "--yes", **source(server.url, uid, password))
    refused(result, 12, server.url)
    assert password not in result.stdout + result.stderr
    assert not target.database.exists()


def test_missing_credentials(target: Local) -> None:
    del target.environ["FLASK_FERRY_SOURCE_PASSWORD"]
    refused(target.run("db-migrate-data", "--yes"), 2, "FERRY_SOURCE_PASSWORD")


@pytest.fixture(scope="module")
def basic(tmp_path_factory: pytest.TempPathFactory, served: Path) -> Server:
    directory = tmp_path_factory.mktemp("basic")
    environ = Local(served).env(PYTHONWARNINGS="")
    with Server("tests.scenarios.export.otherhost:create_app()", environ, directory / "server.log") as started:
        yield started


def test_a_host_without_the_classic_log_in_is_asked_by_http_basic(target: Local, basic: Server, served: Path) -> None:
    target.ok("db-migrate-data", "--yes", **source(basic.url, otherhost.UID, otherhost.PASSWORD))
    same_rows(served / "app.db", target.database)


@pytest.mark.parametrize("uid", ["keeper", "visitor"])
def test_a_host_without_the_classic_log_in_refuses(target: Local, basic: Server, uid: str) -> None:
    refused(target.run("db-migrate-data", "--yes", **source(basic.url, uid, "wrong")), 12, basic.url, uid)


# Broken off


@pytest.mark.parametrize("after_bytes", [300, 4000])
def test_an_export_that_breaks_off_is_asked_for_again(
    target: Local, server: Server, served: Path, after_bytes: int
) -> None:
    with proxied(server, after_bytes=after_bytes, times=2) as proxy:
        target.ok("db-migrate-data", "--yes", **source(proxy.url))
        assert (proxy.asked, proxy.times) == (3, 0)
    same_rows(served / "app.db", target.database)


def test_an_export_that_always_breaks_off(target: Local, server: Server) -> None:
    with proxied(server, times=1000) as proxy:
        refused(target.run("db-migrate-data", "--yes", **source(proxy.url)), 3, proxy.url)
        assert 2 <= proxy.asked <= 5
    assert target.content() == ""
    assert not target.snapshot.exists()
    assert target.staging() == []


def test_the_last_good_snapshot_stands_in(target: Local, server: Server, served: Path) -> None:
    with proxied(server, times=0) as proxy:
        target.ok("db-migrate-data", "--yes", **source(proxy.url))
        snapshot = target.snapshot.read_bytes()
        proxy.times = 1000
        result = target.run("db-migrate-data", "--yes", "--rerun", "--fallback", "never", **source(proxy.url))
        refused(result, 3, proxy.url)
        assert target.snapshot.read_bytes() == snapshot
        result = target.ok("db-migrate-data", "--yes", "--rerun", **source(proxy.url))
    assert "from the snapshot of" in result.last_line
    assert "not from the source" in result.last_line
    assert target.snapshot.read_bytes() == snapshot
    same_rows(served / "app.db", target.database)


def test_a_server_that_is_killed_in_the_middle(target: Local, served: Path, tmp_path: Path) -> None:
    environ = Local(served).env(FLASK_INSTANCE_PATH=str(served), SECRET_KEY="x" * 32, PYTHONWARNINGS="")
    with Server("app:create_app()", environ, tmp_path / "server.log") as mortal:
        with proxied(mortal, after_bytes=10**9, times=1000) as proxy:
            watcher = threading.Thread(target=_stop_when_asked, args=(proxy, mortal), daemon=True)
            watcher.start()
            result = target.run("db-migrate-data", "--yes", **source(proxy.url))
            watcher.join(20)
        # It may have sent everything before it was stopped; a half is never taken for the whole.
        assert result.status in (0, 3), result.stderr
        if result.status == 0:
            same_rows(served / "app.db", target.database)
        else:
            assert target.content() == ""
            assert not target.snapshot.exists()


def _stop_when_asked(proxy: Proxy, server: Server) -> None:
    until = time.monotonic() + 15
    while not proxy.asked and time.monotonic() < until:
        time.sleep(0.0005)
    server.stop()


def test_a_server_that_is_down(target: Local) -> None:
    result = target.run("db-migrate-data", "--yes", **source("http://127.0.0.1:9"), FLASK_FERRY_TIMEOUT="0.3")
    refused(result, 3, "http://127.0.0.1:9")


# This very database


def test_a_deployment_that_serves_this_very_target(tmp_path: Path, served: Path) -> None:
    shutil.copytree(served, tmp_path / "both")
    site = Local(tmp_path / "both")
    live = site.content()
    environ = site.env(FLASK_INSTANCE_PATH=str(site.directory), SECRET_KEY="x" * 32, PYTHONWARNINGS="")
    with Server("app:create_app()", environ, tmp_path / "server.log") as server:
        for options in (["--yes"], ["--yes", "--allow-production"], ["--yes", "--dry-run"]):
            result = site.run("db-migrate-data", *options, **source(server.url))
            refused(result, 20, server.url, "flask db-migrate-data self")
            assert site.content() == live
        # By another name it is the same database.
        result = site.run("db-migrate-data", "--yes", **source(server.url.replace("127.0.0.1", "localhost")))
        refused(result, 20)
    assert site.content() == live


def test_production_is_filled_from_it_without_permission_when_empty(target: Local, served: Path) -> None:
    target.ok("db-migrate-data", "--yes", **PRODUCTION)
    same_rows(served / "app.db", target.database)


def test_writes_at_the_source_meanwhile_do_not_tear_it(target: Local, served: Path, tmp_path: Path) -> None:
    """A writer that keeps two tables equal, in WAL mode; every export holds as much of one as of the other."""
    shutil.copytree(served, tmp_path / "busy")
    busy = Local(tmp_path / "busy")
    environ = busy.env(FLASK_INSTANCE_PATH=str(busy.directory), SECRET_KEY="x" * 32, PYTHONWARNINGS="")
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(busy.database, isolation_level=None, timeout=20)) as writer:
            number = 0
            while not stop.is_set():
                number += 1
                writer.execute("BEGIN IMMEDIATE")
                writer.execute("INSERT INTO feedbacks (title, body) VALUES ('pair', ?)", (str(number),))
                writer.execute("INSERT INTO sections (name, abbreviation) VALUES ('pair', ?)", (f"P{number}",))
                writer.execute("COMMIT")

    with closing(sqlite3.connect(busy.database)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
    with Server("app:create_app()", environ, tmp_path / "server.log") as server:
        thread = threading.Thread(target=write)
        thread.start()
        try:
            target.ok("db-migrate-data", "--yes", **source(server.url))
        finally:
            stop.set()
            thread.join(20)
    pairs = [
        target.query(f"SELECT count(*) FROM {table} WHERE {column} = 'pair'")[0][0]
        for table, column in (("feedbacks", "title"), ("sections", "name"))
    ]
    assert pairs[0] == pairs[1]
    assert pairs[0] > 0
