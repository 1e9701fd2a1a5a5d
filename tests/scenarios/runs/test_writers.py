"""Others write to the live database while a run works on it: no write that was acknowledged is lost."""

from __future__ import annotations

import contextlib
import json
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.runs.commands import Place, Started, integrity, until, write
from tests.support.site import ROOT, content, end, query

At = Callable[[str], Place]
HOOKS = "tests.support.runs.hooks"
WRITTEN = "SELECT id - 10000 FROM studies WHERE topic = 'written' ORDER BY id"
LATE = "INSERT INTO sections (id, name, abbreviation) VALUES ({0}, 'Late', 'L{0}')"
LATE_ROWS = "SELECT id FROM sections WHERE name = 'Late' ORDER BY id"


class Writer:
    """The program of :mod:`.writer`."""

    def __init__(self, database: Path, log: Path, pause_s: float) -> None:
        self._log = log
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.runs.writer", str(database), str(log), str(pause_s)],
            cwd=ROOT,
            stderr=subprocess.PIPE,
            text=True,
        )
        until(lambda: len(self.acknowledged()) > 5)

    def lines(self) -> list[str]:
        return self._log.read_text().splitlines() if self._log.exists() else []

    def acknowledged(self) -> list[int]:
        return [int(line) for line in self.lines() if line.isdigit()]

    def stop(self) -> list[int]:
        """Let it end by itself; what it wrote."""
        Path(f"{self._log}.stop").touch()
        _, errors = self._process.communicate(timeout=60)
        assert self._process.returncode == 0, errors
        return self.acknowledged()

    def kill(self) -> None:
        if self._process.poll() is None:
            end(self._process)


@pytest.fixture
def writing(tmp_path: Path) -> Iterator[Callable[[Path, float], Writer]]:
    made: list[Writer] = []

    def start(database: Path, pause_s: float) -> Writer:
        made.append(Writer(database, tmp_path / f"log{len(made)}", pause_s))
        return made[-1]

    yield start
    for writer in made:
        writer.kill()


def in_mode(place: Place, mode: str) -> Place:
    assert place.query(f"PRAGMA journal_mode = {mode}") == [(mode,)]
    return place


def waiting_at(place: Place, here: Path, *arguments: str, step: str, phase: str = "begun") -> Started:
    hook = (f"{HOOKS}:wait_at", {"here": str(here), "step": step, "phase": phase})
    started = place.launch(*arguments, hooks=[hook])
    until(here.exists)
    return started


# A run on the database itself


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_self_run_under_a_steady_writer(
    at: At, next_release: Path, writing: Callable[[Path, float], Writer], mode: str
) -> None:
    """An application that writes twenty times a second: the release gets in, and no acknowledged write is lost."""
    place = in_mode(at("migrated"), mode)
    place.release(next_release)
    writer = writing(place.database, 0.05)
    result = place.migrate("self")
    assert result.status == 0, result.stderr
    during = len(writer.acknowledged())
    until(lambda: len(writer.acknowledged()) > during + 5)  # it goes on, in the connection it had
    written = writer.stop()
    assert [number for (number,) in place.query(WRITTEN)] == written
    assert place.query("SELECT version_num FROM alembic_version") == [("0008_next",)]
    assert place.query("PRAGMA journal_mode") == [(mode,)]
    assert integrity(place.database) == "ok"


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_self_run_under_a_writer_that_never_rests(
    at: At, next_release: Path, writing: Callable[[Path, float], Writer], mode: str
) -> None:
    """It gets in, or says that it did not catch up; no write is lost either way."""
    place = in_mode(at("migrated"), mode)
    place.release(next_release)
    writer = writing(place.database, 0.0)
    result = place.migrate("self")
    assert result.status in (0, 23), result.stderr
    written = writer.stop()
    assert [number for (number,) in place.query(WRITTEN)] == written
    revision = "0008_next" if result.status == 0 else "0007_unique_sids"
    assert place.query("SELECT version_num FROM alembic_version") == [(revision,)]
    assert integrity(place.database) == "ok"


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_write_in_the_middle_of_a_self_run_is_carried(at: At, next_release: Path, tmp_path: Path, mode: str) -> None:
    place = in_mode(at("migrated"), mode)
    place.release(next_release)
    here = tmp_path / "here"
    started = waiting_at(place, here, "db-migrate-data", "self", "--yes", step="check", phase="done")
    place.write(LATE.format(900))
    place.write("UPDATE sections SET name = 'Changed' WHERE id = (SELECT min(id) FROM sections)")
    here.unlink()
    result = started.wait()
    assert result.status == 0, result.stderr
    assert "written meanwhile; 2 rows were brought over, 2 of them with writers waiting" in result.stderr
    assert place.query(LATE_ROWS) == [(900,)]
    assert place.query("SELECT name FROM sections ORDER BY id LIMIT 1") == [("Changed",)]
    assert place.query("SELECT room FROM sections WHERE id = 900") == [("12",)]
    assert place.run("db-rollback", "--yes").status == 0
    assert place.query(LATE_ROWS) == [(900,)], "the old generation is the live database at the cut-over"


