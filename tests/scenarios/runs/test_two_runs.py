"""Two runs on one database: one works, the other waits or is told who works; a dead lock is taken over."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

from app.dialects import dialect_for
from app.errors import LockHeld, Protected
from app.transfer.run import control as control_module
from app.transfer.run.control import Control
from tests.support.runs.commands import Hook, Place, Started, until, write

At = Callable[[str], Place]
HOOKS = "tests.support.runs.hooks"
OTHERS = "another-host.example"


def at_work(place: Place, here: Path, source: Path, step: str = "load") -> Started:
    """A migration that waits in the middle of its work."""
    hook = (f"{HOOKS}:wait_at", {"here": str(here), "step": step})
    started = place.launch("db-migrate-data", str(source), "--yes", hooks=[hook])
    until(here.exists)
    return started


def test_who_waits_finds_it_migrated(place: Place, old: Path, tmp_path: Path) -> None:
    here = tmp_path / "here"
    first = at_work(place, here, old)
    plan_set_aside = tmp_path / "plan_set_aside"
    hook = (f"{HOOKS}:wait_in", {"here": str(plan_set_aside), "where": "lock"})
    second = place.launch("db-migrate-data", str(old), "--yes", "--lock-timeout", "30", hooks=[hook])
    until(plan_set_aside.exists)
    plan_set_aside.unlink()
    here.unlink()
    assert first.wait().last_line.startswith("Done: ")
    result = second.wait()
    assert result.status == 0, result.stderr
    assert result.stdout.count("\n") == 1
    assert "already migrated" in result.stdout
    assert place.control("SELECT count(*) FROM ledger") == [(1,)]


@pytest.mark.parametrize("in_cut_over", [False, True])
def test_of_two_rollbacks_at_once_one_undoes_one_cut_over(
    place: Place, old: Path, tmp_path: Path, in_cut_over: bool
) -> None:
    """Found by ``make chaos``: who slept before it had the lock undid the cut-over before as well."""
    assert place.migrate(old).status == 0
    live = place.content()
    assert place.run("db-init", "--yes").status == 0
    here, there, first = tmp_path / "here", tmp_path / "there", None
    if in_cut_over:
        first = place.launch(
            "db-rollback", "--yes", hooks=[(f"{HOOKS}:wait_in", {"here": str(there), "where": "swap"})]
        )
        until(there.exists)
    hook = (f"{HOOKS}:wait_in", {"here": str(here), "where": "lock"})
    waiting = place.launch("db-rollback", "--yes", hooks=[hook])
    until(here.exists)
    if in_cut_over:
        # It had begun before the other one looked, and ended before that had the lock.
        assert first
        there.unlink()
        assert first.wait().status == 0
    else:
        assert place.run("db-rollback", "--yes").status == 0
    here.unlink()
    result = waiting.wait()
    assert result.status == 20, result
    assert "(db-rollback) replaced the live database." in result.stderr
    assert place.content() == live


def test_who_does_not_wait_is_told_who_works(at: At, old: Path, tmp_path: Path) -> None:
    place = at("foreign")
    here = tmp_path / "here"
    first = at_work(place, here, old)
    (run_id,) = place.lease()[0]
    for arguments in (("db-migrate-data", str(old), "--yes"), ("db-backup", "--quiet"), ("db-migrate-data", "self")):
        live = place.content()
        result = place.run(*arguments, "--lock-timeout", "0")
        if arguments[1] == "self":  # at head: nothing to do needs no lock
            assert result.status == 0
            continue
        assert result.status == 11, result.stderr
        assert result.stdout == ""
        for word in (run_id, "db-migrate-data", socket.gethostname(), f"process {first.pid}", "since 20"):
            assert word in result.stderr
        assert place.content() == live
    here.unlink()
    assert first.wait().status == 0


def test_the_lock_timeout_is_kept(at: At, old: Path, tmp_path: Path) -> None:
    place = at("foreign")
    here = tmp_path / "here"
    first = at_work(place, here, old)
    began = time.monotonic()
    assert place.migrate(old, "--lock-timeout", "1.5").status == 11
    assert time.monotonic() - began >= 1.5
    here.unlink()
    assert first.wait().status == 0


def test_four_deploy_hooks_at_once(place: Place, old: Path) -> None:
    started = [place.launch("db-migrate-data", str(old), "--yes") for _ in range(4)]
    results = [one.wait() for one in started]
    assert [result.status for result in results] == [0] * 4, [result.stderr for result in results]
    assert sorted(result.last_line.split(":")[0] for result in results) == ["Done"] + ["Nothing to do"] * 3
    assert place.control("SELECT count(*) FROM ledger") == [(1,)]
    assert (place.lease(), place.staging()) == ([], [])
    assert place.query("SELECT count(*) FROM users") == [(60,)]


@pytest.mark.parametrize("reaped", [True, False])
def test_the_lock_of_a_dead_run_is_taken_over(at: At, old: Path, tmp_path: Path, reaped: bool) -> None:
    """Also when nobody has asked for its status yet, as in a container without an init."""
    place = at("foreign")
    first = at_work(place, tmp_path / "here", old)
    (run_id,) = place.lease()[0]
    first.signal(9)
    if reaped:
        first.wait()
    else:
        until(lambda: Path(f"/proc/{first.pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z")
    result = place.migrate(old, "--verbose")
    assert result.status == 0, result.stderr
    assert f"Took over the lock of run {run_id}" in result.stderr
    assert f"Took over the lock of run {run_id}" in result.stdout
    assert (place.lease(), place.staging()) == ([], [])


def test_a_run_that_lost_its_lock_does_not_cut_over(at: At, old: Path, tmp_path: Path) -> None:
    """A machine that slept, say: somebody else took the lock and works on the database."""
    place = at("foreign")
    live = place.content()
    here = tmp_path / "here"
    first = at_work(place, here, old, "check")
    place.control("UPDATE lease SET run_id = 'another-run', host = ?", OTHERS)
    here.unlink()
    result = first.wait()
    assert result.status == 11, result.stderr
    assert "Another run took over" in result.stderr
    assert "lost its lock to run another-run" in result.stderr
    assert place.content() == live
    assert place.lease() == [("another-run",)]
    assert place.staging() == []


def test_a_run_that_slept_between_the_journal_and_the_swap_does_not_cut_over(at: At, old: Path) -> None:
    """The last instant there is: the check in the swap's own transaction is all that stands here."""
    place = at("foreign")
    live = place.content()
    taken = "UPDATE lease SET run_id = 'another-run', host = 'elsewhere', pid = 1"
    hook: Hook = (
        f"{HOOKS}:run_at",
        {"step": "cut-over", "phase": "begun", "database": str(place.area / "control.db"), "sql": taken},
    )
    result = place.run("db-migrate-data", str(old), "--yes", "--rerun", hooks=[hook])
    assert result.status == 11, result.stderr
    assert "Another run took over" in result.stderr
    assert place.content() == live
    assert place.lease() == [("another-run",)]
    # Who took over finds a cut-over begun, looks, and undoes it.
    place.control("UPDATE lease SET heartbeat_at = datetime('now', '-600 seconds')")
    ended = place.migrate(old, "--rerun")
    assert ended.status == 0, ended.stderr
    assert "before it took effect" in ended.stderr


