"""Where the database of a test lies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.dialects.sqlite.names import url_of
from tests.dialects.rooms import Room, sqlite_room

from .database import DIALECT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def area(path: Path) -> Path:
    """The control area of the database, opened."""
    DIALECT.open_control(DIALECT.control_area(url_of(path)))
    return path.with_name("a.db.ferry")


@pytest.fixture
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Room]:
    with sqlite_room(request, tmp_path) as made:
        yield made
