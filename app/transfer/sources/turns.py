"""What all connections to one deployment share: the pause it asked for, the rate, and whether they go one at a time.

A deployment that answers 429, or not at all, is asked by one connection at a time from then on, as if there never had
been several. A request then keeps its turn until it has its answer: several that wait for the same second would take
it from one another until one of them has failed too often.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

_LOOK_S = 0.1


class Stopped(Exception):
    """Nobody waits for the answer any more."""


class Turns:
    """Pauses and turns of the connections to one deployment; every method may be called by any thread.

    :ivar interval_s: between the beginnings of two requests, of whatever connection; 0 for none.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._not_before = 0.0
        self._spacing = threading.Lock()
        self._next = 0.0
        self.interval_s = 0.0
        self.one_at_a_time = False

    def pause(self, seconds: float) -> None:
        """Let no connection begin a request for so long."""
        self._not_before = max(self._not_before, time.monotonic() + seconds)

    @contextlib.contextmanager
    def turn(self, stop: threading.Event) -> Iterator[Turn]:
        """The turn of one request, with all of its attempts."""
        turn = Turn(self, stop)
        try:
            yield turn
        finally:
            turn.end()

    def wait_for_pause(self, stop: threading.Event) -> float:
        """Wait until a request may begin; returns for how long, in seconds.

        :raises Stopped: nobody waits for the answer any more.
        """
        began = time.monotonic()
        if stop.is_set():
            raise Stopped
        if self.interval_s:
            sleep(self._take_place(), stop)
        while (rest_s := self._not_before - time.monotonic()) > 0:
            sleep(rest_s, stop)
        return time.monotonic() - began

    def _take_place(self) -> float:
        """Take the next place in the row of requests; returns how long it is until then, in seconds."""
        with self._spacing:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + self.interval_s
        return at - now


class Turn:
    """The turn of one request."""

    def __init__(self, turns: Turns, stop: threading.Event) -> None:
        self._turns, self._stop = turns, stop
        self._holds = False

    def wait(self) -> float:
        """Wait until an attempt may begin; returns for how long, in seconds.

        :raises Stopped: nobody waits for the answer any more.
        """
        began = time.monotonic()
        while self._turns.one_at_a_time and not self._holds:
            self._holds = self._turns._lock.acquire(timeout=_LOOK_S)
            if not self._holds and self._stop.is_set():
                raise Stopped
        self._turns.wait_for_pause(self._stop)
        return time.monotonic() - began

    def end(self) -> None:
        """Let the next request have its turn."""
        if self._holds:
            self._turns._lock.release()
            self._holds = False


class Headers(dict[str, str]):
    """What is sent with every request of a deployment's clients: replaced by a new log-in, never changed by it.

    :ivar renewed: whether they come of another log-in than the first.
    :ivar accepted: whether a request with them was answered.
    """

    renewed = accepted = False


@dataclass
class Common:
    """What all clients of one deployment have in common.

    :ivar left: the statuses of redirects that are not followed, but mean something themselves.
    """

    turns: Turns = field(default_factory=Turns)
    headers: Headers = field(default_factory=Headers)
    left: frozenset[int] = frozenset()


def sleep(seconds: float, stop: threading.Event) -> None:
    """:raises Stopped: nobody waits for the answer any more."""
    if stop.wait(seconds):
        raise Stopped
