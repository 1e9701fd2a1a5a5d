"""Copies of whole databases."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.dialects.sqlite.names import url_of
from app.errors import LockHeld
from tests.support.limits import no_endless_wait

from .database import DIALECT, connect, script


def test_copies_are_exact_to_the_object(path: Path, tmp_path: Path) -> None:
    script(
        path,
        "PRAGMA page_size = 1024",
        "PRAGMA encoding = 'UTF-16le'",
        "PRAGMA application_id = 1179996754",
        "PRAGMA user_version = 77",
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, x)",
        "INSERT INTO t (x) VALUES ('ü'), (x'00')",
        "CREATE VIEW v AS SELECT 1",
        "CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END",
    )
    copy = tmp_path / "new" / "copy.db"
    DIALECT.copy(url_of(path), url_of(copy), timeout_s=1)

    def dump(file: Path) -> list[Any]:
        with connect(file) as connection:
            settings_ = [
                connection.execute(f"PRAGMA {name}").fetchone()
                for name in ("page_size", "encoding", "application_id", "user_version")
            ]
            return [*settings_, *connection.iterdump()]

    assert dump(copy) == dump(path)
    assert copy.stat().st_mode & 0o777 == 0o600


def test_a_copy_waits_for_a_writer_only_so_long(path: Path, tmp_path: Path) -> None:
    script(path, "CREATE TABLE t (x INTEGER)")
    with connect(path) as writer:
        writer.execute("BEGIN EXCLUSIVE")
        with no_endless_wait(), pytest.raises(LockHeld):
            DIALECT.copy(url_of(path), url_of(tmp_path / "copy.db"), timeout_s=0.2)
