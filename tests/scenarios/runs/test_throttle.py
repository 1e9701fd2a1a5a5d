"""``--throttle``: rows come no faster than they may, a busy server is waited for; what cannot be slowed is refused."""

from __future__ import annotations

import json
import signal
import sqlite3
import threading
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from tests.scenarios.small_host import SmallHost
from tests.support.forks import start_flask
from tests.support.places import connected, new_name
from tests.support.site import MODULES, ROOT

CREATE = "CREATE TABLE letter (id INTEGER PRIMARY KEY, body VARCHAR(40))"
ROWS, RATE = 400, 200
SERVERS = ["mariadb", "postgresql"]


@pytest.fixture(scope="module")
def old(tmp_path_factory: pytest.TempPathFactory) -> SmallHost:
    directory = tmp_path_factory.mktemp("old")
    host = SmallHost(directory, sa.make_url(f"sqlite:///{directory / 'old.db'}"))
    host.revise(CREATE)
    host.done("db", "upgrade")
    with closing(sqlite3.connect(directory / "old.db")) as connection, connection:
        connection.executemany("INSERT INTO letter VALUES (?, ?)", [(n, f"body {n}") for n in range(1, ROWS + 1)])
    return host


def on_server(server: Any, directory: Path) -> SmallHost:
    url = server.url(new_name())
    server.execute(f"CREATE DATABASE {url.database}")
    host = SmallHost(directory, url)
    host.revise(CREATE)
    return host


@pytest.fixture(params=SERVERS)
def server(request: pytest.FixtureRequest) -> Any:
    return request.getfixturevalue(request.param)


def count(host: SmallHost) -> int:
    with connected(host.url) as connection:
        return int(connection.exec_driver_sql("SELECT count(*) FROM letter").scalar_one())


@pytest.mark.parametrize("jobs", ["0", "1"])
def test_rows_are_read_loaded_and_proved_no_faster(old: SmallHost, server: Any, tmp_path: Path, jobs: str) -> None:
    """Of a database each row is read once, loaded once, with help as it is read, and proved once."""
    new, report = on_server(server, tmp_path), tmp_path / "report.json"
    done = new.migrate_from(old, "--throttle", str(RATE), "--jobs", jobs, "--report", str(report))
    assert done.status == 0, done.stderr
    assert count(new) == ROWS
    written = json.loads(report.read_text())
    for step in ("extract", "verify") if jobs != "0" else ("extract", "load", "verify"):
        assert written["seconds"][step] >= ROWS / RATE, written["seconds"]
    assert written["throttled"]["rows_s"] > ROWS / RATE
    assert any(note.startswith(f"Throttled by {RATE}: waited ") for note in written["notes"])


def keep_busy(server: Any, ended: threading.Event, at_work: threading.Event) -> None:
    """A user's statement, which takes long, on a connection that is none of ours."""
    is_mysql = server.url("x").get_backend_name() == "mysql"
    engine = sa.create_engine(server.url("mysql" if is_mysql else "postgres"))
    statement = "SELECT SLEEP(60)" if is_mysql else "SELECT pg_sleep(60)"
    with engine.connect() as connection, engine.connect() as other:
        number = connection.exec_driver_sql(
            f"SELECT {'CONNECTION_ID' if is_mysql else 'pg_backend_pid'}()"
        ).scalar_one()
        thread = threading.Thread(target=lambda: _quietly(connection, statement), daemon=True)
        thread.start()
        at_work.set()
        ended.wait(60)
        other.exec_driver_sql(f"KILL QUERY {number}" if is_mysql else f"SELECT pg_cancel_backend({number})")
        thread.join(60)
    engine.dispose()


def _quietly(connection: sa.Connection, statement: str) -> None:
    try:
        connection.exec_driver_sql(statement)
    except sa.exc.DBAPIError:
        return


