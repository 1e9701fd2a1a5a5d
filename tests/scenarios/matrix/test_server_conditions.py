"""What a server may be like before a run and in the middle: it takes no writes, has no connection left, is locked.

Each condition begins on a real server at a step of a real run, and has gone before the next one.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from tests.support.places import ServerSite, databases, new_name
from tests.support.runs.commands import until
from tests.support.servers import of_mariadb
from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL
from tests.support.servers.proxy import Proxy, Trap
from tests.support.site import Result, end

LIMIT_S = 120.0
HOOKS = "tests.support.runs.hooks"
USER, WORD = "somebody", "x"
Act = Callable[[], Any]


class Condition:
    """A deployed app under a user that is no superuser, and what befalls its server."""

    def __init__(self, server: Any, directory: Path, source: Path) -> None:
        self.server, self.source = server, source
        self.root = ServerSite(directory, url=server.url(new_name()))
        self.site = replace(self.root, url=self.root.url.set(username=USER, password=WORD))
        self.name = str(self.root.url.database)

    def begin(self) -> None:
        done = self.site.flask("db-init")
        assert done.status == 0, done.stderr
        self.before = self.root.content()

    @property
    def arguments(self) -> tuple[str, ...]:
        return "db-migrate-data", str(self.source), "--rerun", "--yes"

    def run(self) -> Result:
        return self.site.flask(*self.arguments)

    def run_until(self, step: str, here: Path, act: Act, site: ServerSite | None = None) -> Result:
        """A run that something befalls when it has begun a step."""
        wait = (f"{HOOKS}:wait_at", {"step": step, "here": str(here)})
        patience = (f"{HOOKS}:patience", {"seconds": 4})
        process = (site or self.site).start(*self.arguments, hooks=[wait, patience])
        try:
            until(lambda: here.exists() or process.poll() is not None, LIMIT_S)
            assert process.poll() is None, end(process)
            act()
            here.unlink()
            stdout, stderr = process.communicate(timeout=LIMIT_S)
            return Result(process.wait(), stdout, stderr)
        finally:
            end(process)

    def refused(self, result: Result, status: int, *words: str) -> None:
        """It says what and where, and what to do next; live is what it was."""
        assert result.status == status, result.stderr
        assert "Traceback" not in result.stderr
        assert "The live database is unchanged." in result.stderr
        for word in (*words, f"127.0.0.1:{self.root.url.port}"):
            assert word in result.stderr
        assert self.root.content() == self.before

    def well_again(self, *words: str) -> None:
        """The next run ends well, finds all rows, and leaves nothing of the one before."""
        done = self.run()
        assert done.status == 0, done.stderr
        for word in words:
            assert word in done.stdout + done.stderr
        assert len(self.root.rows()["users"]) == 60
        assert [name for name in databases(self.root.url) if "staging" in name or "__stg_" in name] == []
        assert self.site.flask("db-rollback", "--yes").status == 0
        assert self.root.content() == self.before


@pytest.fixture
def here(tmp_path: Path) -> Path:
    return tmp_path / "here"


# MariaDB and MySQL


@pytest.fixture
def on_mariadb(mariadb: MariaDB, tmp_path: Path, taken: Path) -> Iterator[Condition]:
    condition = Condition(mariadb, tmp_path, taken)
    mariadb.execute(f"CREATE USER {USER}@'%' IDENTIFIED BY '{WORD}'")
    try:
        for name in (condition.name, f"{condition.name}\\_\\_%"):
            mariadb.execute(f"GRANT ALL PRIVILEGES ON `{name}`.* TO {USER}@'%'")
        condition.begin()
        yield condition
    finally:
        mariadb.execute(f"DROP USER {USER}@'%'")


@contextlib.contextmanager
def of_the_server(mariadb: MariaDB, name: str, value: int) -> Iterator[Act]:
    """A global variable, set when what this gives is called, and back at the end."""
    [(former,)] = mariadb.execute(f"SELECT @@GLOBAL.{name}")
    try:
        yield lambda: mariadb.execute(f"SET GLOBAL {name} = {value}")
    finally:
        mariadb.execute(f"SET GLOBAL {name} = {former}")


@pytest.mark.parametrize("step", ["load", "verify", "upgrade", "objects", "cut-over"])
def test_mariadb_takes_no_writes_any_more(on_mariadb: Condition, mariadb: MariaDB, here: Path, step: str) -> None:
    with of_the_server(mariadb, "read_only", 1) as set_it:
        result = on_mariadb.run_until(step, here, set_it)
        on_mariadb.refused(result, 20, "read-only", "Use the server that takes writes.")
        again = on_mariadb.run()
        on_mariadb.refused(again, 20, "read-only", "Use the server that takes writes.")
    on_mariadb.well_again()


@contextlib.contextmanager
def no_connection_left(mariadb: MariaDB) -> Iterator[Act]:
    """Others take every connection there is, but root's own."""
    taken: list[Any] = []

    def take() -> None:
        mariadb.execute("SET GLOBAL max_connections = 12")
        with contextlib.suppress(pymysql.OperationalError):
            for _ in range(200):
                taken.append(pymysql.connect(host="127.0.0.1", port=mariadb.port, user=USER, password=WORD))

    try:
        yield take
    finally:
        mariadb.execute("SET GLOBAL max_connections = 200")
        for connection in taken:
            connection.close()


