"""Files in WAL mode where SQLite cannot make the file that it needs beside them."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.dialects.sqlite import connect
from app.dialects.sqlite.names import url_of
from app.errors import FerryError

from .database import DIALECT, rows, script


@pytest.fixture
def open_to_all() -> Iterator[Path]:
    """A directory for whoever root becomes in a test: to root itself no directory is read-only."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o777)
        former = os.geteuid()
        if former == 0:
            os.seteuid(65534)
        try:
            yield Path(name)
        finally:
            os.seteuid(former)


@pytest.fixture(params=[True, False], ids=["with a WAL", "without"])
def sealed(open_to_all: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """A file with two rows, the second maybe in its WAL, in a directory that nothing can be made in."""
    source, path = open_to_all / "source.db", open_to_all / "sealed" / "old.db"
    path.parent.mkdir()
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = wal")
        connection.execute("CREATE TABLE t (x INTEGER)")
        connection.execute("INSERT INTO t VALUES (1)")
        connection.execute("PRAGMA wal_checkpoint")
        connection.execute("INSERT INTO t VALUES (2)")
        if request.param:
            shutil.copyfile(source, path)
            shutil.copyfile(f"{source}-wal", f"{path}-wal")
    if not request.param:
        shutil.copyfile(source, path)
    path.parent.chmod(0o500)
    yield path
    path.parent.chmod(0o700)


def read(path: Path) -> list[Any]:
    with DIALECT.reader(url_of(path)) as reader:
        return list(reader.rows(reader.tables()["t"]))


def test_it_is_read_in_a_copy_that_does_not_stay(
    sealed: Path, open_to_all: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scratch = open_to_all / "scratch"
    scratch.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(scratch))
    with pytest.raises(sqlite3.OperationalError), closing(sqlite3.connect(sealed)) as plain:
        plain.execute("SELECT * FROM t")
    before = {file.name: file.read_bytes() for file in sealed.parent.iterdir() if file.is_file()}
    assert read(sealed) == [[1], [2]]
    assert DIALECT.mark(url_of(sealed)) == ""
    DIALECT.copy(url_of(sealed), url_of(open_to_all / "copy.db"), timeout_s=1)
    assert read(open_to_all / "copy.db") == [[1], [2]]
    assert {file.name: file.read_bytes() for file in sealed.parent.iterdir() if file.is_file()} == before
    assert list(scratch.iterdir()) == []


def test_a_copy_of_what_is_written_meanwhile_is_made_again(sealed: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    copied = []

    def copy(source: Path, to: Path) -> None:
        to.write_bytes(source.read_bytes())
        copied.append(source)
        if len(copied) <= writes:
            os.utime(sealed, ns=(0, len(copied)))

    monkeypatch.setattr(connect.shutil, "copyfile", copy)
    writes = 1
    assert read(sealed) == [[1], [2]]
    writes = 99
    with pytest.raises(FerryError, match=r"old\.db is written all the time"):
        read(sealed)


def killed(path: Path, *statements: str) -> None:
    """Run statements in a process that dies in the middle of the last transaction."""
    program = (
        "import os, sqlite3, sys\n"
        "c = sqlite3.connect(sys.argv[1], isolation_level=None)\n"
        "for s in sys.argv[2:]: c.execute(s)\n"
        "os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(path), *statements], timeout=60, check=False)


def test_a_hot_journal_is_read_past_and_stays_as_it_is(path: Path) -> None:
    script(path, "CREATE TABLE t (x INTEGER, filler TEXT)", "INSERT INTO t VALUES (1, hex(zeroblob(200000)))")
    # A cache of a few pages spills to the file, so that it is half changed.
    killed(path, "PRAGMA cache_size = 2", "BEGIN IMMEDIATE", "UPDATE t SET x = 2, filler = hex(randomblob(200000))")
    journal = path.with_name("a.db-journal")
    assert journal.stat().st_size > 0
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    assert rows(path, "t")[0][0] == 1
    assert DIALECT.mark(url_of(path)) == ""
    copy = path.with_name("copy.db")
    DIALECT.copy(url_of(path), url_of(copy), timeout_s=1)
    copied = rows(copy, "t")
    copy.unlink()
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
    assert copied[0][0] == 1


def test_a_wal_that_a_killed_program_left_is_read(path: Path) -> None:
    killed(path, "PRAGMA journal_mode = wal", "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (7)", "BEGIN")
    wal = path.with_name("a.db-wal")
    before = (path.read_bytes(), wal.read_bytes())
    assert before[1]
    assert rows(path, "t") == [[7]]
    assert (path.read_bytes(), wal.read_bytes()) == before
    assert DIALECT.size_bytes(url_of(path)) == len(before[0]) + len(before[1])


def test_a_source_in_wal_mode_is_not_written(path: Path) -> None:
    """SQLite itself puts an empty WAL and its index beside the file of such a database; the file stays as it is."""
    script(path, "PRAGMA journal_mode = wal", "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (7)")
    before = path.read_bytes()
    assert rows(path, "t") == [[7]]
    assert path.read_bytes() == before
    assert {file.name: file.stat().st_size for file in path.parent.iterdir()}.get("a.db-wal", 0) == 0
