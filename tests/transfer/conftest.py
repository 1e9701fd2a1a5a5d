"""A database and a directory for its backups."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.transfer.backup.backups import (
    prepare_directory,
)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "live.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT)")
        connection.execute("CREATE TABLE alembic_version (version_num TEXT)")
        connection.execute("INSERT INTO alembic_version VALUES ('0001')")
        connection.executemany("INSERT INTO t (x) VALUES (?)", [("a",), ("b",)])
    return path


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "backups"
    prepare_directory(path)
    (path / ".gitignore").unlink()
    return path