# A run from another source


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_write_after_the_backup_is_in_the_old_generation(at: At, old: Path, tmp_path: Path, mode: str) -> None:
    place = in_mode(at("foreign"), mode)
    here = tmp_path / "here"
    started = waiting_at(place, here, "db-migrate-data", str(old), "--yes", step="verify")
    place.write(LATE.format(900))
    live = place.content()
    here.unlink()
    result = started.wait()
    assert result.status == 0, result.stderr
    assert "written since its backup; backing it up again" in result.stderr
    assert place.query(LATE_ROWS) == []
    assert query(Path(place.report()["backup"]), LATE_ROWS) == [(900,)]
    assert place.run("db-rollback", "--yes").status == 0
    assert place.query(LATE_ROWS) == [(900,)]
    assert place.content() == live


@pytest.mark.parametrize(("times", "status"), [(3, 0), (4, 23)])
def test_the_backup_is_made_anew_at_most_three_times(at: At, old: Path, times: int, status: int) -> None:
    place = at("foreign")
    sql = "INSERT INTO sections (name, abbreviation) VALUES ('Late', hex(randomblob(8)))"
    hook = (
        f"{HOOKS}:run_at",
        {"step": "cut-over", "phase": "begun", "database": str(place.database), "sql": sql, "times": times},
    )
    result = place.run("db-migrate-data", str(old), "--yes", hooks=[hook])
    assert result.status == status, result.stderr
    assert result.stderr.count("backing it up again") == 3
    if status:
        assert "kept writing" in result.stderr
        assert len(place.query(LATE_ROWS)) == times
        assert place.query("SELECT count(*) FROM users") == [(0,)]
        assert place.staging() == []
    else:
        assert place.query("SELECT count(*) FROM users") == [(60,)]
        assert place.run("db-rollback", "--yes").status == 0
        assert len(place.query(LATE_ROWS)) == times


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_writer_in_every_copy_is_made_to_wait_for_one(at: At, old: Path, mode: str) -> None:
    place = in_mode(at("foreign"), mode)
    sql = "INSERT INTO sections (name, abbreviation) VALUES ('Late', hex(randomblob(8)))"
    hook = (f"{HOOKS}:write_in_copies", {"database": str(place.database), "sql": sql})
    result = place.run("db-migrate-data", str(old), "--yes", hooks=[hook])
    assert result.status == 0, result.stderr
    late = query(Path(place.report()["backup"]), LATE_ROWS)
    assert len(late) == 3
    assert place.run("db-rollback", "--yes").status == 0
    assert place.query(LATE_ROWS) == late


def test_a_steady_writer_and_another_source(at: At, old: Path, writing: Callable[[Path, float], Writer]) -> None:
    """Each write is in the old generation, in the live database, or the run says that it did not catch up."""
    place = at("foreign")
    writer = writing(place.database, 0.02)
    result = place.migrate(old)
    written = writer.stop()
    live = [number for (number,) in place.query(WRITTEN)]
    if result.status == 0:
        (kept,) = (path for path in (place.area / "generations").iterdir() if path.name.endswith("-old.db"))
        assert [number for (number,) in query(kept, WRITTEN)] + live == written
    else:
        assert result.status == 23, result.stderr
        assert live == written


# The way back


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_rollback_lists_what_was_written_since(at: At, mode: str) -> None:
    place = in_mode(at("foreign_migrated"), mode)
    users = place.query("SELECT id FROM users ORDER BY id LIMIT 2")
    place.write(LATE.format(900))
    place.write("UPDATE users SET name = 'Changed since' WHERE id = ?", users[0][0])
    place.write("UPDATE users SET password = 'a secret hash' WHERE id = ?", users[1][0])
    place.write("DELETE FROM studies WHERE id = (SELECT min(id) FROM studies)")
    before = place.content()
    result = place.run("db-rollback", "--yes")
    assert result.status == 0, result.stderr
    assert place.query("SELECT id, name FROM sections") == [(77, "Theirs")]

    report = place.report()
    (file,) = (place.area / "runs" / report["run"]).glob("writes-since.json")
    assert str(file) in result.stderr
    assert file.stat().st_mode & 0o777 == 0o600
    text = file.read_text()
    assert "a secret hash" not in result.stdout + result.stderr + json.dumps(report)
    found: list[dict[str, Any]] = json.loads(text)["rows"]
    assert sorted((item["table"], item["kind"]) for item in found) == [
        ("sections", "added"),
        ("studies", "deleted"),
        ("users", "changed"),
        ("users", "changed"),
    ]
    changed = {item["key"]["id"]: item for item in found if item["table"] == "users"}
    assert changed[users[0][0]]["after"]["name"] == "Changed since"
    assert changed[users[1][0]]["after"]["password"] == "a secret hash", "whole, to be put back"
    assert len(report["differences"]) == len(found)
    assert content(Path(report["backup"])) == before, "every one of them is in the backup"


def test_a_rollback_after_which_nothing_was_written(at: At) -> None:
    place = at("foreign_migrated")
    result = place.run("db-rollback", "--yes")
    assert "Nothing was written since the cut-over." in result.stdout
    assert not list(place.area.glob("runs/*/writes-since.json"))