def test_a_run_whose_staging_another_one_dropped_says_who_took_over(at: At, old: Path, tmp_path: Path) -> None:
    place = at("foreign")
    live = place.content()
    here = tmp_path / "here"
    first = at_work(place, here, old, "verify")
    place.control("UPDATE lease SET run_id = 'another-run', host = ?", OTHERS)
    for file in place.area.rglob("*staging*"):
        file.unlink()
    here.unlink()
    result = first.wait()
    assert result.status == 11, result.stderr
    assert "Another run took over" in result.stderr
    assert place.content() == live


# The lease itself


@pytest.fixture
def control(tmp_path: Path) -> Control:
    url = sa.make_url(f"sqlite:///{tmp_path / 'app.db'}")
    dialect = dialect_for(url)
    return Control.open(dialect, dialect.control_area(url))


def change(control: Control, changes: str) -> None:
    write(control.directory / "control.db", f"UPDATE lease SET {changes}")


def test_nobody_holds_it_at_first(control: Control) -> None:
    assert control.holder() is None
    assert control.take_lease("one", "db-backup") is None
    holder = control.holder()
    assert holder
    assert holder.alive
    assert (holder.run_id, holder.command, holder.host, holder.pid) == (
        "one",
        "db-backup",
        socket.gethostname(),
        os.getpid(),
    )


