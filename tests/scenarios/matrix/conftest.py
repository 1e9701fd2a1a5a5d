"""Databases of their own on the private servers, and deployed apps that use them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.scenarios.sources.conftest import newer, old_file, paged_database, small_database  # noqa: F401 # fixtures
from tests.support.places import Server, ServerSite, new_name
from tests.support.site import Site
from tests.support.sources.sites import flask as in_process


@pytest.fixture(scope="session")
def taken(tmp_path_factory: pytest.TempPathFactory, small_database: Path) -> Path:  # noqa: F811 # the fixture
    """A snapshot of the old deployment's rows: a source at a known revision, which need not be recognised."""
    site = Site(tmp_path_factory.mktemp("taken"))
    assert in_process(site, "db-migrate-data", str(small_database), "--yes").status == 0
    return site.snapshot


@pytest.fixture
def server(request: pytest.FixtureRequest) -> Callable[[str], Server]:
    """A server by its name, started when it is first asked for."""

    def named(name: str) -> Server:
        found: Server = request.getfixturevalue(name)
        return found

    return named


@pytest.fixture
def new_database(server: Callable[[str], Server]) -> Callable[[str], URL]:
    """The URL of a database that is not there yet."""
    return lambda name: server(name).url(new_name())


@pytest.fixture
def deployed(tmp_path: Path, new_database: Callable[[str], URL]) -> Callable[[str], ServerSite | Site]:
    """A deployed app on a server (or on SQLite), with no database yet."""

    def deploy(name: str) -> ServerSite | Site:
        directory = tmp_path / f"on-{name}"
        directory.mkdir()
        return Site(directory) if name == "sqlite" else ServerSite(directory, url=new_database(name))

    return deploy
