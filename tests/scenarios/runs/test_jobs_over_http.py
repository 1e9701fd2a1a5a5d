"""Rows of an export over HTTP, with processes that load them while the rest comes."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
import sqlalchemy as sa

from app.transfer.staging import ahead
from tests.scenarios.runs.test_jobs import CREATE, NOTES, SERVERS, note_children
from tests.scenarios.small_host import SmallHost, host_on
from tests.support.places import connected, execute
from tests.support.serving import Proxy, Server, proxied

ROWS, WIDTH, ANSWERS = 3_000, 64, 20_000
"""Some 12 MB of letters, which no compression makes much smaller: more than two parts. Answers come behind them."""


def body_of(number: int) -> str:
    return "".join(hashlib.sha256(f"{number} {part}".encode()).hexdigest() for part in range(WIDTH))


@pytest.fixture
def old(tmp_path: Path) -> SmallHost:
    (tmp_path / "old").mkdir()
    old = SmallHost(tmp_path / "old", sa.make_url(f"sqlite:///{tmp_path / 'old' / 'old.db'}"))
    old.revise(*CREATE)
    old.done("db", "upgrade")
    with closing(sqlite3.connect(str(old.url.database))) as connection, connection:
        connection.execute("PRAGMA journal_mode = WAL")
        rows = [(n, f"name {n}", body_of(n)) for n in range(1, ROWS + 1)]
        connection.executemany("INSERT INTO letter VALUES (?, ?, ?)", rows)
        connection.executemany("INSERT INTO answer VALUES (?, ?)", [(n, n % ROWS + 1) for n in range(1, ANSWERS + 1)])
    return old


@pytest.fixture
def served(old: SmallHost) -> Iterator[Server]:
    with Server("tests.scenarios.small_host:create_app()", old.environ, old.directory / "served.log") as server:
        yield server


@pytest.fixture(params=SERVERS)
def new(request: pytest.FixtureRequest, tmp_path: Path) -> SmallHost:
    return host_on(request, tmp_path, *CREATE)


def migrate(new: SmallHost, url: str, *options: str) -> tuple[Any, dict[str, str]]:
    """What the command said, and how many helped behind which step."""
    notes = new.directory / "notes"
    done = new.flask(
        *("db-migrate-data", "--yes", "--report", str(new.directory / "report.json"), *options),
        FLASK_FERRY_SOURCE=url,
        FLASK_FERRY_SOURCE_UID="anybody",
        FLASK_FERRY_SOURCE_PASSWORD="anything",
        FLASK_FERRY_TIMEOUT="30",
        FLASK_FERRY_HOOKS=f"{note_children.__module__}:note_children",
        **{NOTES: str(notes)},
    )
    return done, dict(line.split() for line in notes.read_text().splitlines()) if notes.exists() else {}


def rows_of(host: SmallHost) -> dict[str, list[tuple[Any, ...]]]:
    with connected(host.url) as connection:
        return {
            name: [tuple(row) for row in connection.exec_driver_sql(f"SELECT * FROM {name} ORDER BY id").fetchall()]
            for name in ("letter", "answer")
        }


def counts_of(host: SmallHost) -> dict[str, tuple[int, int]]:
    report = json.loads((host.directory / "report.json").read_text())
    return {item["table"]: (item["rows"], item["loaded"]) for item in report["tables"]}


@pytest.mark.parametrize("jobs", ["0", "1"])
def test_every_row_arrives(old: SmallHost, served: Server, new: SmallHost, jobs: str) -> None:
    done, helpers = migrate(new, served.url, "--jobs", jobs)
    assert done.status == 0, done.stderr
    assert rows_of(new) == rows_of(old)
    assert counts_of(new) == {"letter": (ROWS, ROWS), "answer": (ANSWERS, ANSWERS)}
    assert ((helpers["extract"] != "0"), helpers["cut-over"]) == (jobs != "0", "0")


def test_nobody_helps_unasked_with_a_small_source(served: Server, new: SmallHost) -> None:
    """The deployment says how large it is."""
    done, helpers = migrate(new, served.url)
    assert (done.status, helpers["extract"]) == (0, "0"), done.stderr
    assert ahead.WORTH_BYTES > 20 << 20


def write_when_broken_off(proxy: Proxy, write: Callable[[], None]) -> threading.Thread:
    """Write to the source between the attempt that is broken off and the next."""

    def wait() -> None:
        until = time.monotonic() + 60
        while proxy.times and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(0.2)
        write()

    thread = threading.Thread(target=wait)
    thread.start()
    return thread


@pytest.mark.parametrize("place", ["in the letters", "behind them"])
def test_nothing_stays_of_an_attempt_that_broke_off(old: SmallHost, served: Server, new: SmallHost, place: str) -> None:
    """Rows that were loaded of the first are others when the second is read."""
    with urlopen(f"{served.url}/ferry/export") as answer:
        size = len(answer.read())

    def write() -> None:
        execute(old.url, "UPDATE letter SET body = 'other' WHERE id = 2")

    after = 6_000_000 if place == "in the letters" else size - 200
    with proxied(served, after_bytes=after, times=1) as proxy:
        thread = write_when_broken_off(proxy, write)
        done, helpers = migrate(new, proxy.url, "--jobs", "1")
        thread.join()
        asked = proxy.asked
    assert done.status == 0, done.stderr
    # The first attempt had a worker, so something of it was loaded.
    assert (helpers["extract"], asked) == ("1", 2)
    rows = rows_of(new)
    assert rows["letter"][1] == (2, "name 2", "other")
    assert rows == rows_of(old)
    assert counts_of(new) == {"letter": (ROWS, ROWS), "answer": (ANSWERS, ANSWERS)}


def test_an_export_that_always_breaks_off_leaves_nothing(served: Server, new: SmallHost) -> None:
    with proxied(served, after_bytes=6_000_000, times=1000) as proxy:
        done, _ = migrate(new, proxy.url, "--jobs", "1")
        assert (done.status, proxy.url in done.stderr) == (3, True), done.stderr
    again, _ = migrate(new, served.url, "--jobs", "1")
    assert again.status == 0, again.stderr
