"""``kill -9``: whatever was being done, the old database is live or the new one, and the next run puts all in order."""

from __future__ import annotations

import os
import random
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.runs.commands import ForkServer, Place, integrity
from tests.support.site import Result

KILLED = -9
HOOKS = "tests.support.runs.hooks"


@dataclass(frozen=True)
class Work:
    """A command, the state it begins in, and the live database before and after it."""

    name: str
    state: Path
    arguments: tuple[str, ...]
    environ: dict[str, str]
    before: str
    after: str
    writes: list[str]
    generations: int

    def place(self, directory: Path, server: ForkServer) -> Place:
        """A place of its own in that state."""
        shutil.copytree(self.state, directory)
        return Place(directory, dict(self.environ), server)


@pytest.fixture(scope="session")
def works(
    tmp_path_factory: pytest.TempPathFactory,
    server: ForkServer,
    prepared: Callable[[str], Path],
    old: Path,
    next_release: Path,
) -> Callable[[str], Work]:
    """What each command does when nobody kills it: done once, with its writes to the control area counted."""
    made: dict[str, Work] = {}
    later = Place(Path(), server=server)
    later.release(next_release)
    # At head already: as a source it is read and loaded like any, and nothing has to be recognised.
    head = prepared("migrated") / "app.db"
    kinds: dict[str, tuple[str, tuple[str, ...], dict[str, str]]] = {
        "first": ("nothing", ("db-migrate-data", str(head), "--yes"), {}),
        "file": ("foreign", ("db-migrate-data", str(head), "--yes"), {}),
        "classic": ("foreign", ("db-migrate-data", str(old), "--yes"), {}),
        "self": ("migrated", ("db-migrate-data", "self", "--yes"), later.environ),
        "rollback": ("foreign_migrated", ("db-rollback", "--yes"), {}),
    }

    def make(kind: str) -> Work:
        if kind not in made:
            state, arguments, environ = kinds[kind]
            directory = tmp_path_factory.mktemp(kind) / "state"
            directory.mkdir() if state == "nothing" else shutil.copytree(prepared(state), directory)
            done = directory.parent / "done"
            shutil.copytree(directory, done)
            place = Place(done, dict(environ), server)
            before, counted = place.look(), directory.parent / "writes"
            result = place.run(*arguments, hooks=[(f"{HOOKS}:count_writes", {"file": str(counted)})])
            assert result.status == 0, result.stderr
            after, writes = place.look(), counted.read_text().splitlines()
            kept = len(place.generations())
            assert before != after
            made[kind] = Work(kind, directory, arguments, environ, before, after, writes, kept)
        return made[kind]

    return make


def check_after_kill(work: Work, place: Place) -> None:
    """Look, run the command again, look again."""
    live = place.look()
    assert live in (work.before, work.after)
    last = last_of_journal(place)
    begun = last == ("cut-over", "begun")
    result = place.run(*work.arguments)
    said = result.stdout + result.stderr
    if begun:
        expected = "the new database is live" if live == work.after else "the old database is live, unchanged"
        assert expected in said, said
    if work.name == "rollback" and live == work.after and not begun:
        # What was asked for is done and recorded; this asks for one more.
        assert result.status == 20, said
        assert "no cut-over left" in said
    else:
        assert result.status == 0, said
    assert place.look() == work.after
    assert integrity(place.database) == "ok"
    check_order(work, place, result)
    if last and last[0] in ("check", "cut-over", "run"):
        check_way_back(work, place)


def check_order(work: Work, place: Place, result: Result) -> None:
    """Nothing is left behind, and what a run needs later is there."""
    # What a run made before it had the lock may be another one's that is still planning.
    known = [run_id for (run_id,) in place.control("SELECT DISTINCT run_id FROM journal")]
    assert [name for name in place.staging() if any(run_id in name for run_id in known)] == []
    # Where nothing is to be done or undone no lock is taken, so a dead one may stay.
    if result.status == 0 and not result.stdout.startswith("Nothing to do"):
        assert place.lease() == []
        assert len(place.generations()) <= work.generations
    begun = place.control("SELECT phase FROM journal WHERE step = 'cut-over' ORDER BY number DESC LIMIT 1")
    assert begun == [("done",)]
    marks = {mark for (mark,) in place.control("SELECT json_extract(entry, '$.mark') FROM ledger")}
    assert place.query("SELECT mark FROM flask_ferry_generation")[0][0] in marks


def check_way_back(work: Work, place: Place) -> None:
    """What the killed run and the one after it kept is enough to go back."""
    if work.name != "rollback":
        undone = place.run("db-rollback", "--yes")
        assert undone.status == 0, undone.stderr
        assert "Nothing was written since the cut-over." in undone.stdout
        assert place.lease() == []
        if work.before:
            assert place.look() == work.before
        else:
            assert place.query("SELECT name FROM sqlite_schema WHERE name <> 'flask_ferry_generation'") == []