def test_mariadb_has_no_connection_left(on_mariadb: Condition, mariadb: MariaDB) -> None:
    with no_connection_left(mariadb) as take:
        take()
        on_mariadb.refused(on_mariadb.run(), 1, "no connection left", "max_connections")


@pytest.mark.parametrize("step", ["load", "objects"])
def test_mariadb_has_no_connection_left_any_more(
    on_mariadb: Condition, mariadb: MariaDB, here: Path, step: str
) -> None:
    with no_connection_left(mariadb) as take:
        result = on_mariadb.run_until(step, here, take)
        on_mariadb.refused(result, 1, "no connection left", "max_connections")
    on_mariadb.well_again()


def test_a_user_of_mariadb_has_no_connection_left(on_mariadb: Condition, mariadb: MariaDB, here: Path) -> None:
    limit = f"ALTER USER {USER}@'%' WITH MAX_USER_CONNECTIONS 1"
    result = on_mariadb.run_until("load", here, lambda: mariadb.execute(limit))
    on_mariadb.refused(result, 1, "no connection left", "max_user_connections")
    mariadb.execute(f"ALTER USER {USER}@'%' WITH MAX_USER_CONNECTIONS 0")
    on_mariadb.well_again()


def test_a_row_is_larger_than_a_packet_may_be(on_mariadb: Condition, mariadb: MariaDB) -> None:
    with of_the_server(mariadb, "max_allowed_packet", 16384) as set_it:
        set_it()
        result = on_mariadb.run()
        assert result.status == 22, result.stderr
        for words in ("posts: 1 row: The row needs", "max_allowed_packet allows 1", "The live database is unchanged."):
            assert words in result.stderr
        assert on_mariadb.root.content() == on_mariadb.before
    on_mariadb.well_again()


@of_mariadb
@pytest.mark.parametrize("step", ["cut-over"])
def test_a_forgotten_transaction_of_mariadb(on_mariadb: Condition, mariadb: MariaDB, here: Path, step: str) -> None:
    """It has read a live table and is idle: the swap gives up in a bounded time, named, and nothing is torn."""
    with mariadb.connect(on_mariadb.name) as forgotten:

        def read() -> None:
            forgotten.autocommit(False)
            with forgotten.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM users")

        began = time.monotonic()
        result = on_mariadb.run_until(step, here, read)
        assert result.status == 11, result.stderr
        assert time.monotonic() - began < LIMIT_S
        for words in ("kept tables of", "The live database is unchanged.", "SHOW PROCESSLIST", "XA ROLLBACK"):
            assert words in result.stderr
        assert on_mariadb.root.content() == on_mariadb.before
    on_mariadb.well_again()


# PostgreSQL


