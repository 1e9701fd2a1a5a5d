"""Fixtures for all tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.site import Site


@pytest.fixture
def site(tmp_path: Path) -> Site:
    """A deployed reference app of its own, not yet with a database."""
    directory = tmp_path / "site"
    directory.mkdir()
    return Site(directory)
