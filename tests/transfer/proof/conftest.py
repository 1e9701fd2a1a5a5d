"""Databases of a test."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from .databases import Db


@pytest.fixture
def db(tmp_path: Path) -> Db:
    """A database of statements."""
    count = iter(range(100))

    def made(*statements: str) -> Path:
        path = tmp_path / f"{next(count)}.db"
        with closing(sqlite3.connect(path)) as connection, connection:
            for statement in statements:
                connection.execute(statement)
        return path

    return made