@pytest.fixture
def on_postgresql(postgresql: PostgreSQL, tmp_path: Path, taken: Path) -> Iterator[Condition]:
    condition = Condition(postgresql, tmp_path, taken)
    postgresql.execute(f"CREATE ROLE {USER} LOGIN PASSWORD '{WORD}'")
    postgresql.execute(f"CREATE DATABASE {condition.name} OWNER {USER}")
    postgresql.execute(f"ALTER SCHEMA public OWNER TO {USER}", database=condition.name)
    try:
        condition.begin()
        yield condition
    finally:
        postgresql.execute(f"DROP DATABASE {condition.name} (FORCE)")
        postgresql.execute(f"DROP ROLE {USER}")


def of_the_role(postgresql: PostgreSQL, what: str) -> Act:
    return lambda: postgresql.execute(f"ALTER ROLE {USER} {what}")


def test_a_role_that_may_not_write(on_postgresql: Condition, postgresql: PostgreSQL) -> None:
    of_the_role(postgresql, "SET default_transaction_read_only = on")()
    result = on_postgresql.run()
    assert result.status == 20, result.stderr
    assert "default_transaction_read_only" in result.stderr
    assert f'ALTER ROLE "{USER}" RESET' in result.stderr
    assert on_postgresql.root.content() == on_postgresql.before
    of_the_role(postgresql, "RESET ALL")()
    on_postgresql.well_again()


def test_a_role_that_may_not_write_any_more(on_postgresql: Condition, postgresql: PostgreSQL, here: Path) -> None:
    """A run that began goes on: each of its sessions says for itself that it writes."""
    result = on_postgresql.run_until("load", here, of_the_role(postgresql, "SET default_transaction_read_only = on"))
    of_the_role(postgresql, "RESET ALL")()
    assert result.status == 0, result.stderr


@pytest.mark.parametrize("step", ["load", "objects", "cut-over"])
def test_a_role_has_no_connection_left(on_postgresql: Condition, postgresql: PostgreSQL, here: Path, step: str) -> None:
    result = on_postgresql.run_until(step, here, of_the_role(postgresql, "CONNECTION LIMIT 0"))
    on_postgresql.refused(result, 1, "no connection left", "CONNECTION LIMIT")
    on_postgresql.refused(on_postgresql.run(), 1, "no connection left", "CONNECTION LIMIT")
    of_the_role(postgresql, "CONNECTION LIMIT -1")()
    on_postgresql.well_again()


def test_few_connections_are_no_reason_to_go_on_half(on_postgresql: Condition, postgresql: PostgreSQL) -> None:
    for limit in (2, 3, 5):
        of_the_role(postgresql, f"CONNECTION LIMIT {limit}")()
        result = on_postgresql.run()
        # What takes the last one may be pg_dump.
        assert result.status in (1, 21), result.stderr
        assert "too many connections for role" in result.stderr
        assert "The live database is unchanged." in result.stderr
        assert on_postgresql.root.content() == on_postgresql.before


def test_time_limits_of_a_role_are_none_of_ours(on_postgresql: Condition, postgresql: PostgreSQL, here: Path) -> None:
    """The swap waits for a lock for longer than the role's statements, locks and idle transactions may take."""
    for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout"):
        of_the_role(postgresql, f"SET {name} = '1s'")()
    with postgresql.connect(on_postgresql.name) as other:
        let_go = threading.Timer(2.0, other.execute, ["ROLLBACK"])

        def hold() -> None:
            other.execute("BEGIN")
            other.execute("SELECT count(*) FROM users")
            let_go.start()

        result = on_postgresql.run_until("cut-over", here, hold)
        let_go.join()
    assert result.status == 0, result.stderr


@pytest.mark.parametrize("step", ["cut-over"])
def test_a_forgotten_transaction_of_postgresql(
    on_postgresql: Condition, postgresql: PostgreSQL, here: Path, step: str
) -> None:
    """It has read a live table and is idle: the swap gives up in a bounded time, named, and nothing is torn."""
    values = {"user": USER, "password": WORD, "dbname": on_postgresql.name, "port": postgresql.port}
    with psycopg.connect(host="127.0.0.1", autocommit=True, **values) as forgotten:

        def read() -> None:
            forgotten.execute("BEGIN")
            forgotten.execute("SELECT count(*) FROM users")

        result = on_postgresql.run_until(step, here, read)
        assert result.status == 11, result.stderr
        pid = forgotten.info.backend_pid
        for words in (f"process {pid}", "idle in transaction", f"pg_terminate_backend({pid})", "database is unchanged"):
            assert words in result.stderr
        assert on_postgresql.root.content() == on_postgresql.before
    on_postgresql.well_again()


