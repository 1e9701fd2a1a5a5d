"""How fast a migration goes: never faster than it may; and it waits while a server has too much to do."""

from __future__ import annotations

import time
from typing import Any

import pytest

from app.errors import DatabaseUnreachable, FerryError, Misconfigured, SourceIncomplete
from app.transfer.run import throttle as throttling
from app.transfer.run.throttle import Limits, Throttle, parse_throttle


def build(text: str, said: list[tuple[str, int]] | None = None) -> Throttle:
    return Throttle(
        parse_throttle(text), lambda words, rest_s: (said if said is not None else []).append((words, rest_s))
    )


@pytest.mark.parametrize(
    ("text", "rows", "busy"),
    [("5000", 5000, None), ("load=8", None, 8), ("5000,load=8", 5000, 8), ("load=8,1", 1, 8)],
)
def test_what_is_written(text: str, rows: int | None, busy: int | None) -> None:
    assert parse_throttle(text) == Limits(text, "--throttle", rows, busy)


@pytest.mark.parametrize("text", [None, ""])
def test_no_limit(text: str | None) -> None:
    assert parse_throttle(text) is None
    throttle, rows = Throttle(parse_throttle(text), print), iter(range(3))
    assert throttle.lane().rows(rows) is rows
    reader: Any = object()
    assert throttle.lane().reader(reader) is reader
    throttle.watch("a server", lambda: 1000)
    throttle.wait_for_load()
    assert throttle.give_up_unwatched() == ""
    assert throttle.give_up("would be refused") == ""
    assert (throttle.waited, throttle.describe()) == ({}, "")


@pytest.mark.parametrize("text", ["0", "-1", "x", "load", "load=", "load=0", "1,2", "load=1,load=2", "1,", "1e9", " 5"])
def test_what_has_no_meaning_is_refused(text: str) -> None:
    with pytest.raises(Misconfigured, match=r"FERRY_THROTTLE \(environment\)"):
        parse_throttle(text, "environment")


@pytest.mark.parametrize("rate", [100, 2_000])
def test_rows_come_no_faster(rate: int) -> None:
    throttle, count = build(str(rate)), rate // 4
    began = time.monotonic()
    assert list(throttle.lane().rows(range(count))) == list(range(count))
    assert time.monotonic() - began >= count / rate - 0.01
    assert throttle.waited["rows_s"] > 0
    assert throttle.describe().startswith(f"Throttled by {rate}: waited 0.")


def test_time_that_nobody_used_is_not_saved_up() -> None:
    lane = build("1000").lane()
    lane.wait_behind(1)
    time.sleep(0.3)
    lane.wait_behind(1)
    began = time.monotonic()
    lane.wait_behind(200)
    assert time.monotonic() - began >= 0.19


def test_pages_wait_too_and_what_is_read_again_counts_again() -> None:
    lane, reports = build("1000").lane(), list[tuple[str, int, int | None]]()
    progress = lane.heed(lambda *report: reports.append(report))
    began = time.monotonic()
    for count in (50, 100, 50):
        progress("posts", count, None)
    assert time.monotonic() - began >= 0.14
    assert [count for _, count, _ in reports] == [50, 100, 50]


def test_a_read_is_the_same_but_for_its_rows() -> None:
    class Reader:
        def rows(self, table: str, within: int = 0) -> list[tuple[str, int]]:
            return [(table, within)]

        def count(self, _table: str) -> int:
            return 7

    reader: Any = build("1000").lane().reader(Reader())  # type: ignore[arg-type] # it has what is asked here
    assert list(reader.rows("posts", within=3)) == [("posts", 3)]
    assert reader.count("posts") == 7


def test_a_busy_server_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "POLL_S", 0.01)
    said: list[tuple[str, int]] = []
    throttle, loads = build("load=2", said), iter([0, 3, 3, 2])
    throttle.watch("the server", lambda: next(loads))
    throttle.wait_for_load()
    assert next(loads, None) is None
    assert said == [("the server has more than 2 statements at work; waiting until it has not", 3600)]
    assert throttle.waited["load_s"] > 0
    # It is asked once a second.
    throttle.wait_for_load()


def test_a_server_that_never_has_time_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "POLL_S", 0.01)
    monkeypatch.setattr(throttling, "MOST_WAITED_S", 0.05)
    throttle = build("load=2")
    throttle.watch("the server", lambda: 3)
    with pytest.raises(FerryError, match="the server had more than 2 statements at work"):
        throttle.wait_for_load()


def test_a_server_that_is_gone_is_no_source_that_a_snapshot_stands_in_for() -> None:
    answers = iter([0])

    def count() -> int:
        for answer in answers:
            return answer
        raise DatabaseUnreachable("it is gone")

    throttle = build("load=2")
    throttle.watch("the server", count)
    with pytest.raises(FerryError, match="it is gone") as caught:
        throttle.wait_for_load()
    assert not isinstance(caught.value, SourceIncomplete | DatabaseUnreachable)


def test_without_a_server_a_load_is_refused() -> None:
    throttle = build("load=2")
    throttle.watch("a file", lambda: None)
    with pytest.raises(Misconfigured, match="--throttle is for database servers: neither"):
        throttle.give_up_unwatched()
    with pytest.raises(Misconfigured, match="--throttle is for others"):
        throttle.give_up("is for others.")


def test_a_load_that_is_a_setting_is_left_where_no_server_has_one() -> None:
    throttle = Throttle(parse_throttle("5000,load=2", "environment"), print)
    throttle.watch("a file", lambda: None)
    assert "neither the source nor the target is on one" in throttle.give_up_unwatched()
    assert (throttle.most_at_once, throttle.give_up_unwatched()) == (5000, "")
    assert throttle.describe() == "Throttled by 5000,load=2: waited 0.0 s for rows."
    throttle = Throttle(parse_throttle("load=2", "environment"), print)
    assert throttle.give_up_unwatched()
    assert throttle.limits is None


def test_a_setting_that_cannot_be_kept_is_said_and_left() -> None:
    throttle = Throttle(parse_throttle("5000", "environment"), print)
    assert throttle.give_up("is for others.") == "FERRY_THROTTLE (environment) is for others."
    assert (throttle.waited, throttle.describe(), throttle.give_up("is for others.")) == ({}, "", "")
