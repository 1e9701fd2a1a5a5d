"""A rollback that keeps writes, on SQLite: with a writer at every moment, and under ``kill -9``."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.scenarios.releases import deploy, first_release, second_release
from tests.scenarios.runs.test_kill import KILLED, last_of_journal
from tests.support.runs.commands import ForkServer, Place, integrity

HOOKS = "tests.support.runs.hooks"
KEEP = ("db-rollback", "--keep-writes", "--yes")
LATE = "INSERT INTO sections (name, abbreviation) VALUES ('Late', 'LATE')"


@pytest.fixture(scope="session")
def _written(tmp_path_factory: pytest.TempPathFactory, server: ForkServer, old: Path) -> Place:
    """An app that a second release brought to its head, and that was written since."""
    directory = tmp_path_factory.mktemp("released")
    place = Place(directory / "site", server=server)
    place.directory.mkdir()
    deploy(place, first_release(directory / "first"))
    assert place.migrate(old).status == 0
    deploy(place, second_release(directory / "second"))
    assert place.migrate("self").status == 0
    place.write("INSERT INTO sections (name, abbreviation, room) VALUES ('Since', 'SINCE', 'R1')")
    place.write("DELETE FROM posts WHERE id = (SELECT max(id) FROM posts)")
    return place


@pytest.fixture
def written(place: Place, _written: Place) -> Place:
    shutil.copytree(_written.directory, place.directory, dirs_exist_ok=True)
    place.environ |= _written.environ
    return place


@pytest.mark.parametrize("step", ["backup", "downgrade", "staging", "keep"])
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_write_at_any_time_comes_along(written: Place, step: str, mode: str) -> None:
    assert written.query(f"PRAGMA journal_mode = {mode}") == [(mode,)]
    hook = {"step": step, "phase": "done", "database": str(written.database), "sql": LATE, "times": 1}
    result = written.run(*KEEP, hooks=[(f"{HOOKS}:run_at", hook)])
    assert result.status == 0, result.stderr
    names = {name for (name,) in written.query("SELECT name FROM sections")}
    assert {"Since", "Late"} <= names
    assert "pass 2" in result.stderr
    assert (written.staging(), written.lease(), integrity(written.database)) == ([], [], "ok")


def rolled_back(place: Place) -> bool:
    """Whether the old schema is live, with what was written; else the new one is, and never a mixture."""
    columns = {name for _, name, *_ in place.query("PRAGMA table_info(sections)")}
    assert place.query("SELECT name FROM sections WHERE abbreviation = 'SINCE'") == [("Since",)]
    assert ("room" in columns) is bool(place.query("SELECT 1 FROM sqlite_schema WHERE name = 'rooms'"))
    return "room" not in columns


@pytest.mark.parametrize("steps", range(1, 12, 3))
def test_killed_in_the_cut_over(written: Place, steps: int) -> None:
    killed = written.run(*KEEP, hooks=[(f"{HOOKS}:kill_in_swap", {"step": steps})])
    if killed.status == KILLED:
        assert last_of_journal(written) == ("cut-over", "begun")
        again = written.run(*KEEP)
        assert again.status == 0, again.stderr
    assert rolled_back(written)
    assert (written.staging(), written.lease(), integrity(written.database)) == ([], [], "ok")


@pytest.mark.parametrize(
    ("what", "after"),
    [("write downgrade", True), ("write keep", True), ("write cut-over", True), ("record", False), ("record", True)],
)
def test_killed_at_a_write_to_the_control_area(written: Place, tmp_path: Path, what: str, after: bool) -> None:
    twin = Place(tmp_path / "twin", server=written.server, environ=written.environ)
    shutil.copytree(written.directory, twin.directory)
    file = tmp_path / "writes"
    assert twin.run(*KEEP, hooks=[(f"{HOOKS}:count_writes", {"file": str(file)})]).status == 0
    number = next(n for n, line in enumerate(file.read_text().splitlines(), 1) if line.startswith(what))
    hook = (f"{HOOKS}:kill_at_write", {"number": number, "after": after})
    assert written.run(*KEEP, hooks=[hook]).status == KILLED
    if what == "record":
        assert rolled_back(written)
    if (what, after) != ("record", True):
        assert written.run(*KEEP).status == 0
    assert rolled_back(written)
    assert written.run("db-backup").status == 0
    assert (written.staging(), written.lease(), integrity(written.database)) == ([], [], "ok")
