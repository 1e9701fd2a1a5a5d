"""Apps in a directory of their own, and an old deployment, started once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.deployment.data import FEW, make_database
from tests.support.deployment.runner import Deployment
from tests.support.deployment.settings import Settings
from tests.support.local import Local


@pytest.fixture
def local(tmp_path: Path) -> Local:
    """An app that has no database yet."""
    directory = tmp_path / "site"
    directory.mkdir()
    return Local(directory)


@pytest.fixture(scope="session")
def _seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = Local(tmp_path_factory.mktemp("seeded"))
    made.ok("db-init")
    return made.directory


@pytest.fixture
def seeded(local: Local, _seeded: Path) -> Local:
    """An app whose database is as db-init left it."""
    shutil.copytree(_seeded, local.directory, dirs_exist_ok=True)
    return local


@pytest.fixture
def changed(seeded: Local) -> Local:
    """An app in whose database somebody wrote after db-init."""
    seeded.write("INSERT INTO sections (id, name, abbreviation) VALUES (77, 'Theirs', 'T')")
    return seeded


@pytest.fixture(scope="session")
def old(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The database of an old deployment. Nobody writes to it."""
    file = tmp_path_factory.mktemp("old") / "old.db"
    make_database(file, FEW)
    return file


@pytest.fixture(scope="session")
def _deployment(tmp_path_factory: pytest.TempPathFactory, old: Path) -> Iterator[Deployment]:
    with Deployment(tmp_path_factory.mktemp("deployment"), Settings(cheap=True), database=old) as started:
        yield started


@pytest.fixture
def deployment(_deployment: Deployment) -> Deployment:
    """The old deployment itself."""
    _deployment.behave()
    return _deployment


@pytest.fixture(scope="session")
def _migrated(tmp_path_factory: pytest.TempPathFactory, _deployment: Deployment) -> Path:
    made = Local(tmp_path_factory.mktemp("migrated"))
    _deployment.behave()
    made.ok("db-migrate-data", "--yes", "--accept-missing", **made.source(_deployment))
    return made.directory


@pytest.fixture
def migrated(local: Local, _migrated: Path, _deployment: Deployment) -> Local:
    """An app that was migrated from the old deployment, which is its configured source.

    Its ledger names the snapshot in the directory it was copied from; nobody writes there.
    """
    shutil.copytree(_migrated, local.directory, dirs_exist_ok=True)
    local.environ |= local.source(_deployment)
    return local
