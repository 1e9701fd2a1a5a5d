"""Deployments of the three styles, each started once for all tests of this directory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

import pytest

from tests.support.deployment.data import Shape, make_database
from tests.support.deployment.runner import Deployment
from tests.support.deployment.settings import FORK, OLDER, Settings

SMALL = Shape(users=60, posts=120, microblogs=60)


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("newer")) as deployment:
        yield deployment


@pytest.fixture
def newer(shared: Deployment) -> Iterator[Deployment]:
    shared.behave()
    shared.forget_requests()
    yield shared
    shared.behave()


@pytest.fixture(scope="session")
def admin(shared: Deployment) -> dict[str, str]:
    return shared.log_in()


@pytest.fixture(scope="session")
def older(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("older"), Settings(style=OLDER), shape=SMALL) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def fork(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    settings = Settings(style=FORK, production_cookie=True, cookie_name="jwt", hide_passwords=True)
    with Deployment(tmp_path_factory.mktemp("fork"), settings, shape=SMALL) as deployment:
        yield deployment


@pytest.fixture(scope="session")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    file = tmp_path_factory.mktemp("data") / "old.db"
    make_database(file)
    connection = sqlite3.connect(file)
    yield connection
    connection.close()
