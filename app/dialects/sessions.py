"""Sessions with a server that a command is done with, and may use again before it ends.

A run asks a server hundreds of small things. A connection for each costs more than most of them, on both sides, and
over a network several round trips.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Hashable, Iterator
from contextvars import ContextVar
from typing import Any, Protocol


class Session(Protocol):
    """A connection of a driver."""

    def close_for_good(self) -> None:
        """End it; errors are nobody's concern any more."""


class Sessions:
    """Idle sessions, each under what it was opened with. Rooms put them back as they were when they were opened."""

    def __init__(self) -> None:
        self._idle: dict[Hashable, list[Any]] = {}
        self._lock = threading.Lock()
        self._open = True

    def take(self, key: Hashable) -> Any | None:
        """An idle session, which is the caller's from now on; it may be lost meanwhile."""
        with self._lock:
            idle = self._idle.get(key)
            return idle.pop() if idle else None

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
            sessions = [session for idle in self._idle.values() for session in idle]
            self._idle.clear()
        for session in sessions:
            session.close_for_good()


_held: ContextVar[Sessions | None] = ContextVar("sessions", default=None)


def held_sessions() -> Sessions | None:
    """Those of the command that this thread carries out, if any."""
    return _held.get()


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
