"""SIGTERM, SIGHUP and SIGINT end a run as an interruption, and wait while a cut-over is being decided.

Once it is decided they end nothing any more: what is left to do is to say so.
"""

from __future__ import annotations

import contextlib
import signal
import threading
import weakref
from collections.abc import Iterator
from types import FrameType

from ..errors import CutOverUnfinished, NotConfirmed, Terminated

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Interruptible:
    """Turns the first signal into :class:`NotConfirmed`; while held, it waits.

    Those that come while the run tidies up are taken no notice of, so that nothing is left half done.
    """

    def __init__(self) -> None:
        self._held = False
        self._first: int | None = None
        self._raised: weakref.ref[NotConfirmed] | None = None

    def _handle(self, number: int, _frame: FrameType | None) -> None:
        self._first = self._first or number
        # An error that is on its way is alive. One that got lost is not, and a further signal counts again:
        # input() drops whatever is raised while it flushes, and so does a destructor.
        if self._raised is None or self._raised() is None:
            self._raise_unless_held()

    def _raise_unless_held(self) -> None:
        if self._first is None or self._held:
            return
        kind = NotConfirmed if self._first == signal.SIGINT else Terminated
        error = kind(f"Interrupted by {signal.Signals(self._first).name}.")
        self._raised = weakref.ref(error)
        try:
            raise error
        finally:
            del error  # its traceback leads here, so it would keep itself alive

    @contextlib.contextmanager
    def install(self) -> Iterator[None]:
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
        """Let signals wait until the cut-over is decided: for good when it took effect, else they end the run then.

        Where an earlier one of several took effect they end nothing any more: the others follow, or their error says
        what became of each.
        """
        # Here one that got lost still counts.
        self._raise_unless_held()
        # Of several cut-overs one may have taken effect.
        former, self._held = self._held, True
        try:
            yield
        except CutOverUnfinished:
            raise
        except BaseException:
            self._held = former
            self._raise_unless_held()
            raise
