"""Staging becomes the live file, under readers and writers."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

import pytest

from app.dialects.model import LateWrite
from app.dialects.sqlite.names import url_of
from app.errors import LockHeld

from .database import DIALECT, NO_OLD, connect, rows, script


@pytest.mark.parametrize("size", [512, 1024, 4096, 65536])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_swap_keeps_page_size_and_journal_mode(path: Path, area: Path, size: int, mode: str) -> None:
    script(path, f"PRAGMA page_size = {size}", f"PRAGMA journal_mode = {mode}", "CREATE TABLE t (x)")
    staging = DIALECT.staging_url(url_of(path), "s")
    DIALECT.prepare_staging(staging, url_of(path))
    script(Path(str(staging.database)), "CREATE TABLE new (x INTEGER)", "INSERT INTO new VALUES (1)")
    with DIALECT.fence(url_of(path)) as fence:
        DIALECT.swap(staging, url_of(path), NO_OLD, fence, fence.token(), timeout_s=2)
    assert rows(path, "new") == [[1]]
    with connect(path) as connection:
        assert connection.execute("PRAGMA page_size").fetchone() == (size,)
        assert connection.execute("PRAGMA journal_mode").fetchone() == (mode,)


PATIENT_S = 60.0
"""Locks that others let go of are waited for so long: how soon that is depends on who else uses the machine."""


def test_writers_during_many_swaps_lose_nothing(path: Path, area: Path) -> None:
    """Every committed write is in the old database, or in the new one after the swap; never in neither."""
    script(path, "CREATE TABLE t (x INTEGER)")
    staging = DIALECT.staging_url(url_of(path), "s")
    stop, written = threading.Event(), []

    def write() -> None:
        with connect(path) as connection:
            connection.execute(f"PRAGMA busy_timeout = {PATIENT_S * 1000:.0f}")
            while not stop.is_set():
                written.append(len(written))
                connection.execute("INSERT INTO t VALUES (?)", (written[-1],))
                # A swap needs a moment without a write, which a slow machine may not find at first.
                stop.wait(0.002 * (1 + late / 10))

    swaps = late = 0
    writer = threading.Thread(target=write)
    writer.start()
    try:
        with DIALECT.fence(url_of(path)) as fence:
            while swaps < 5 and late < 2000:
                token = fence.token()
                DIALECT.copy(url_of(path), staging, timeout_s=PATIENT_S)
                DIALECT.fit_staging(staging, url_of(path))
                try:
                    DIALECT.swap(staging, url_of(path), NO_OLD, fence, token, timeout_s=PATIENT_S)
                    swaps += 1
                except LateWrite:
                    late += 1
    finally:
        stop.set()
        writer.join()
    assert swaps
    assert sorted(row[0] for row in rows(path, "t")) == written


def test_a_reader_holds_the_swap_up_in_rollback_mode(path: Path, area: Path) -> None:
    script(path, "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (1)")
    staging = DIALECT.staging_url(url_of(path), "s")
    DIALECT.prepare_staging(staging, url_of(path))
    with DIALECT.fence(url_of(path)) as fence, connect(path) as reader:
        token = fence.token()
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        with pytest.raises(LockHeld):
            DIALECT.swap(staging, url_of(path), NO_OLD, fence, token, timeout_s=0.3)
        assert reader.execute("SELECT * FROM t").fetchall() == [(1,)]
        timer = threading.Timer(0.3, reader.interrupt)
        reader.execute("ROLLBACK")
        timer.cancel()
        DIALECT.swap(staging, url_of(path), NO_OLD, fence, token, timeout_s=2)
        with pytest.raises(sqlite3.OperationalError, match="no such table"):
            reader.execute("SELECT * FROM t")


def test_a_reader_goes_on_with_its_view_during_a_swap_in_wal_mode(path: Path, area: Path) -> None:
    script(path, "PRAGMA journal_mode = wal", "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (1)")
    staging = DIALECT.staging_url(url_of(path), "s")
    DIALECT.prepare_staging(staging, url_of(path))
    with DIALECT.fence(url_of(path)) as fence, connect(path) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT * FROM t").fetchall()
        DIALECT.swap(staging, url_of(path), NO_OLD, fence, fence.token(), timeout_s=2)
        assert reader.execute("SELECT * FROM t").fetchall() == [(1,)]
        reader.execute("COMMIT")
        assert reader.execute("SELECT name FROM sqlite_schema").fetchall() == []
