"""Hosts with histories of their own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .made import ADD, CREATE, Made


@pytest.fixture
def made(tmp_path: Path) -> Iterator[Made]:
    found = Made(tmp_path)
    # As a command does.
    with found.host.app_context():
        yield found


@pytest.fixture
def two(made: Made) -> Made:
    """Two revisions."""
    made.add("one", None, CREATE)
    made.add("two", "one", ADD)
    return made
