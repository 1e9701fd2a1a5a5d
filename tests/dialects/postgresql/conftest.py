"""Rooms on PostgreSQL: of a plain user, and of the superuser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dialects.rooms import ROOMS, Room
from tests.support.servers.postgresql import PostgreSQL

from .schemas import superuser_room
from .upgraded import Upgraded


@pytest.fixture
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Room]:
    """A target by a user who may create databases and nothing else."""
    with ROOMS["postgresql"](request, tmp_path) as made:
        yield made


@pytest.fixture
def owned(postgresql: PostgreSQL, tmp_path: Path) -> Iterator[Room]:
    """A target by the superuser, with two roles more."""
    with superuser_room(postgresql, tmp_path) as made:
        yield made


@pytest.fixture
def upgraded(room: Room, driver: str) -> Iterator[Upgraded]:
    room.fill()
    staging = room.staged("one", more=0)
    engine = room.dialect.engine(staging.set(drivername=f"postgresql+{driver}"))
    assert engine.dialect.driver == driver
    live = room.everything()
    yield Upgraded(room, staging, engine)
    assert room.everything() == live, "something reached the live schema"
    engine.dispose()
