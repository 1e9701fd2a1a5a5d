"""A database on a server that is written while it is read as a source."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from tests.support.places import Server, connected, execute, fill_classic, new_name
from tests.support.site import Site
from tests.support.sources.sites import report, rows_of

LATE = "INSERT INTO study VALUES ({}, (SELECT min(id) FROM users), 'late', 'b', true, 'once')"
MOST_WRITES = 2000
IDS = "SELECT id FROM study WHERE id >= 50000 ORDER BY id"


@pytest.fixture
def busy(server: Callable[[str], Server], paged_database: Path) -> Callable[[str], URL]:
    """The old deployment's database on a server."""

    def make(name: str) -> URL:
        url = server(name).url(new_name())
        collation = " COLLATE utf8mb4_bin" if name == "mariadb" else ""
        server(name).execute(f"CREATE DATABASE {url.database}{collation}")
        fill_classic(url, paged_database)
        return url

    return make


@pytest.mark.parametrize("source", ["mariadb", "postgresql"])
def test_every_write_is_carried_or_told(site: Site, busy: Any, source: str) -> None:
    url = busy(source)
    failures: list[Exception] = []

    def work() -> None:
        try:
            for number in range(50_000, 50_000 + MOST_WRITES):
                execute(url, LATE.format(number))
                if done.wait(0.05):
                    return
        except Exception as error:  # noqa: BLE001 # told by the test itself
            failures.append(error)

    done = threading.Event()
    writer = threading.Thread(target=work)
    writer.start()
    try:
        result = site.flask("db-migrate-data", "--yes", FLASK_FERRY_SOURCE=url.render_as_string(hide_password=False))
    finally:
        done.set()
        writer.join(timeout=30)
    assert (result.status, failures) == (0, []), result.stderr
    with connected(url) as connection:
        written = [row[0] for row in connection.exec_driver_sql(IDS)]
    carried = sorted(row["id"] for row in rows_of(site.database)["studies"] if row["id"] >= 50_000)
    told = report(site)
    assert carried == written[: len(carried)]
    assert sum(c["added"] for c in told["catch_up"]) > 0
    assert len(carried) < len(written)
    assert told["not_caught_up"] == ["study"]
