"""SIGTERM, SIGHUP and SIGINT end a run as an interruption, and wait while a cut-over is being decided."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from ..errors import NotConfirmed

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Interruptible:
    """Turns signals into :class:`NotConfirmed`; while held, the last one waits."""

    def __init__(self) -> None:
        self._held = False
        self._waiting: int | None = None

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._held:
            self._waiting = number
            return
        raise NotConfirmed(f"Interrupted by {signal.Signals(number).name}.")

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals here; a program that embeds the commands in a thread keeps its own."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        former = {number: signal.signal(number, self._handle) for number in SIGNALS}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Let signals wait. What is decided meanwhile stays decided: a signal that waited ends nothing any more."""
        self._held = True
        try:
            yield
        finally:
            self._held = False
