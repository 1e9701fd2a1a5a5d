"""Threads of a test that go on for as long as a block is open."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from types import TracebackType
from typing import Self

END_S = 60


class Going:
    """Begins its threads with the block, tells them to stop at its end, and sees them end."""

    def __init__(self) -> None:
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []

    def _begin_with(self, threads: Iterable[threading.Thread]) -> None:
        self._threads = list(threads)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, _type: type[BaseException] | None, _e: BaseException | None, _t: TracebackType | None) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(END_S)
            assert not thread.is_alive(), "one of them still waits"
