"""A copy of a file that nobody writes: byte by byte where it is whole by itself, else by SQLite."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.dialects.sqlite.connect import Files
from app.dialects.sqlite.copy import copy_at_rest
from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.functions import Functions
from app.dialects.sqlite.image import SqliteImage
from app.dialects.sqlite.names import url_of
from app.errors import BackupFailed

FILES = Files(Functions())


def make_image(path: Path) -> SqliteImage:
    with SqliteDialect().reader(url_of(path)) as reader:
        return SqliteImage(FILES, path, b"", reader)


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_dump_is_a_database_of_its_own(tmp_path: Path, mode: str) -> None:
    path, to = tmp_path / "a.db", tmp_path / "b.db"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {mode}")
        connection.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    make_image(path).begin_dump(to).beside()
    with closing(sqlite3.connect(to)) as connection:
        assert connection.execute("SELECT x FROM t").fetchall() == [(1,)]
        assert connection.execute("PRAGMA journal_mode").fetchall() == [("delete",)]
    assert to.stat().st_mode & 0o777 == 0o600


def test_a_file_that_is_cut_is_no_dump(tmp_path: Path) -> None:
    path, to = tmp_path / "a.db", tmp_path / "b.db"
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (zeroblob(100000))")
    image = make_image(path)
    path.write_bytes(b"x" * 5000)
    with pytest.raises(BackupFailed, match="not a database"):
        image.dump(to)


def test_whoever_writes_waits_while_bytes_are_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file to be restored may be somebody's live one: half of what it was and half of what it is would be neither."""
    path, refusals = tmp_path / "a.db", list[str]()
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript("CREATE TABLE t (x); INSERT INTO t VALUES (1)")
    inner = shutil.copyfileobj

    def copying(*arguments: Any) -> None:
        with closing(sqlite3.connect(path, timeout=0, isolation_level=None)) as other:
            try:
                other.execute("BEGIN EXCLUSIVE")
            except sqlite3.OperationalError as error:
                refusals.append(str(error))
        inner(*arguments)

    monkeypatch.setattr(shutil, "copyfileobj", copying)
    copy_at_rest(FILES, path, tmp_path / "b.db", timeout_s=5)
    assert refusals == ["database is locked"]
    assert (tmp_path / "b.db").read_bytes() == path.read_bytes()
