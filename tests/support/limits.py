"""An end to what would wait without one."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType


@contextlib.contextmanager
def no_endless_wait(limit_s: float = 45.0) -> Iterator[None]:
    """Fail where something waits on and on, in the middle of that wait.

    It measures nothing: what is right ends long before, however busy the machine is; what is wrong would go on longer.

    :raises AssertionError: the time is up.
    """

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise AssertionError("it goes on waiting")

    before = signal.signal(signal.SIGALRM, interrupt)
    signal.setitimer(signal.ITIMER_REAL, limit_s)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
