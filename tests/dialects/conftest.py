"""A room of every server, with a database of the test's own."""

from __future__ import annotations

from pathlib import Path

import pytest

from .rooms import ROOMS, Room


@pytest.fixture(params=sorted(ROOMS))
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Room:
    """Each server in turn."""
    return ROOMS[request.param](tmp_path)
