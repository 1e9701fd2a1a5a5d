"""Sessions with a server that a command is done with, and may use again before it ends.

A run asks a server hundreds of small things. A connection for each costs more than most of them, on both sides, and
over a network several round trips.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Hashable, Iterator
from contextvars import ContextVar
from typing import Any, Protocol, TypeVar

T = TypeVar("T")


class Session(Protocol):
    """A connection of a driver."""

    def close_for_good(self) -> None:
        """End it; errors are nobody's concern any more."""


class Sessions:
    """Idle sessions, each under what it was opened with. Rooms put them back as they were when they were opened.

    :ivar facts: what servers said that no statement changes as long as they run; see :func:`remember`.
    """

    def __init__(self) -> None:
        self._idle: dict[Hashable, list[Any]] = {}
        self.facts: dict[Hashable, Any] = {}
        self._lock = threading.Lock()
        self._open = True

    def take(self, key: Hashable, suits: Callable[[Any], bool] = lambda _session: True) -> Any | None:
        """An idle session, which is the caller's from now on; it may be lost meanwhile.

        :param suits: one that this is true of is taken before others.
        """
        with self._lock:
            idle = self._idle.get(key)
            if not idle:
                return None
            session = next(filter(suits, reversed(idle)), idle[-1])
            idle.remove(session)
            return session

    def keep(self, key: Hashable, session: Session) -> bool:
        """Put a session back; False when it has to be closed, as the command is over."""
        with self._lock:
            if self._open:
                self._idle.setdefault(key, []).append(session)
            return self._open

    def close(self) -> None:
        """Close all; what is in use is closed by who uses it."""
        with self._lock:
            self._open = False
        self.close_idle()

    def close_idle(self) -> None:
        """Close those that nobody uses now."""
        with self._lock:
            sessions = [session for idle in self._idle.values() for session in idle]
            self._idle.clear()
        for session in sessions:
            session.close_for_good()


_held: ContextVar[Sessions | None] = ContextVar("sessions", default=None)


def held_sessions() -> Sessions | None:
    """Those of the command that this thread carries out, if any."""
    return _held.get()


def remember(name: Hashable, ask: Callable[[], T]) -> T:
    """What ``ask()`` gives, asked once for a command. Outside of one it is asked each time.

    :param name: of the server and of what was asked, which must not change as long as the server runs.
    """
    sessions = held_sessions()
    if sessions is None:
        return ask()
    if name not in sessions.facts:
        sessions.facts[name] = ask()
    value: T = sessions.facts[name]
    return value


def forget(name: Hashable) -> None:
    """Let what was remembered be asked again."""
    if (sessions := held_sessions()) is not None:
        sessions.facts.pop(name, None)


@contextlib.contextmanager
def hold_sessions() -> Iterator[None]:
    """Hold sessions until this is left: for as long as one command takes."""
    sessions = Sessions()
    token = _held.set(sessions)
    try:
        yield
    finally:
        _held.reset(token)
        sessions.close()