def test_it_is_taken_once(control: Control) -> None:
    control.take_lease("one", "db-backup")
    with pytest.raises(LockHeld, match="run one"):
        control.take_lease("two", "db-backup")
    control.release_lease("two")
    assert control.holder()
    control.release_lease("one")
    assert control.take_lease("two", "db-backup") is None


@pytest.mark.parametrize(("age_s", "alive"), [(0, True), (55, True), (65, False), (86_400, False)])
def test_on_another_host_the_heartbeat_counts(control: Control, age_s: int, alive: bool) -> None:
    control.take_lease("one", "db-backup")
    change(control, f"host = '{OTHERS}', heartbeat_at = datetime('now', '-{age_s} seconds')")
    holder = control.holder()
    assert holder
    assert holder.alive is alive
    if alive:
        with pytest.raises(LockHeld, match=OTHERS):
            control.take_lease("two", "db-backup")
    else:
        assert control.take_lease("two", "db-backup") == holder


def test_on_this_host_the_process_counts_and_not_the_heartbeat(control: Control) -> None:
    """A stopped process may go on at any time."""
    control.take_lease("one", "db-backup")
    change(control, "heartbeat_at = datetime('now', '-1 day')")
    holder = control.holder()
    assert holder
    assert holder.alive


@pytest.mark.parametrize("changes", ["pid = 99999999", "process = '1'"], ids=["gone", "its number used again"])
def test_a_process_that_is_gone(control: Control, changes: str) -> None:
    control.take_lease("one", "db-backup")
    change(control, changes)
    holder = control.take_lease("two", "db-backup")
    assert holder
    assert holder.run_id == "one"
    assert not holder.alive


def test_the_heartbeat_beats_while_it_is_open(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control_module, "HEARTBEAT_S", 0.01)
    control.take_lease("one", "db-backup")
    change(control, "heartbeat_at = datetime('now', '-1 day')")

    def age_s() -> float:
        holder = control.holder()
        assert holder
        return holder.age_s

    assert age_s() > 86_000
    with control.heartbeat("one"):
        until(lambda: age_s() < 60)
    change(control, "heartbeat_at = datetime('now', '-1 day')")
    time.sleep(0.1)
    assert age_s() > 86_000


def test_it_is_checked_before_the_cut_over(control: Control) -> None:
    with pytest.raises(LockHeld, match="nobody"):
        control.check_lease("one")
    control.take_lease("one", "db-backup")
    control.check_lease("one")
    change(control, f"run_id = 'two', host = '{OTHERS}'")
    with pytest.raises(LockHeld, match="run two"):
        control.check_lease("one")


def test_unlock_is_for_the_dead(control: Control) -> None:
    with pytest.raises(Protected, match="nobody"):
        control.unlock("one")
    control.take_lease("one", "db-backup")
    with pytest.raises(Protected, match="alive"):
        control.unlock("one")
    change(control, f"host = '{OTHERS}', heartbeat_at = datetime('now', '-61 seconds')")
    with pytest.raises(Protected, match="does not hold"):
        control.unlock("two")
    assert control.unlock("one").host == OTHERS
    assert control.holder() is None