def test_a_busy_server_is_waited_for(old: SmallHost, server: Any, tmp_path: Path) -> None:
    new, report = on_server(server, tmp_path), tmp_path / "report.json"
    # What other tests have at work on this server is none of this one's.
    ended, at_work = threading.Event(), threading.Event()
    users = [threading.Thread(target=keep_busy, args=(server, ended, at_work)) for _ in range(3)]
    for user in users:
        user.start()
    try:
        at_work.wait(60)
        environ = {
            "FLASK_FERRY_SOURCE": old.url.render_as_string(),
            "FLASK_FERRY_THROTTLE": "load=2",
            **new.environ,
        }
        run = start_flask(
            ["db-migrate-data", "--yes", "--json", "--report", str(report)],
            environ,
            new.directory,
            modules=MODULES,
            root=ROOT,
        )
        time.sleep(8)
        assert run.poll() is None
        assert count_tables(new) == 0
    finally:
        ended.set()
        for user in users:
            user.join(60)
    out, errors = run.communicate(timeout=120)
    assert run.returncode == 0, errors
    events = [json.loads(line) for line in out.splitlines()]
    [waiting] = [event for event in events if event["event"] == "waiting"]
    assert waiting["text"] == "the target's server has more than 2 statements at work; waiting until it has not"
    assert json.loads(report.read_text())["throttled"]["load_s"] > 1
    assert count(new) == ROWS


def count_tables(host: SmallHost) -> int:
    with connected(host.url) as connection:
        return len(sa.inspect(connection).get_table_names())


def test_an_interruption_while_it_waits(old: SmallHost, mariadb: Any, tmp_path: Path) -> None:
    new = on_server(mariadb, tmp_path)
    environ = {"FLASK_FERRY_SOURCE": old.url.render_as_string(), **new.environ}
    run = start_flask(
        ["db-migrate-data", "--yes", "--throttle", "1"], environ, new.directory, modules=MODULES, root=ROOT
    )
    time.sleep(6)
    assert run.poll() is None
    run.send_signal(signal.SIGINT)
    _, errors = run.communicate(timeout=60)
    assert run.returncode == 130, errors
    assert count_tables(new) == 0


def test_what_cannot_be_slowed_down_is_refused(old: SmallHost, mariadb: Any, tmp_path: Path) -> None:
    new = on_server(mariadb, tmp_path)
    new.done("db", "upgrade")
    new.revise("ALTER TABLE letter ADD COLUMN note VARCHAR(10)", name="r2", down="r1")
    for options, words in (
        (("self", "--throttle", "100"), "--throttle is for another source"),
        (("--set-aside-from", "aside.json", "--throttle", "100"), "does not go with --throttle"),
        ((old.url.render_as_string(), "--throttle", "fast"), "FERRY_THROTTLE (--throttle) is 'fast'"),
    ):
        refused = new.flask("db-migrate-data", *options)
        assert refused.status == 2, refused.stderr
        assert words in refused.stderr
    # A setting stands there for all runs of a hook, of which some are such.
    went_on = new.flask("db-migrate-data", "self", "--yes", FLASK_FERRY_THROTTLE="100")
    assert went_on.status == 0, went_on.stderr
    assert "FERRY_THROTTLE (environment) is for another source" in went_on.stderr
    assert "Throttled" not in went_on.stderr
    file = SmallHost(tmp_path / "file", sa.make_url(f"sqlite:///{tmp_path / 'file' / 'new.db'}"))
    file.revise(CREATE)
    refused = file.migrate_from(old, "--throttle", "load=4")
    assert refused.status == 2, refused.stderr
    assert "neither the source nor the target is on one whose load could be asked" in refused.stderr


def test_a_user_who_does_not_see_the_load_is_refused(old: SmallHost, postgresql: Any, tmp_path: Path) -> None:
    new, user = on_server(postgresql, tmp_path), new_name()
    postgresql.execute(f"CREATE ROLE {user} LOGIN PASSWORD 'secret'")
    postgresql.execute(f"ALTER DATABASE {new.url.database} OWNER TO {user}")
    url = new.url.set(username=user, password="secret")
    host = SmallHost(tmp_path, url)
    refused = host.migrate_from(old, "--throttle", "load=4")
    assert refused.status == 22, refused.stderr
    assert f'GRANT pg_read_all_stats TO "{user}"' in refused.stderr
