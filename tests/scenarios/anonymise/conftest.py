"""Deployments whose personal values are marked, as every kind of source."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.runs.conftest import place, server  # noqa: F401 # fixtures
from tests.support.deployment import words
from tests.support.deployment.data import make_database
from tests.support.deployment.runner import Deployment
from tests.support.serving import Server
from tests.support.site import Site
from tests.support.sources.sites import SMALL, flask

from .personal import mark, marked


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The marked database of an old deployment. Nobody writes to it."""
    file = tmp_path_factory.mktemp("marked") / "old.db"
    make_database(file, SMALL)
    mark(file)
    return file


@pytest.fixture(scope="session")
def classic(tmp_path_factory: pytest.TempPathFactory, old: Path) -> Iterator[dict[str, str]]:
    """The old deployment itself, as a source."""
    with Deployment(tmp_path_factory.mktemp("classic"), database=old) as deployment:
        yield source(deployment.url)


@pytest.fixture(scope="session")
def raw(tmp_path_factory: pytest.TempPathFactory, old: Path) -> Site:
    """A site that holds everything as it is, at head."""
    site = Site(tmp_path_factory.mktemp("raw"))
    done = flask(site, "db-migrate-data", str(old), "--yes")
    assert done.status == 0, done.stderr
    assert {"data.json", "app.db"} <= set(marked(site.directory))
    return site


@pytest.fixture(scope="session")
def ferry(tmp_path_factory: pytest.TempPathFactory, raw: Site) -> Iterator[dict[str, str]]:
    """The same served by the export protocol, as a source."""
    environ = raw.env(SECRET_KEY="only-for-these-tests-0123456789abcdef", FLASK_INSTANCE_PATH=str(raw.directory))
    log = tmp_path_factory.mktemp("log") / "server.log"
    with Server("app:create_app()", {**environ, "PYTHONWARNINGS": ""}, log) as started:
        yield source(started.url)


def source(url: str) -> dict[str, str]:
    return {
        "FLASK_FERRY_SOURCE": url,
        "FLASK_FERRY_SOURCE_UID": words.TEACHER_UID,
        "FLASK_FERRY_SOURCE_PASSWORD": words.TEACHER_PASSWORD,
    }