@pytest.mark.parametrize("step", ["backup", "load", "upgrade", "objects", "cut-over"])
def test_sessions_are_terminated(on_postgresql: Condition, postgresql: PostgreSQL, here: Path, step: str) -> None:
    """Either the run says so and live is as it was, or it goes on with other sessions; there is nothing between."""
    ending = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE usename = '{USER}'"
    ended: list[Any] = []
    result = on_postgresql.run_until(step, here, lambda: ended.extend(postgresql.execute(ending)))
    assert ended[0][0], "or this proves nothing"
    if result.status:
        on_postgresql.refused(result, 1)
        on_postgresql.well_again()
        return
    assert len(on_postgresql.root.rows()["users"]) == 60
    assert on_postgresql.site.flask("db-rollback", "--yes").status == 0
    assert on_postgresql.root.content() == on_postgresql.before


COMMITS = {
    "it arrived": (Trap(b"COMMIT\0", b"RENAME TO", arrives=True), 0),
    "it did not arrive": (Trap(b"COMMIT\0", b"RENAME TO", arrives=False), 1),
    "it arrived and nobody can look": (Trap(b"COMMIT\0", b"RENAME TO", arrives=True, closes=True), 25),
    "it did not arrive and nobody can look": (Trap(b"COMMIT\0", b"RENAME TO", arrives=False, closes=True), 25),
}


@pytest.mark.parametrize("kind", COMMITS)
def test_the_connection_is_lost_at_the_commit_of_the_cut_over(on_postgresql: Condition, here: Path, kind: str) -> None:
    """What became of it is looked up; where nobody can look, the next run does."""
    condition, (trap, status) = on_postgresql, COMMITS[kind]
    with Proxy(int(condition.root.url.port or 0)) as proxy:
        through = replace(condition.site, url=condition.site.url.set(port=proxy.port))
        result = condition.run_until("cut-over", here, lambda: setattr(proxy, "trap", trap), through)
    assert trap.caught.is_set(), "or this proves nothing"
    assert result.status == status, result.stderr
    if status == 1:
        assert "it did not take effect, nothing was changed" in result.stderr
    elif status == 25:
        assert "flask db-migrate-data --yes" in result.stderr
    is_new = len(condition.root.rows()["users"]) == 60
    assert is_new == trap.arrives
    assert is_new or condition.root.content() == condition.before
    if not trap.arrives:
        condition.well_again(*(["before it took effect: the old database is live"] if status == 25 else []))
        return
    if status == 25:
        finished = condition.site.flask("db-backup")
        assert finished.status == 0, finished.stderr
        assert "the new database is live" in finished.stderr
    assert condition.site.flask("db-rollback", "--yes").status == 0
    assert condition.root.content() == condition.before


def test_a_standby(tmp_path: Path, taken: Path) -> None:
    """A hot standby answers every question and takes no writes."""
    primary = PostgreSQL("wal_level=replica", "max_wal_senders=2")
    try:
        primary.prepare()
        primary.start()
        condition = Condition(primary, tmp_path, taken)
        primary.execute(f"CREATE ROLE {USER} LOGIN CREATEDB PASSWORD '{WORD}'")
        condition.begin()
        primary.kill()
        signal_file = primary.data / "standby.signal"
        signal_file.touch()
        shutil.chown(signal_file, primary.data.owner(), primary.data.group())
        primary.start()
        assert primary.execute("SELECT pg_is_in_recovery()") == [(True,)]
        result = condition.run()
        assert result.status == 20, result.stderr
        assert "standby" in result.stderr
        assert "primary" in result.stderr
        assert condition.root.content() == condition.before
        assert condition.site.flask("db-status").status == 0
    finally:
        primary.stop()
