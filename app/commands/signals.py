"""SIGTERM, SIGHUP and SIGINT end a run as an interruption, and wait while a cut-over is being decided.

Once it is decided they end nothing any more: what is left to do is to say so.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

from ..errors import CutOverUnfinished, NotConfirmed

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Interruptible:
    """Turns the first signal into :class:`NotConfirmed`; while held, it waits.

    Those that follow are taken no notice of, so that nothing is left half tidied up.
    """

    def __init__(self) -> None:
        self._held = False
        self._first: int | None = None

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        if self._first is None:
            self._first = number
            self._raise_unless_held()

    def _raise_unless_held(self) -> None:
        if self._first is not None and not self._held:
            raise NotConfirmed(f"Interrupted by {signal.Signals(self._first).name}.")

    @contextlib.contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals here; a program that embeds the commands in a thread keeps its own."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        # What the caller ignores stays ignored: `nohup flask db-migrate-data` goes on when the terminal closes.
        wanted = [number for number in SIGNALS if signal.getsignal(number) is not signal.SIG_IGN]
        former = {number: signal.signal(number, self._handle) for number in wanted}
        try:
            yield
        finally:
            for number, handler in former.items():
                signal.signal(number, handler)

    @contextlib.contextmanager
    def hold(self) -> Iterator[None]:
        """Let signals wait until the cut-over is decided: for good when it took effect, else they end the run then."""
        # An exception raised in a destructor is lost; here the signal still counts.
        self._raise_unless_held()
        self._held = True
        try:
            yield
        except CutOverUnfinished:
            raise
        except BaseException:
            self._held = False
            self._raise_unless_held()
            raise
