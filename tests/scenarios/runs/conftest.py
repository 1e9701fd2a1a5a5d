"""A program to fork commands from, prepared databases, and an old deployment: each made once."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.deployment.data import FEW, make_database
from tests.support.deployment.runner import Deployment
from tests.support.runs.commands import ForkServer, Place, history


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ForkServer]:
    started = ForkServer(tmp_path_factory.mktemp("output"))
    yield started
    started.close()


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database file of an old deployment. Nobody writes to it."""
    file = tmp_path_factory.mktemp("old") / "old.db"
    make_database(file, FEW)
    return file


@pytest.fixture(scope="session")
def _deployment(tmp_path_factory: pytest.TempPathFactory, old: Path) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("deployment"), database=old) as started:
        yield started


@pytest.fixture
def deployment(_deployment: Deployment) -> Deployment:
    """The old deployment itself, with an empty log of requests."""
    _deployment.behave()
    _deployment.forget_requests()
    return _deployment


@pytest.fixture
def place(tmp_path: Path, server: ForkServer) -> Iterator[Place]:
    """A deployed app that has no database yet."""
    directory = tmp_path / "place"
    directory.mkdir()
    made = Place(directory, server=server)
    yield made
    made.end_all()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory, server: ForkServer, old: Path) -> Callable[[str], Path]:
    """Directories of deployed apps in a known state, each made when it is first asked for."""
    made: dict[str, Path] = {}

    def make(state: str) -> Path:
        if state not in made:
            directory = tmp_path_factory.mktemp(state)
            app = Place(directory, server=server)
            for step in STATES[state]:
                step(app, old)
            made[state] = directory
        return made[state]

    return make


@pytest.fixture
def at(place: Place, prepared: Callable[[str], Path]) -> Callable[[str], Place]:
    """The place, brought to a known state."""

    def bring(state: str) -> Place:
        shutil.copytree(prepared(state), place.directory, dirs_exist_ok=True)
        return place

    return bring


def _migrated(app: Place, old: Path) -> None:
    assert app.migrate(old).status == 0


def _foreign(app: Place, _old: Path) -> None:
    """A database that somebody else filled."""
    assert app.run("db", "upgrade").status == 0
    app.write("INSERT INTO sections (id, name, abbreviation) VALUES (77, 'Theirs', 'T')")


def _rolled_back(app: Place, _old: Path) -> None:
    assert app.run("db-rollback", "--yes").status == 0


STATES = {
    "migrated": [_migrated],
    "foreign": [_foreign],
    "foreign_migrated": [_foreign, _migrated],
    "rolled_back_to_empty": [_migrated, _rolled_back],
    "rolled_back": [_foreign, _migrated, _rolled_back],
}


@pytest.fixture(scope="session")
def next_release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The history of a release with one more revision, which adds a column."""
    return history(
        tmp_path_factory.mktemp("next") / "migrations",
        "op.add_column('sections', sa.Column('room', sa.String(20), server_default='12'))",
    )