def last_of_journal(place: Place) -> tuple[str, str] | None:
    if not (place.area / "control.db").exists():
        return None
    if not place.control("SELECT 1 FROM sqlite_schema WHERE name = 'journal'"):
        return None
    rows = place.control("SELECT step, phase FROM journal ORDER BY number DESC LIMIT 1")
    return rows[0] if rows else None


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        ("first", True),
        ("file", False),
        ("file", True),
        ("self", False),
        ("self", True),
        ("rollback", False),
        ("rollback", True),
    ],
)
def test_killed_at_every_write_to_the_control_area(
    works: Callable[[str], Work], server: ForkServer, tmp_path: Path, stride: int, kind: str, after: bool
) -> None:
    work = works(kind)
    assert sum(line.startswith(("write", "record")) for line in work.writes) >= 5, (
        "a backup, staging and the cut-over at least"
    )
    for number in range(1, len(work.writes) + 1, stride):
        place = work.place(tmp_path / str(number), server)
        hook = (f"{HOOKS}:kill_at_write", {"number": number, "after": after})
        assert place.run(*work.arguments, hooks=[hook]).status == KILLED
        check_after_kill(work, place)
        shutil.rmtree(place.directory)


def test_the_kills_come_before_and_after_the_new_database_is_live(
    works: Callable[[str], Work], server: ForkServer, tmp_path: Path
) -> None:
    """The series above would prove nothing if all its kills came before the cut-over."""
    work = works("file")
    number = work.writes.index(next(line for line in work.writes if line.startswith("record"))) + 1
    found = []
    for after in (False, True):
        place = work.place(tmp_path / f"record-{after}", server)
        place.run(*work.arguments, hooks=[(f"{HOOKS}:kill_at_write", {"number": number, "after": after})])
        found.append((place.look() == work.after, last_of_journal(place)))
    assert found == [(True, ("cut-over", "begun")), (True, ("cut-over", "done"))]


@pytest.mark.parametrize(
    ("kind", "wal"), [("file", False), ("file", True), ("self", True), ("rollback", False)], ids=str
)
def test_killed_in_the_middle_of_the_swap(
    works: Callable[[str], Work], server: ForkServer, tmp_path: Path, stride: int, kind: str, wal: bool
) -> None:
    work = works(kind)
    steps = 0
    for steps in range(1, 40, stride):
        place = work.place(tmp_path / str(steps), server)
        if wal:
            assert place.query("PRAGMA journal_mode = WAL") == [("wal",)]
        result = place.run(*work.arguments, hooks=[(f"{HOOKS}:kill_in_swap", {"step": steps})])
        if result.status == 0:
            break
        assert result.status == KILLED
        assert last_of_journal(place) == ("cut-over", "begun")
        check_after_kill(work, place)
        shutil.rmtree(place.directory)
    else:
        pytest.fail("the swap has more than 39 steps")
    assert steps >= 3


def _moments(seed: int, count: int, longest_s: float) -> Iterator[float]:
    chance = random.Random(seed)
    for _ in range(count):
        yield chance.uniform(0.02, longest_s)


@pytest.mark.parametrize(("kind", "longest_s"), [("classic", 1.2), ("self", 0.35), ("rollback", 0.3)])
def test_killed_at_any_time(
    works: Callable[[str], Work], server: ForkServer, tmp_path: Path, stride: int, kind: str, longest_s: float
) -> None:
    work = works(kind)
    for number, moment in enumerate(_moments(20, 20 if stride == 1 else 3, longest_s)):
        place = work.place(tmp_path / str(number), server)
        started = place.launch(*work.arguments)
        time.sleep(moment)
        started.signal(9)
        assert started.wait().status in (KILLED, 0)
        if started.wait().status == KILLED:
            check_after_kill(work, place)
        shutil.rmtree(place.directory)


def test_killed_again_and_again(works: Callable[[str], Work], server: ForkServer, tmp_path: Path) -> None:
    """One run after the other killed at its next write, in one place."""
    work = works("self")
    place = work.place(tmp_path / "again", server)
    for number in range(1, len(work.writes)):
        place.run(*work.arguments, hooks=[(f"{HOOKS}:kill_at_write", {"number": number, "after": True})])
        assert place.look() in (work.before, work.after)
    assert place.run(*work.arguments).status == 0
    assert place.look() == work.after
    assert place.staging() == []
    assert len(place.generations()) <= work.generations


def test_what_a_killed_run_was_writing_is_said_and_removed(
    works: Callable[[str], Work], server: ForkServer, tmp_path: Path
) -> None:
    work = works("file")
    place = work.place(tmp_path / "place", server)
    place.run(*work.arguments, hooks=[(f"{HOOKS}:kill_in_backup", {})])
    left = list(place.backups.glob(".*.tmp"))
    assert len(left) == 1
    other = place.backups / ".another-20260101T000000Z-db-backup-0000.sqlite3.tmp"
    snapshot = place.directory / ".data.json.0a1b2c3d.tmp"
    for file in (other, snapshot):
        file.touch()
    assert f"Left behind: {left[0]}" in place.run("db-status").stdout
    assert place.run(*work.arguments).status == 0
    assert not left[0].exists(), "its run is known to have ended"
    assert snapshot.exists(), "another host may be writing it"
    for file in (other, snapshot):
        os.utime(file, (0, 0))
    assert place.run(*work.arguments, "--rerun").status == 0
    assert not snapshot.exists()
    assert other.exists(), "another database's"
