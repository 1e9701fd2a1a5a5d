"""Fixed rows are added while the application writes, under ``kill -9``, and behind a revision newer than they are."""

from __future__ import annotations

import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.scenarios.sources.test_left_out import relaxed
from tests.support.runs.commands import ForkServer, Place, history, integrity

from .test_kill import KILLED, last_of_journal

HOOKS = "tests.support.runs.hooks"
MENDED = "SELECT id, uid FROM users WHERE uid = 'toby-too'"


@pytest.fixture(scope="session")
def set_aside(tmp_path_factory: pytest.TempPathFactory, server: ForkServer, old: Path) -> Place:
    """A migrated app with rows set aside, and the file of them fixed."""
    directory = tmp_path_factory.mktemp("set-aside")
    relaxed(old, directory / "old.db")
    with closing(sqlite3.connect(directory / "old.db")) as connection, connection:
        owner = connection.execute("SELECT _owner_teacher_id FROM classrooms ORDER BY id DESC LIMIT 1").fetchone()[0]
        connection.execute("UPDATE users SET _uid = 'toby' WHERE id = ?", (owner,))
        connection.execute("UPDATE microblogs SET _data = NULL WHERE _data LIKE '%' || ? || '%'", (owner,))
    place = Place(directory / "site", server=server)
    place.directory.mkdir()
    assert place.migrate(directory / "old.db", "--set-aside").status == 0
    [file] = place.area.glob("runs/*/set-aside.json")
    said = json.loads(file.read_text(encoding="utf-8"))
    for item in said["rows"]:
        if item["table"] == "users":
            item["row"]["_uid"] = "toby-too"
    (place.directory / "fixed.json").write_text(json.dumps(said))
    return place


Loading = tuple[Place, tuple[str, ...]]


@pytest.fixture
def loading(place: Place, set_aside: Place) -> Loading:
    """A place of its own in that state, and what loads the file."""
    shutil.copytree(set_aside.directory, place.directory, dirs_exist_ok=True)
    return place, ("db-migrate-data", "--set-aside-from", str(place.directory / "fixed.json"), "--yes")


@pytest.mark.parametrize(
    ("step", "phase", "mode"), [("compare", "done", "wal"), ("backup", "done", "delete"), ("add", "done", "wal")]
)
def test_a_write_at_any_time_is_there_afterwards(loading: Loading, step: str, phase: str, mode: str) -> None:
    place, arguments = loading
    assert place.query(f"PRAGMA journal_mode = {mode}") == [(mode,)]
    sql = "INSERT INTO sections (name, abbreviation) VALUES ('Late', 'LATE')"
    hook = (
        f"{HOOKS}:run_at",
        {"step": step, "phase": phase, "database": str(place.database), "sql": sql, "times": 1},
    )
    result = place.run(*arguments, hooks=[hook])
    assert result.status == 0, result.stderr
    assert place.query("SELECT name FROM sections WHERE abbreviation = 'LATE'") == [("Late",)]
    assert len(place.query(MENDED)) == 1
    assert ("pass 2" in result.stderr) is (step != "compare")
    assert integrity(place.database) == "ok"


def test_a_write_that_takes_the_key_meanwhile_is_not_lost(loading: Loading) -> None:
    place, arguments = loading
    said = json.loads((place.directory / "fixed.json").read_text())
    key = next(item["row"]["id"] for item in said["rows"] if item["table"] == "users")
    columns = "id, name, uid, email, password, role, pfp"
    sql = f"INSERT INTO users ({columns}) VALUES ({key}, 'N', 'late', '', 'x', 'User', '')"
    hook = (
        f"{HOOKS}:run_at",
        {"step": "add", "phase": "done", "database": str(place.database), "sql": sql, "times": 1},
    )
    result = place.run(*arguments, hooks=[hook])
    assert result.status == 22, result.stderr
    assert f"users [{key}]: changed" in result.stderr
    assert place.query("SELECT uid FROM users WHERE id = ?", key) == [("late",)]
    assert (place.staging(), place.lease()) == ([], [])


