"""Where the database of a test lies."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dialects.sqlite.names import url_of

from .database import DIALECT


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


@pytest.fixture
def area(path: Path) -> Path:
    """The control area of the database, opened."""
    DIALECT.open_control(DIALECT.control_area(url_of(path)))
    return path.with_name("a.db.ferry")
