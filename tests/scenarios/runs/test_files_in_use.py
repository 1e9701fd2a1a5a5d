"""Files that other programs have open, locked, or left half-written: the live one, and the control area."""

from __future__ import annotations

import contextlib
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.runs.commands import Place, integrity, until
from tests.support.site import query

At = Callable[[str], Place]
HOOKS = "tests.support.runs.hooks"
LATE = "INSERT INTO sections (id, name, abbreviation) VALUES (900, 'Late', 'L')"


@pytest.mark.parametrize("kind", ["IMMEDIATE", "EXCLUSIVE"])
def test_the_live_file_is_locked_before_the_run(at: At, next_release: Path, kind: str) -> None:
    place = at("migrated")
    place.release(next_release)
    live = place.content()
    impatient = [(f"{HOOKS}:{name}", {"seconds": 0.5}) for name in ("patience", "patience_with_files")]
    with contextlib.closing(sqlite3.connect(place.database, isolation_level=None)) as writer:
        writer.execute(f"BEGIN {kind}")
        result = place.run("db-migrate-data", "self", "--yes", hooks=impatient)
        writer.execute("ROLLBACK")
    assert result.status == 11, result.stderr
    assert "locked by another program" in result.stderr
    assert "fuser -v" in result.stderr
    assert place.content() == live
    assert (place.staging(), place.lease()) == ([], [])
    assert place.migrate("self").status == 0


def test_the_control_area_is_locked(at: At, next_release: Path) -> None:
    """It is not damaged; whoever moved it away would lose the ledger."""
    place = at("migrated")
    place.release(next_release)
    live = place.content()
    with contextlib.closing(sqlite3.connect(place.area / "control.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        for arguments in (("db-migrate-data", "self", "--yes"), ("db-status",)):
            result = place.run(*arguments)
            assert result.status == 11, result.stderr
            assert str(place.area / "control.db") in result.stderr
            assert "damaged" not in result.stderr
            assert "fuser -v" in result.stderr
        other.execute("ROLLBACK")
    assert place.content() == live
    assert place.migrate("self").status == 0


def test_a_reader_that_never_ends_in_rollback_mode(at: At, next_release: Path, tmp_path: Path) -> None:
    place = at("migrated")
    place.release(next_release)
    live, here = place.content(), tmp_path / "here"
    hooks = [
        (f"{HOOKS}:wait_at", {"here": str(here), "step": "check", "phase": "done"}),
        (f"{HOOKS}:patience", {"seconds": 0.5}),
    ]
    with contextlib.closing(sqlite3.connect(place.database, isolation_level=None)) as reader:
        started = place.launch("db-migrate-data", "self", "--yes", hooks=hooks)
        until(here.exists)
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM users").fetchall()
        here.unlink()
        began = time.monotonic()
        result = started.wait()
        assert time.monotonic() - began < 60
        assert result.status == 11, result.stderr
        assert "locked by another program" in result.stderr
        # Who only reads goes on.
        assert reader.execute("SELECT count(*) FROM users").fetchall()
        reader.execute("COMMIT")
    assert place.content() == live
    assert (place.staging(), place.lease()) == ([], [])
    assert place.migrate("self").status == 0


WRITER = """
import os, sqlite3, sys
c = sqlite3.connect(sys.argv[1], isolation_level=None)
c.execute("PRAGMA journal_mode = WAL")
c.execute(sys.argv[2])
c.execute("PRAGMA cache_size = 1")
c.execute("BEGIN")
c.execute("UPDATE posts SET content = 'never committed'")
os.kill(os.getpid(), 9)
"""


@pytest.mark.parametrize("source", ["self", "file"])
def test_a_writer_of_the_live_file_was_killed(at: At, old: Path, next_release: Path, source: str) -> None:
    """What it committed is in its WAL alone, and counts; what it did not commit never was."""
    place = at("migrated")
    place.release(next_release)
    program = [sys.executable, "-c", WRITER, str(place.database), LATE]
    assert subprocess.run(program, check=False).returncode == -9
    assert Path(f"{place.database}-wal").stat().st_size > 0, "or this proves nothing"
    given = ("self",) if source == "self" else (str(old), "--rerun")
    result = place.run("db-migrate-data", *given, "--yes")
    assert result.status == 0, result.stderr
    assert integrity(place.database) == "ok"
    late = "SELECT count(*) FROM sections WHERE id = 900"
    assert place.query(late) == [(1 if source == "self" else 0,)]
    assert query(Path(place.report()["backup"]), late) == [(1,)]
    assert place.query("SELECT count(*) FROM posts WHERE content = 'never committed'") == [(0,)]
    assert place.run("db-rollback", "--yes").status == 0
    assert place.query(late) == [(1,)]
