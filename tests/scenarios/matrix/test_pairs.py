"""Every source into every server: every value, and the same checksums."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from tests.support.deployment.runner import Deployment
from tests.support.places import ServerSite, execute, fill_classic, new_name, rows_of
from tests.support.servers.mariadb import ON_MYSQL
from tests.support.site import Result, Site
from tests.support.sources.headrows import ROWS, VALUES, Tables, answered, assert_same_rows, at_head
from tests.support.sources.sites import report
from tests.support.sources.sites import rows_of as rows_of_file

TARGETS = ["sqlite", "mariadb", "postgresql"]
SERVERS = TARGETS[1:]
RESPELLED = ("postgresql", "mariadb") if ON_MYSQL else ("postgresql",)
"""Servers that keep the value of a JSON text and spell it anew."""
Deploy = Callable[[str], Any]


def live(site: Site) -> Tables:
    return site.rows() if isinstance(site, ServerSite) else rows_of_file(site.database)


def migrate(site: Site, *arguments: str, **environ: str) -> Result:
    done = site.flask("db-migrate-data", *arguments, "--yes", FLASK_FERRY_TIMEOUT="20", **environ)
    assert done.status == 0, done.stderr + done.stdout
    return done


@pytest.fixture(scope="module")
def classic(paged_database: Path) -> Tables:
    """The rows of the old database, as SQLite gives them."""
    return rows_of_file(paged_database)


@pytest.fixture(scope="module")
def classic_on(request: pytest.FixtureRequest, paged_database: Path) -> Callable[[str], tuple[URL, Tables]]:
    """The old deployment's database on a server, without ``alembic_version``, and its rows; made once."""
    made: dict[str, tuple[URL, Tables]] = {}

    def make(name: str) -> tuple[URL, Tables]:
        if name not in made:
            server = request.getfixturevalue(name)
            url = server.url(new_name())
            create = f"CREATE DATABASE {url.database}"
            execute(server.url(), create + (" COLLATE utf8mb4_bin" if name == "mariadb" else "")) if (
                name == "mariadb"
            ) else server.execute(create)
            fill_classic(url, paged_database)
            made[name] = url, rows_of(url)
        return made[name]

    return make


@pytest.mark.parametrize("target", TARGETS)
def test_a_deployment_over_http(deployed: Deploy, newer: Deployment, classic: Tables, target: str) -> None:
    site = deployed(target)
    migrate(site, **site.source(newer))
    assert_same_rows(live(site), at_head(answered(classic, *VALUES, *ROWS)), texts=False)


@pytest.mark.parametrize("target", TARGETS)
def test_a_file(deployed: Deploy, paged_database: Path, classic: Tables, target: str) -> None:
    site = deployed(target)
    migrate(site, str(paged_database))
    assert_same_rows(live(site), at_head(classic), texts=target not in RESPELLED)


@pytest.mark.parametrize("source", SERVERS)
@pytest.mark.parametrize("target", TARGETS)
def test_the_database_of_a_server(deployed: Deploy, classic_on: Any, source: str, target: str) -> None:
    url, classic = classic_on(source)
    site = deployed(target)
    migrate(site, FLASK_FERRY_SOURCE=url.render_as_string(hide_password=False))
    assert_same_rows(live(site), at_head(classic), texts=target not in RESPELLED)


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory, newer: Deployment) -> Path:
    """A snapshot of what the old deployment answers."""
    site = Site(tmp_path_factory.mktemp("answers"))
    migrate(site, **site.source(newer))
    return site.snapshot


@pytest.mark.parametrize("target", TARGETS)
def test_a_snapshot(deployed: Deploy, answers: Path, classic: Tables, target: str) -> None:
    site = deployed(target)
    migrate(site, str(answers))
    assert_same_rows(live(site), at_head(answered(classic, *VALUES, *ROWS)), texts=False)


def test_the_checksums_are_the_same_on_all_servers(deployed: Deploy, paged_database: Path) -> None:
    told = {}
    for target in TARGETS:
        site = deployed(target)
        migrate(site, str(paged_database))
        told[target] = {item["table"]: (item["rows"], item["checksum"]) for item in report(site)["tables"]}
    assert len(told["sqlite"]) == 15
    assert told["mariadb"] == told["sqlite"]
    assert told["postgresql"] == told["sqlite"]


@pytest.mark.parametrize("target", SERVERS)
def test_the_next_deploy_has_nothing_to_do(deployed: Deploy, paged_database: Path, target: str) -> None:
    site = deployed(target)
    migrate(site, str(paged_database))
    before = site.content()
    again = migrate(site, str(paged_database))
    assert "Nothing to do: already migrated" in again.last_line
    assert site.content() == before
