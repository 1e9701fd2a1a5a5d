"""Fixtures for all tests."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

from tests.support.pages import TAKEN, find_blocks
from tests.support.servers import PREPARED, choose, make_directory, runs_on
from tests.support.servers.whole_runs import Recorder
from tests.support.site import Site
from tests.thinned import left_out

if TYPE_CHECKING:
    # Which servers they start is chosen first.
    from tests.support.servers.mariadb import MariaDB
    from tests.support.servers.postgresql import PostgreSQL

SERVERS = {"mariadb", "mysql", "postgresql", "scenarios"}
# In the tests' own words MySQL is a kind of MariaDB: the same room has both.
KINDS = {"mysql": {"mariadb", "mysql"}, "mariadb": {"mariadb", "mysql"}, "postgresql": {"postgresql"}}
WHOLE = {"test_passes.py", "test_project.py", "test_release.py"}

# No deadline: a loaded machine is no failure. A fixture that all examples of a test share is meant.
for profile, examples in (("suite", 20), ("fuzz", 1000)):
    settings.register_profile(
        profile,
        max_examples=examples,
        deadline=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    )
settings.load_profile("suite")


def pytest_configure(config: pytest.Config) -> None:
    """Make room for what workers share.

    A shell may start tests in the background with signals ignored, which all that they start would inherit.
    """
    if not hasattr(config, "workerinput"):
        os.environ[PREPARED] = str(directory := make_directory("ferry-prepared-"))
        # Servers may run as another user, who has to reach it.
        directory.chmod(0o711)
        config.add_cleanup(functools.partial(shutil.rmtree, directory, ignore_errors=True))
        if name := config.getoption("record") or config.getoption("mended"):
            config.pluginmanager.register(Recorder(name, mended=not config.getoption("record")))
    for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
        if signal.getsignal(number) is signal.SIG_IGN:
            signal.signal(number, handler)


def pytest_addoption(parser: pytest.Parser) -> None:
    """``--every-kill``: what ``make chaos`` asks for."""
    parser.addoption("--every-kill", action="store_true", help="kill at every write and step, not at each ninth")
    parser.addoption("--all", action="store_true", help="all values of every test: what make test-all runs")
    parser.addoption("--servers", action="append", metavar="NAME", help="a server that make servers fetched: mysql-9.7")
    parser.addoption("--record", metavar="NAME", help="keep the counts of this whole run for docs/servers.md")
    parser.addoption("--mended", metavar="NAME", help="count those of that run's failures that pass now")
    parser.addoption("--galera", action="store_true", help="what takes a Galera cluster: what make galera runs")
    parser.addoption("--fast", action="store_true", help="neither servers nor whole commands: what make test-fast runs")
    # Before the conftests below this one are read, which ask what was chosen; workers inherit it.
    try:
        choose(parser.parse_known_args(sys.argv[1:]).servers or [])
    except ValueError as error:
        raise pytest.UsageError(str(error)) from error


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """``--fast``: leave out what takes a server or a minute. Unless ``--all``: what :mod:`tests.thinned` lists."""
    whole = {*map(str, config.args)} == {*config.getini("testpaths")} and not config.getoption("all")
    gone = set(left_out(items)) if whole else set()
    if config.getoption("fast"):
        gone |= {item for item in items if is_slow(item)}
    if not config.getoption("galera"):
        gone |= {item for item in items if item.get_closest_marker("galera")}
    if chosen := config.getoption("servers"):
        kinds = {kind for name in chosen for kind in KINDS[name.partition("-")[0]]}
        gone |= {item for item in items if not kinds & _words(item)}
    gone |= {
        item for item in items if not all(runs_on(*mark.args, **mark.kwargs) for mark in item.iter_markers("of_server"))
    }
    if gone:
        config.hook.pytest_deselected(items=[item for item in items if item in gone])
    # Whole runs on servers take longest: begun last, a worker would be at them when all others have ended.
    items[:] = sorted((item for item in items if item not in gone), key=_begin_late)


def _begin_late(item: pytest.Item) -> int:
    begun = ("scenarios/matrix", "scenarios/test_", "scenarios/hosts", "scenarios", "api")
    places = [f"tests/{place}" for place in begun]
    return next((number for number, place in enumerate(places) if item.nodeid.startswith(place)), len(places))


def pytest_collection_finish() -> None:
    """What was imported and collected stays to the end: let no collection of garbage look at it again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 20, 20)


def is_slow(item: pytest.Item) -> bool:
    """Whether a test is a scenario, or one of the project as a whole, or names a server."""
    return item.path.name in WHOLE or bool(SERVERS & _words(item))


def _words(item: pytest.Item) -> set[str]:
    """What a test names: fixtures, values, servers that it is of, texts in it, the directories that it lies in."""
    spec = getattr(item, "callspec", None)
    values = [*getattr(item, "fixturenames", ()), *(spec.params.values() if spec else ()), *item.path.parts]
    values += [mark.args for mark in item.iter_markers("of_server")]
    function = getattr(item, "function", None)
    values += getattr(getattr(function, "__code__", None), "co_consts", ())
    several = [one for value in values if isinstance(value, tuple | list) for one in value]
    # A value may be of several: "a file and mariadb".
    return {word for value in [*values, *several] if isinstance(value, str) for word in (value, *value.split())}


@pytest.fixture(scope="session")
def stride(request: pytest.FixtureRequest) -> int:
    """Tests that kill a run at one moment after the other take every so many."""
    return 1 if request.config.getoption("every_kill") else 9


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A deployed reference app of its own, not yet with a database."""
    directory = tmp_path / "site"
    directory.mkdir()
    return Site(directory)


@pytest.fixture(scope="session")
def mariadb(request: pytest.FixtureRequest) -> Iterator[MariaDB]:
    """A private server, started when it is first asked for."""
    _refuse_if_fast(request)
    from tests.support.servers.mariadb import MariaDB

    # Nobody kills this one, so it need not be able to mend a page that was half written; nor the other.
    directory = make_directory("ferry-mariadb-")
    server = MariaDB(directory / "server", "--skip-innodb-doublewrite")
    server.prepare()
    server.start()
    yield server
    server.stop()
    shutil.rmtree(directory)


@pytest.fixture(scope="session")
def postgresql(request: pytest.FixtureRequest) -> Iterator[PostgreSQL]:
    """A private server, started when it is first asked for, with a user ``app`` who may create databases."""
    from tests.support.servers.postgresql import PostgreSQL

    _refuse_if_fast(request)
    server = PostgreSQL("autovacuum=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0")
    server.prepare()
    server.start()
    server.execute("CREATE ROLE app LOGIN CREATEDB PASSWORD 'app''s: own\\'")
    yield server
    server.stop()


def _refuse_if_fast(request: pytest.FixtureRequest) -> None:
    """A test whose name does not tell that it takes a server."""
    if request.config.getoption("fast"):
        pytest.skip("takes a server")


@pytest.fixture(autouse=True)
def _claimed_blocks(request: pytest.FixtureRequest) -> Iterator[None]:
    """A test that claims blocks of the handbook fails where it ended without having taken one of them."""
    claims = list(request.node.iter_markers("executes"))
    TAKEN.clear()
    yield
    left = [
        f"{claim.args[0]}: {block.text}"
        for claim in claims
        for block in find_blocks(*claim.args)
        if block.text not in TAKEN
    ]
    assert left == [], "it claims these blocks and did not take them"
