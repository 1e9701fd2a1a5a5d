"""A room of every server, with a database of the test's own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .rooms import ROOMS, Room


@pytest.fixture(params=sorted(ROOMS))
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Room]:
    """Each server in turn."""
    with ROOMS[request.param](request, tmp_path) as made:
        yield made
