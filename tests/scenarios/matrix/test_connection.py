"""Connections that drop or stall in the middle, wrong passwords, servers that are not there."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.support.places import ServerSite, databases
from tests.support.servers import free_port
from tests.support.servers.proxy import Proxy
from tests.support.site import Site
from tests.support.sources.sites import assert_refused

Deploy = Callable[[str], ServerSite]
SERVERS = ["mariadb", "postgresql"]


@pytest.fixture(params=SERVERS)
def site(request: pytest.FixtureRequest, deployed: Deploy) -> ServerSite:
    return deployed(request.param)


def through(site: ServerSite, proxy: Proxy) -> ServerSite:
    """The same site, whose app and commands reach the server by the proxy."""
    return replace(site, url=site.url.set(port=proxy.port))


def test_a_dropped_connection_changes_nothing(site: ServerSite, taken: Path) -> None:
    assert site.flask("db-init").status == 0
    before, cuts = site.content(), 0
    with Proxy(int(site.url.port or 0)) as proxy:
        for cut_after in (120_000, 900_000):
            proxy._seen, proxy.cut_after = 0, cut_after
            result = through(site, proxy).flask("db-migrate-data", str(taken), "--rerun", "--yes")
            assert "Traceback" not in result.stderr, result.stderr
            if result.status == 0:
                break
            assert result.status in (1, 21, 25), result.stderr
            if result.status == 25:
                assert site.flask("db-backup").status == 0
            assert site.content() == before
            cuts += 1
    assert cuts, "or this proves nothing"
    assert site.flask("db-migrate-data", str(taken), "--rerun", "--yes").status == 0
    assert [name for name in databases(site.url) if "staging" in name or "__stg" in name] == []


def test_a_source_that_drops_off_is_3_and_its_snapshot_stands_in(site: ServerSite, tmp_path: Path) -> None:
    assert site.flask("db-init").status == 0
    target = Site(tmp_path / "target")
    target.directory.mkdir()
    with Proxy(int(site.url.port or 0)) as proxy:
        source = through(site, proxy).url.render_as_string(hide_password=False)
        proxy.cut_after = 30_000
        refused = target.flask("db-migrate-data", "--yes", FLASK_FERRY_SOURCE=source)
        assert_refused(refused, 3)
        assert target.content() == ""
        assert target.flask("db-migrate-data", "--yes", FLASK_FERRY_SOURCE=source).status == 0
        proxy._seen, proxy.cut_after = 0, 30_000
        again = target.flask("db-migrate-data", "--rerun", "--yes", FLASK_FERRY_SOURCE=source)
        assert again.status == 0, again.stderr
        assert "not from the source" in again.last_line
    if site.url.password:
        assert str(site.url.password) not in refused.stderr + again.stdout + again.stderr


def test_a_server_that_is_not_there(site: ServerSite) -> None:
    nowhere = replace(site, url=site.url.set(port=free_port()))
    result = nowhere.flask("db-status")
    assert result.status == 1
    assert "does not answer" in result.stderr
    assert "Traceback" not in result.stderr


def test_a_wrong_password(site: ServerSite) -> None:
    wrong = replace(site, url=site.url.set(username="nobody", password="s3cret-word"))
    result = wrong.flask("db-status")
    assert result.status == 2, result.stderr
    assert "nobody" in result.stderr
    assert "s3cret-word" not in result.stdout + result.stderr


def test_a_wrong_password_of_the_source(site: ServerSite, tmp_path: Path) -> None:
    assert site.flask("db-init").status == 0
    target = Site(tmp_path / "target")
    target.directory.mkdir()
    source = f"{site.url.drivername}://nobody@{site.url.host}:{site.url.port}/{site.url.database}"
    result = target.flask("db-migrate-data", source, "--yes", FLASK_FERRY_SOURCE_PASSWORD="s3cret-word")
    assert result.status == 12, result.stderr
    assert "s3cret-word" not in result.stdout + result.stderr


def test_a_password_is_no_argument(site: ServerSite, tmp_path: Path) -> None:
    target = Site(tmp_path / "target")
    target.directory.mkdir()
    source = site.url.set(username="somebody", password="s3cret-word").render_as_string(hide_password=False)
    result = target.flask("db-migrate-data", source, "--yes")
    assert_refused(result, 2, "FLASK_FERRY_SOURCE_PASSWORD")
    assert "s3cret-word" not in result.stdout + result.stderr


def test_a_server_of_another_kind_is_refused_by_name(tmp_path: Path) -> None:
    site = ServerSite(tmp_path, url=URL.create("mssql+pyodbc", host="127.0.0.1", database="x"))
    result = site.flask("db-migrate-data", "mssql://host/x", "--yes", DATABASE_URL=f"sqlite:///{tmp_path}/x.db")
    assert result.status == 20, result.stderr
    assert "mssql" in result.stderr