@pytest.mark.parametrize(
    ("what", "after"), [("write compare", True), ("write cut-over", True), ("record", False), ("record", True)]
)
def test_killed_at_a_write_to_the_control_area(
    set_aside: Place, server: ForkServer, tmp_path: Path, writes: list[str], what: str, after: bool
) -> None:
    place, arguments = _copy(set_aside, server, tmp_path)
    number = writes.index(next(line for line in writes if line.startswith(what))) + 1
    hook = (f"{HOOKS}:kill_at_write", {"number": number, "after": after})
    assert place.run(*arguments, hooks=[hook]).status == KILLED
    assert (place.look() != set_aside.look()) is (what == "record")
    _check_after_kill(place, arguments, set_aside.look())


def _copy(set_aside: Place, server: ForkServer, tmp_path: Path) -> Loading:
    place = Place(tmp_path / "killed", server=server)
    shutil.copytree(set_aside.directory, place.directory)
    return place, ("db-migrate-data", "--set-aside-from", str(place.directory / "fixed.json"), "--yes")


@pytest.fixture(scope="session")
def writes(set_aside: Place, server: ForkServer, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What a run that nobody kills writes to the control area."""
    directory = tmp_path_factory.mktemp("counted")
    place, arguments = _copy(set_aside, server, directory)
    counted = directory / "writes"
    assert place.run(*arguments, hooks=[(f"{HOOKS}:count_writes", {"file": str(counted)})]).status == 0
    return counted.read_text().splitlines()


def _check_after_kill(place: Place, arguments: tuple[str, ...], before: str) -> None:
    live, begun = place.look(), last_of_journal(place) == ("cut-over", "begun")
    added = live != before
    if added:
        assert len(place.query(MENDED)) == 1
    result = place.run(*arguments)
    assert result.status == 0, result.stderr
    if begun:
        which = "the new database is live" if added else "the old database is live, unchanged"
        assert which in result.stdout + result.stderr
    assert len(place.query(MENDED)) == 1
    assert integrity(place.database) == "ok"
    known = [run_id for (run_id,) in place.control("SELECT DISTINCT run_id FROM journal")]
    assert [name for name in place.staging() if any(run_id in name for run_id in known)] == []
    assert place.run(*arguments).stdout.startswith("Nothing to do")


def test_killed_in_the_middle_of_the_swap(set_aside: Place, server: ForkServer, tmp_path: Path) -> None:
    place, arguments = _copy(set_aside, server, tmp_path)
    assert place.run(*arguments, hooks=[(f"{HOOKS}:kill_in_swap", {"step": 2})]).status == KILLED
    assert last_of_journal(place) == ("cut-over", "begun")
    _check_after_kill(place, arguments, set_aside.look())


def test_a_newer_release_transforms_live_and_mended_rows_alike(loading: Loading, tmp_path: Path) -> None:
    """The live database is behind head: it is brought there, and the rows are added as the new revision makes them."""
    place, arguments = loading
    place.write("INSERT INTO sections (name, abbreviation) VALUES ('Late', 'LATE')")
    place.release(
        history(
            tmp_path / "migrations",
            "op.create_table('nicknames', sa.Column('id', sa.Integer, primary_key=True),"
            " sa.Column('name', sa.String(300), nullable=False))\n"
            "op.execute(\"INSERT INTO nicknames (name) SELECT 'n-' || uid FROM users ORDER BY uid DESC\")\n"
            "op.execute(\"UPDATE users SET name = name || '!'\")",
        )
    )
    names = dict(place.query("SELECT uid, name FROM users"))
    result = place.run(*arguments)
    assert result.status == 0, result.stderr
    now = dict(place.query("SELECT uid, name FROM users"))
    assert {uid: f"{name}!" for uid, name in names.items()} == {u: n for u, n in now.items() if u != "toby-too"}
    assert now["toby-too"].endswith("!")
    assert not now["toby-too"].endswith("!!")
    # Keys that the revision gave out come above those that it gave the live rows.
    assert sorted(name for (name,) in place.query("SELECT name FROM nicknames")) == sorted(f"n-{uid}" for uid in now)
    assert place.query("SELECT name FROM nicknames ORDER BY id DESC LIMIT 1") == [("n-toby-too",)]
    assert place.query("SELECT version_num FROM alembic_version") == [("0008_next",)]
    assert "holds exactly" in place.run("db-verify").last_line