def test_a_write_in_the_middle_of_a_rollback_is_listed_too(at: At, tmp_path: Path) -> None:
    place = at("foreign_migrated")
    here = tmp_path / "here"
    started = waiting_at(place, here, "db-rollback", "--yes", step="staging", phase="done")
    place.write(LATE.format(900))
    here.unlink()
    result = started.wait()
    assert result.status == 0, result.stderr
    found = json.loads(next(place.area.glob("runs/*/writes-since.json")).read_text())["rows"]
    assert [(item["table"], item["key"]) for item in found] == [("sections", {"id": 900})]
    assert query(Path(place.report()["backup"]), LATE_ROWS) == [(900,)]


# Who only reads


def test_an_open_read_transaction_in_wal_mode(at: At, next_release: Path) -> None:
    """It sees what it saw, to its end, and then the new database."""
    place = in_mode(at("migrated"), "wal")
    place.release(next_release)
    count = place.query("SELECT count(*) FROM users")
    with contextlib.closing(sqlite3.connect(place.database, isolation_level=None)) as reader:
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM users").fetchall() == count
        result = place.migrate("self")
        assert result.status == 0, result.stderr
        assert reader.execute("SELECT version_num FROM alembic_version").fetchall() == [("0007_unique_sids",)]
        assert reader.execute("SELECT count(*) FROM users").fetchall() == count
        reader.execute("COMMIT")
        assert reader.execute("SELECT version_num FROM alembic_version").fetchall() == [("0008_next",)]


def test_a_read_transaction_in_rollback_mode_is_waited_for(at: At, next_release: Path, tmp_path: Path) -> None:
    place = at("migrated")
    place.release(next_release)
    here = tmp_path / "here"
    with contextlib.closing(sqlite3.connect(place.database, isolation_level=None, check_same_thread=False)) as reader:
        reader.execute("BEGIN")
        reader.execute("SELECT count(*) FROM users").fetchall()
        started = waiting_at(place, here, "db-migrate-data", "self", "--yes", step="check", phase="done")
        release = threading.Timer(1.0, reader.execute, ["COMMIT"])
        release.start()
        began = time.monotonic()
        here.unlink()
        result = started.wait()
        release.join()
    assert result.status == 0, result.stderr
    assert time.monotonic() - began >= 0.9
    assert place.query("SELECT version_num FROM alembic_version") == [("0008_next",)]


def test_a_write_lock_that_nobody_lets_go_of(at: At, next_release: Path, tmp_path: Path) -> None:
    place = at("migrated")
    place.release(next_release)
    live = place.content()
    here = tmp_path / "here"
    hooks = [
        (f"{HOOKS}:wait_at", {"here": str(here), "step": "check", "phase": "done"}),
        (f"{HOOKS}:patience", {"seconds": 0.5}),
    ]
    with contextlib.closing(sqlite3.connect(place.database, isolation_level=None)) as writer:
        started = place.launch("db-migrate-data", "self", "--yes", hooks=hooks)
        until(here.exists)
        writer.execute("BEGIN IMMEDIATE")
        here.unlink()
        result = started.wait()
        writer.execute("ROLLBACK")
    assert result.status == 11, result.stderr
    assert "locked by another program" in result.stderr
    assert place.content() == live
    assert (place.staging(), place.lease()) == ([], [])
    assert place.migrate("self").status == 0


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_connected_application_goes_on_without_reconnecting(at: At, old: Path, next_release: Path, mode: str) -> None:
    place = in_mode(at("migrated"), mode)
    place.release(next_release)
    with contextlib.closing(sqlite3.connect(place.database, isolation_level=None, timeout=10)) as app:
        prepared = "SELECT * FROM sections ORDER BY id LIMIT 1"
        before = app.execute(prepared).fetchone()
        assert place.migrate(old).status == 0
        after = app.execute(prepared).fetchone()
        assert after == (*before, "12")
        app.execute(LATE.format(900))
        assert place.query(LATE_ROWS) == [(900,)]
        assert place.run("db-rollback", "--yes").status == 0
        assert app.execute(prepared).fetchone() == before
        app.execute(LATE.format(901))
    assert place.query(LATE_ROWS) == [(901,)]
    assert integrity(place.database) == "ok"


def test_another_program_changes_the_schema_meanwhile(at: At, old: Path, tmp_path: Path) -> None:
    place = at("foreign")
    here = tmp_path / "here"
    started = waiting_at(place, here, "db-migrate-data", str(old), "--yes", step="upgrade", phase="done")
    write(place.database, "CREATE TABLE of_somebody (x)")
    write(place.database, "INSERT INTO of_somebody VALUES (1)")
    here.unlink()
    result = started.wait()
    assert result.status in (0, 1, 23), result.stderr
    found = query(place.database, "SELECT name FROM sqlite_schema WHERE name = 'of_somebody'")
    (kept,) = (
        (p for p in (place.area / "generations").iterdir() if p.name.endswith("-old.db")) if not found else (None,)
    )
    if kept:
        assert query(kept, "SELECT x FROM of_somebody") == [(1,)]
