"""Fixtures for all tests."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL
from tests.support.site import Site


def pytest_configure() -> None:
    """A shell may start tests in the background with signals ignored, which all that they start would inherit."""
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--every-kill``: what ``make chaos`` asks for."""
    parser.addoption("--every-kill", action="store_true", help="kill at every write and step, not at each fifth")


@pytest.fixture(scope="session")
def stride(request: pytest.FixtureRequest) -> int:
    """Tests that kill a run at one moment after the other take every so many."""
    return 1 if request.config.getoption("every_kill") else 5


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A deployed reference app of its own, not yet with a database."""
    directory = tmp_path / "site"
    directory.mkdir()
    return Site(directory)


@pytest.fixture(scope="session")
def mariadb(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MariaDB]:
    """A private server, started when it is first asked for."""
    server = MariaDB(tmp_path_factory.mktemp("mariadb") / "server")
    server.prepare()
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def postgresql() -> Iterator[PostgreSQL]:
    """A private server, started when it is first asked for, with a user ``app`` who may create databases."""
    server = PostgreSQL("autovacuum=off")
    server.prepare()
    server.start()
    server.execute("CREATE ROLE app LOGIN CREATEDB PASSWORD 'app''s: own\\'")
    yield server
    server.stop()
