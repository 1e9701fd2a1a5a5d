"""SIGTERM, SIGHUP and SIGINT: the run ends as interrupted and tidies up; during the cut-over they wait."""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from app.commands.signals import Interruptible
from app.errors import CutOverUnfinished, NotConfirmed
from tests.support.runs.commands import Place, Started, until
from tests.support.site import Result

At = Callable[[str], Place]
HOOKS = "tests.support.runs.hooks"
SIGNALS = [signal.SIGTERM, signal.SIGHUP, signal.SIGINT]


def launched(place: Place, file: Path, *arguments: str, hook: str, **parameters: object) -> Started:
    """Start a command and wait until it waits."""
    started = place.launch(*arguments, hooks=[(f"{HOOKS}:{hook}", {"here": str(file), **parameters})])
    until(file.exists)
    return started


def interrupted(place: Place, live: str, result: Result, name: str, *, may_go_on: bool = False) -> None:
    assert result.status == 130, result.stderr
    assert f"Interrupted by {name}" in result.stderr
    assert "Traceback" not in result.stderr
    assert place.content() == live
    assert place.lease() == []
    assert may_go_on or place.staging() == []
    assert place.generations() <= {f"{mark}-{kind}.db" for mark in marks(place) for kind in ("old", "new")}


def marks(place: Place) -> set[str]:
    return {mark for (mark,) in place.control("SELECT json_extract(entry, '$.mark') FROM ledger")}


@pytest.mark.parametrize(
    ("step", "phase", "number"),
    [
        ("backup", "done", signal.SIGTERM),
        ("extract", "begun", signal.SIGHUP),
        ("staging", "begun", signal.SIGINT),
        ("load", "begun", signal.SIGTERM),
        ("verify", "begun", signal.SIGHUP),
        ("upgrade", "begun", signal.SIGINT),
        ("check", "done", signal.SIGTERM),
    ],
)
def test_a_migration_is_interrupted(at: At, old: Path, tmp_path: Path, step: str, phase: str, number: int) -> None:
    place = at("foreign")
    live = place.content()
    here = tmp_path / "here"
    started = launched(place, here, "db-migrate-data", str(old), "--yes", hook="wait_at", step=step, phase=phase)
    started.signal(number)
    # Who types Ctrl-C means the run; whatever ends a machine does not.
    may_go_on = number != signal.SIGINT and step in ("load", "verify")
    interrupted(place, live, started.wait(), signal.Signals(number).name, may_go_on=may_go_on)
    assert place.report()["error"]["message"].startswith("Interrupted")
    assert len(place.staging()) == may_go_on
    assert place.migrate(old).status == 0
    assert place.staging() == []


@pytest.mark.parametrize(
    ("command", "number"), [("self", signal.SIGTERM), ("self", signal.SIGINT), ("rollback", signal.SIGHUP)]
)
def test_other_commands_are_interrupted(at: At, next_release: Path, tmp_path: Path, command: str, number: int) -> None:
    place = at("foreign_migrated")
    place.release(next_release)
    live = place.content()
    arguments = ("db-migrate-data", "self", "--yes") if command == "self" else ("db-rollback", "--yes")
    started = launched(place, tmp_path / "here", *arguments, hook="wait_at", step="staging", phase="done")
    started.signal(number)
    interrupted(place, live, started.wait(), signal.Signals(number).name)
    assert place.run(*arguments).status == 0


@pytest.mark.parametrize(
    ("where", "after", "number"),
    [
        ("swap", False, signal.SIGTERM),
        ("swap", False, signal.SIGINT),
        ("record", False, signal.SIGHUP),
        ("record", True, signal.SIGINT),
        ("prune", False, signal.SIGTERM),
        ("clean_up", False, signal.SIGHUP),
    ],
)
def test_during_the_cut_over_and_behind_it_a_signal_ends_nothing(
    at: At, next_release: Path, tmp_path: Path, number: int, where: str, after: bool
) -> None:
    place = at("migrated")
    place.release(next_release)
    here = tmp_path / "here"
    started = launched(place, here, "db-migrate-data", "self", "--yes", hook="wait_in", where=where, after=after)
    for _ in range(2):
        started.signal(number)
    here.unlink()
    result = started.wait()
    assert result.status == 0, result.stderr
    assert result.last_line.startswith("Done: ")
    assert place.query("SELECT version_num FROM alembic_version") == [("0008_next",)]
    assert (place.lease(), place.staging()) == ([], [])
    assert place.report()["outcome"] == "done"


