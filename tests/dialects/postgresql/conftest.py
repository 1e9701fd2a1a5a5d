"""Rooms on PostgreSQL: of a plain user, and of the superuser."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dialects.rooms import ROOMS, Room
from tests.support.servers.postgresql import PostgreSQL

from .schemas import superuser_room


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
