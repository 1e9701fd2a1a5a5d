"""Databases at the baseline and at head, made once and copied for each test."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from .database import Database
from .nasty import fill


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the databases that tests copy."""
    directory = tmp_path_factory.mktemp("databases")
    empty = Database(directory / "empty.db")
    empty.upgrade("0001_classic")
    nasty = Database(shutil.copy(empty.path, directory / "nasty.db"))
    with nasty.connect() as connection:
        fill(connection)
    Database(shutil.copy(nasty.path, directory / "head.db")).upgrade()
    Database(shutil.copy(empty.path, directory / "empty_head.db")).upgrade()
    return directory


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Callable[[str], Database]:
    """Return a function that copies a database by name."""
    return lambda name: Database(shutil.copy(made / f"{name}.db", tmp_path / f"{name}.db"))


@pytest.fixture
def nasty(copy: Callable[[str], Database]) -> Database:
    """A baseline database with everything an old SQLite deployment may hold."""
    return copy("nasty")


@pytest.fixture
def head(copy: Callable[[str], Database]) -> Database:
    """The nasty database at head."""
    return copy("head")


@pytest.fixture
def empty_head(copy: Callable[[str], Database]) -> Database:
    """A database at head without rows."""
    return copy("empty_head")


@pytest.fixture
def empty(copy: Callable[[str], Database]) -> Database:
    """A baseline database without rows."""
    return copy("empty")
