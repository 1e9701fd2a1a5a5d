"""A SQLite file that is only read: every commit by anybody is seen, in both journal modes, and nothing else."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.dialects import dialect_for
from app.dialects.base import Watch
from app.dialects.sqlite.names import url_of

INSERT = "INSERT INTO t VALUES (NULL, 'x')"


@pytest.fixture(params=["delete", "truncate", "persist", "wal"])
def file(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "source.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA journal_mode = {request.param}")
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
        connection.execute(INSERT)
        connection.commit()
    return path


@pytest.fixture
def watch(file: Path) -> Iterator[Watch]:
    url = url_of(file)
    with dialect_for(url).watch(url) as opened:
        yield opened


def write(file: Path, *statements: str) -> None:
    """By another process, which closes the database and so, where it is the last one, its WAL."""
    text = "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); [c.execute(s) for s in sys.argv[2:]]; c.commit()"
    subprocess.run([sys.executable, "-c", text, str(file), *statements], check=True, timeout=60)


def read(watch: Watch) -> bytes:
    with watch.read() as (reader, token):
        assert reader.count("t") == 1
        assert token is not None
        return token


def test_nothing_was_written(file: Path, watch: Watch) -> None:
    token = read(watch)
    assert watch.token() == token == read(watch)
    write(file, "SELECT * FROM t", "BEGIN IMMEDIATE", INSERT, "ROLLBACK")
    assert watch.token() == token


@pytest.mark.parametrize(
    "statement",
    [INSERT, "UPDATE t SET a = 'y'", "DELETE FROM t", "CREATE TABLE u (a)", "PRAGMA user_version = 5", "VACUUM"],
)
def test_what_was_written_is_seen(file: Path, watch: Watch, statement: str) -> None:
    token = read(watch)
    write(file, statement)
    assert watch.token() != token


def test_a_write_while_it_is_read_is_seen_afterwards(file: Path, watch: Watch) -> None:
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer:
        wal = writer.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        with watch.read() as (reader, token):
            if wal:
                writer.execute(INSERT)
            assert reader.count("t") == 1
        assert (watch.token() == token) is not wal
        writer.execute(INSERT)
        assert watch.token() != token


def test_a_commit_between_the_first_look_and_the_read_gives_no_token(
    file: Path, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = watch._open_reader  # type: ignore[attr-defined]

    def late():  # type: ignore[no-untyped-def]
        write(file, INSERT)
        return inner()

    monkeypatch.setattr(watch, "_open_reader", late)
    with watch.read() as (reader, token):
        assert (reader.count("t"), token) == (2, None)


def test_another_file_of_the_same_name(file: Path, watch: Watch, tmp_path: Path) -> None:
    token = read(watch)
    shutil.copyfile(file, tmp_path / "copy")
    (tmp_path / "copy").replace(file)
    assert watch.token() is None
    assert token is not None


def test_a_transaction_that_was_killed(tmp_path: Path) -> None:
    """Its counter may be in the file already, and whoever rolls it back and commits writes the same one."""
    file = tmp_path / "source.db"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
        connection.execute(INSERT)
        connection.commit()
    killed = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None); "
        "c.execute('PRAGMA cache_size = 1'); c.execute('BEGIN'); "
        "[c.execute('INSERT INTO t VALUES (NULL, ?)', ('x' * 3000,)) for _ in range(50)]; os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", killed, str(file)], check=True, timeout=60)
    assert file.with_name("source.db-journal").stat().st_size
    url = url_of(file)
    with dialect_for(url).watch(url) as watch:
        with watch.read() as (reader, token):
            assert (reader.count("t"), token) == (1, None)
        assert watch.token() is None


def test_the_locks_of_the_process_outlast_a_watch(file: Path) -> None:
    """Closing a descriptor of a file drops them all, and then another process may write while one is at it."""
    url = url_of(file)
    with contextlib.closing(sqlite3.connect(file, isolation_level=None)) as writer:
        writer.execute("BEGIN IMMEDIATE")
        writer.execute(INSERT)
        with dialect_for(url).watch(url) as watch:
            assert watch.token() is not None
        with pytest.raises(subprocess.CalledProcessError):
            write(file, "PRAGMA busy_timeout = 0", INSERT)
        writer.execute("COMMIT")


def test_a_watch_that_was_closed_knows_nothing(file: Path) -> None:
    url = url_of(file)
    with dialect_for(url).watch(url) as watch:
        assert watch.token() is not None
    with watch.read() as (reader, token):
        assert (reader.count("t"), token) == (1, None)


def test_threads_share_a_watch(file: Path, watch: Watch) -> None:
    token = read(watch)
    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(lambda _: watch.token(), range(200))) == {token}
    write(file, INSERT)
    with ThreadPoolExecutor(4) as pool:
        assert len({*pool.map(lambda _: watch.token(), range(200))} - {token, None}) == 1
