"""Copies of whole databases."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app.dialects.sqlite import copy as copy_module
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


WRITE = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('CREATE TABLE late (x)')"


def writes(path: Path) -> str:
    """What another process is told that writes to a file."""
    done = subprocess.run([sys.executable, "-c", WRITE, str(path)], capture_output=True, text=True, check=False)
    return done.stderr


def renew(path: Path, copy: Path) -> None:
    with DIALECT.fence(url_of(path)) as fence, fence.hold(1):
        DIALECT.renew_copy(url_of(path), url_of(copy), fence, timeout_s=1)
        # Nothing that was opened and closed took the lock away.
        assert "database is locked" in writes(path)


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_a_copy_is_renewed(path: Path, tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(copy_module, "_PIECE_BYTES", 1000)
    copy = tmp_path / "copy.db"
    script(path, f"PRAGMA journal_mode = {mode}", "CREATE TABLE t (x INTEGER, y)")
    script(path, *(f"INSERT INTO t VALUES ({number}, zeroblob(400))" for number in range(50)))
    DIALECT.copy(url_of(path), url_of(copy), timeout_s=1)
    for change in (
        "UPDATE t SET y = 'other' WHERE x = 30",
        "INSERT INTO t SELECT x + 100, randomblob(500) FROM t",
        "DELETE FROM t WHERE x > 10",
        "VACUUM",
    ):
        script(path, change)
        renew(path, copy)
        with connect(path) as live, connect(copy) as copied:
            assert list(copied.iterdump()) == list(live.iterdump())
            assert copied.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    if mode == "delete":
        assert copy.read_bytes() == path.read_bytes()


def test_a_copy_that_is_not_there_is_made(path: Path, tmp_path: Path) -> None:
    script(path, "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (7)")
    renew(path, tmp_path / "copy.db")
    with connect(tmp_path / "copy.db") as copied:
        assert copied.execute("SELECT x FROM t").fetchall() == [(7,)]
