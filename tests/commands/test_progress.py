"""What is shown while a step goes on, and that it never claims more than there is."""

from __future__ import annotations

import json
import threading
import time

import pytest

from app.commands import progress
from app.commands.hints import Typed
from app.commands.progress import Count, StepProgress
from app.commands.render import Output, Renderer
from app.transfer.run.hooks import Event

PATIENCE_S = 60


def count(done: int, total: int | None, at: str = "") -> Count:
    item = Count(began=0.0)
    item.advance(0, total)
    item.advance(done, total, at)
    return item


def test_a_count_says_rate_and_time_left() -> None:
    assert count(1000, 5000).describe(10.0) == "1,000 of 5,000, 100 a second, 40 s left"
    assert count(1000, None).describe(10.0) == "1,000, 100 a second"
    assert count(2, 4).describe(10.0) == "2 of 4, 10 s left"
    assert count(2, 6, "0003_page").describe(0.5) == "2 of 6, 0003_page, 4 a second, 1.0 s left"
    assert count(0, 5000).describe(10.0) == "0 of 5,000"
    assert count(5000, 5000).describe(50.0) == "5,000 of 5,000, 100 a second"


def test_what_was_done_before_anybody_heard_of_it_makes_no_rate() -> None:
    item = Count(began=0.0)
    item.advance(500, 1000)
    assert item.describe(0.001) == "500 of 1,000"
    item.advance(600, 1000)
    assert item.describe(10.0) == "600 of 1,000, 10 a second, 40 s left"


def test_a_source_with_more_rows_than_it_says_is_never_above_100_percent() -> None:
    item = count(7, 5)
    assert (item.done, item.total) == (7, 7)
    assert item.describe(7.0) == "7 of 7, 1 a second"


def wait_for(lines: list[str], number: int) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while len(lines) < number and time.monotonic() < deadline:
        time.sleep(0.01)
    assert len(lines) >= number


def test_without_a_terminal_a_line_comes_again_and_again_until_the_step_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "LINE_EVERY_S", 0.02)
    lines: list[str] = []
    steps = StepProgress(lines.append, threading.RLock(), bars=False)
    steps.begin("load")
    steps.advance("posts", 500, 400)
    wait_for(lines, 2)
    steps.close()
    assert lines[-1].startswith("load: 0.")
    assert "so far; posts: 500 of 500" in lines[-1]
    steps.begin("verify")
    before = len(lines)
    wait_for(lines, before + 1)
    steps.close()
    assert "verify: " in lines[-1]
    assert "posts" not in lines[-1]  # it was of the step before


def test_bars_come_where_a_step_takes_long_and_hold_hostile_names(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(progress, "BARS_AFTER_S", 0.01)
    monkeypatch.setenv("NO_COLOR", "1")
    steps = StepProgress(lambda _line: None, threading.RLock(), bars=True)
    steps.begin("extract")
    deadline = time.monotonic() + PATIENCE_S
    while steps._bars is None and time.monotonic() < deadline:
        time.sleep(0.01)
    bars = steps._bars
    assert bars is not None
    for number in range(100):
        steps.advance(f"[red]table{number}", 20, 10)
    assert len(bars.tasks) <= progress.BARS + 1
    assert bars.tasks[0].description == "extract"
    assert bars.tasks[-1].description == "[red]table99"
    assert bars.tasks[-1].percentage == 100
    steps.close()
    assert steps._bars is None
    capsys.readouterr()


def test_json_has_progress_once_a_second_and_every_other_event(capsys: pytest.CaptureFixture[str]) -> None:
    renderer = Renderer(Output(as_json=True), Typed("flask", "db-status"))
    renderer.watch("r")
    renderer.emit(Event("step", "load", {}, "load"))
    for number in range(1000):
        renderer.emit(Event("progress", "posts", {"done": number, "total": 1000}, "load"))
    renderer.emit(Event("note", "a note", {}, "load"))
    renderer.emit(Event("step-end", "load", {"seconds": 0.1}, "load"))
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    kinds = [event["event"] for event in events]
    assert kinds[0] == "step"
    assert kinds[-2:] == ["note", "step-end"]
    assert 1 <= kinds.count("progress") < 100
    assert {(event["version"], event["run"], event["step"]) for event in events} == {(1, "r", "load")}