def test_a_signal_counts_when_the_cut_over_did_not_take_effect(at: At, next_release: Path, tmp_path: Path) -> None:
    """The live database was written meanwhile: nothing is decided, and no further pass is begun."""
    place = at("migrated")
    place.release(next_release)
    here = tmp_path / "here"
    started = launched(place, here, "db-migrate-data", "self", "--yes", hook="wait_in", where="swap")
    place.write("INSERT INTO sections (id, name, abbreviation) VALUES (900, 'Late', 'LATE')")
    live = place.content()
    started.signal(signal.SIGTERM)
    here.unlink()
    interrupted(place, live, started.wait(), "SIGTERM")
    assert place.control("SELECT phase FROM journal WHERE step = 'cut-over' ORDER BY number DESC LIMIT 1") == [
        ("undone",)
    ]


def test_further_signals_do_not_disturb_the_tidying_up(at: At, old: Path, tmp_path: Path) -> None:
    place = at("foreign")
    live = place.content()
    here, tidying = tmp_path / "here", tmp_path / "tidying"
    hooks = [
        (f"{HOOKS}:wait_at", {"here": str(here), "step": "load"}),
        (f"{HOOKS}:wait_in", {"here": str(tidying), "where": "clean_up"}),
    ]
    started = place.launch("db-migrate-data", str(old), "--yes", hooks=hooks)
    until(here.exists)
    started.signal(signal.SIGINT)
    until(tidying.exists)
    for number in SIGNALS:
        started.signal(number)
    tidying.unlink()
    interrupted(place, live, started.wait(), "SIGINT")


@pytest.mark.parametrize("number", [signal.SIGHUP, signal.SIGINT])
def test_what_the_caller_ignores_stays_ignored(at: At, next_release: Path, tmp_path: Path, number: int) -> None:
    """As under ``nohup``, and SIGINT in a background job of a shell."""
    place = at("migrated")
    place.release(next_release)
    here = tmp_path / "here"
    hooks = [
        (f"{HOOKS}:ignore", {"number": int(number)}),
        (f"{HOOKS}:wait_at", {"here": str(here), "step": "staging"}),
    ]
    started = place.launch("db-migrate-data", "self", "--yes", hooks=hooks)
    until(here.exists)
    started.signal(number)
    here.unlink()
    assert started.wait().status == 0


def test_while_it_waits_for_the_lock(at: At, old: Path, tmp_path: Path) -> None:
    place = at("foreign")
    here = tmp_path / "here"
    first = launched(place, here, "db-migrate-data", str(old), "--yes", hook="wait_at", step="backup")
    held = place.lease()
    waiting = tmp_path / "waiting"
    second = launched(place, waiting, "db-backup", "--lock-timeout", "30", hook="wait_in", where="lock")
    waiting.unlink()
    second.signal(signal.SIGTERM)
    result = second.wait()
    assert result.status == 130, result.stderr
    assert place.lease() == held
    here.unlink()
    assert first.wait().status == 0


def test_a_signal_that_got_lost_counts_when_it_comes_again() -> None:
    """Python drops what is raised in a destructor, and in the first instants of ``input()``."""
    with Interruptible().install():
        with contextlib.suppress(NotConfirmed):
            os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(NotConfirmed):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_signal_that_got_lost_stops_the_run_before_the_cut_over() -> None:
    interruptible = Interruptible()
    with interruptible.install():
        with contextlib.suppress(NotConfirmed):
            os.kill(os.getpid(), signal.SIGHUP)
        with pytest.raises(NotConfirmed, match="SIGHUP"), interruptible.hold():
            pytest.fail("the cut-over was begun")


def test_an_unfinished_cut_over_is_said_and_not_the_signal() -> None:
    interruptible = Interruptible()

    def cut_over() -> None:
        with interruptible.hold():
            os.kill(os.getpid(), signal.SIGTERM)
            raise CutOverUnfinished("The new database is live.")

    with interruptible.install():
        with pytest.raises(CutOverUnfinished):
            cut_over()
        os.kill(os.getpid(), signal.SIGTERM)
