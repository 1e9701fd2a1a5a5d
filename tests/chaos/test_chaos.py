"""The short form of ``make chaos``: some steps of each command on SQLite, a few on a server."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import pytest
from sqlalchemy import make_url

from tests.support.site import Result

from . import judge
from .chain import Chain, Hit, carry_out
from .commands import SELF, initialise, run
from .faults import FAKETIME, JUMPS, clock_file, load_clock
from .place import Look, Place
from .plan import make_chains, make_up, name_left_out
from .table import Floor, describe, find_below

DISK = ("kill -9", "full disk", "read-only directory")


def check(chain: Chain, *, met: int) -> None:
    """All faults of a chain; so many must have met their command, or it would say nothing."""
    hits = list(carry_out(chain))
    assert [hit.violations for hit in hits if hit.violations] == []
    assert sum(hit.outcome in ("old", "new") for hit in hits) >= met, hits


@pytest.mark.parametrize("case", ["source", "self", "keep", "init", "restore", "backup"])
def test_some_steps_on_sqlite(case: str) -> None:
    check(Chain(1, 11, "sqlite", case, DISK, 5), met=2)


@pytest.mark.parametrize("server", ["mariadb", "postgresql"])
def test_a_server_and_its_connections(server: str) -> None:
    check(Chain(2, 11, server, "self", ("kill -9 of the server", "kill -9", "connection cut"), 3), met=1)


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """An app on SQLite, with its seed."""
    own = tmp_path / "place"
    own.mkdir()
    made = Place("sqlite", own, make_url(f"sqlite:///{own / 'live.db'}"))
    made.prepare()
    initialise(made)
    return made


def test_the_judge_sees_what_is_wrong(place: Place) -> None:
    """Else no violation would prove anything."""
    live, other = place.look(), Look({"shops": [(1, "another")]})
    wrong = judge.Case(place, SELF, other, Look({}), [])
    wrong.judge_end(Result(0, "", ""), fault="none", gone=False)
    assert wrong.violations == ["neither the old database nor the new one is live after none"]
    old = judge.Case(place, SELF, live, other, place.objects())
    old.judge_end(Result(0, "Done", "Traceback"), fault="none", gone=False)
    assert [text.partition(",")[0] for text in old.violations] == ["a traceback: Traceback", "status 0"]
    new = judge.Case(place, SELF, other, live, [])
    new.judge_end(Result(22, "", "refused"), fault="none", gone=False)
    assert new.violations == ["status 22, and the new database is live: refused"]
    (place.directory / "live.db.ferry" / "staging-left.db").touch()
    control = place.control()
    assert control
    control.take_lease("20260101T000000-abcdef", "db-init")
    new.violations.clear()
    new.judge_rest(["written-nowhere"])
    beginnings = [text[:20] for text in new.violations]
    assert beginnings == [
        "in the end objects d",
        "1 of 1 acknowledged ",
        "left behind: ['live.",
        "the lock is still he",
    ]


def test_the_clock_of_a_command_jumps(place: Place) -> None:
    """Else a fault that does nothing would be counted; where it cannot be had it is named."""
    assert FAKETIME.exists() or name_left_out() == ["clock jump: needs Debian's libfaketime"]
    if not FAKETIME.exists():
        return
    load_clock(place)
    clock_file(place).write_text(JUMPS[-1])
    run(place, "db-backup")
    made = sorted(path.name.partition("-")[2][:8] for path in (place.directory / "backups").glob("*.sqlite3"))
    in_days = (dt.datetime.strptime(made[-1], "%Y%m%d").replace(tzinfo=dt.UTC) - dt.datetime.now(dt.UTC)).days
    assert 38 <= in_days <= 41, made


def test_a_plan_has_every_fault_of_every_command_and_a_seed_repeats_it() -> None:
    chains = make_chains(7, 2000)
    assert chains == make_chains(7, 2000)
    assert 1900 <= sum(chain.count for chain in chains) <= 2100
    assert {(chain.server, chain.case) for chain in chains} == {
        (server, case)
        for server in ("sqlite", "mariadb", "postgresql")
        for case in ("source", "self", "keep", "init", "restore", "backup")
    }
    assert all("kill -9 of the server" not in chain.faults for chain in chains if chain.server == "sqlite")


def test_what_was_hit_too_seldom_is_made_up_for() -> None:
    hits = [Hit(9, "mariadb", "db-rollback", step, "none", False, outcome="measured") for step in ("look", "cut-over")]
    hits.append(Hit(9, "mariadb", "db-rollback", "look", "kill -9", False, outcome="old"))
    [chain] = make_up(5, hits, Floor(step=2, cut_over=0))
    assert (chain.number, chain.server, chain.case) == (10, "mariadb", "self")
    assert chain.wanted == (("db-rollback", "cut-over"), ("db-rollback", "look"))
    assert chain.count == 2 * (2 + 1)
    assert make_up(5, hits, Floor(step=0, cut_over=0)) == []


def test_what_was_hit_too_seldom_is_below_the_floor() -> None:
    hits = [Hit(1, "sqlite", "db-init", step, "kill -9", False, outcome="old") for step in ("cut-over", "seed")]
    hits.append(Hit(1, "sqlite", "db-init", "staging", "kill -9", False, outcome="missed"))
    assert find_below(hits, Floor(step=1, cut_over=1)) == ["sqlite db-init staging: 0 hits of 1"]
    assert find_below(hits, Floor(step=0, cut_over=2)) == ["sqlite cut-over: 1 hits of 2"]
    # Many on one server are none on another.
    hits.append(Hit(1, "mariadb", "db-init", "staging", "kill -9", False, outcome="new"))
    assert "sqlite db-init staging: 0 hits of 1" in find_below(hits, Floor(step=1, cut_over=0))
    assert "| db-init | seed | 1 old, 0 new |  |  |" in describe(hits, 5)
