"""Pauses and turns that connections to one deployment share."""

from __future__ import annotations

import threading

import pytest

from app.transfer.sources import turns as module
from app.transfer.sources.turns import Stopped, Turns, sleep
from tests.support.limits import no_endless_wait


def test_a_pause_holds_for_every_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    sleeps: list[float] = []

    def noted_sleep(seconds: float, stop: threading.Event) -> None:
        sleeps.append(seconds)
        sleep(seconds, stop)

    monkeypatch.setattr(module, "sleep", noted_sleep)
    turns, stop = Turns(), threading.Event()
    turns.pause(0.3)
    turns.pause(0.1)
    with turns.turn(stop) as turn:
        assert turn.wait() > 0.2
        assert sleeps
        sleeps.clear()
        turn.wait()
        assert not sleeps, "it is over"


def test_one_at_a_time() -> None:
    turns, stop, later = Turns(), threading.Event(), threading.Event()
    turns.one_at_a_time = True

    def wait_for_turn() -> None:
        with turns.turn(stop) as second:
            second.wait()
            later.set()

    with turns.turn(stop) as first:
        first.wait()
        # A further attempt has the turn already.
        first.wait()
        thread = threading.Thread(target=wait_for_turn)
        thread.start()
        assert not later.wait(0.3)
    assert later.wait(5)
    thread.join(5)


@pytest.mark.parametrize("busy", [False, True])
def test_who_is_stopped_waits_no_longer(busy: bool) -> None:
    turns, stop = Turns(), threading.Event()
    turns.one_at_a_time = busy
    turns.pause(0 if busy else 600)
    threading.Timer(0.1, stop.set).start()
    with no_endless_wait(), turns.turn(threading.Event()) as other, turns.turn(stop) as turn:
        if busy:
            other.wait()
        with pytest.raises(Stopped):
            turn.wait()
