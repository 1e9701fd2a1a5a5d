"""What is shown while a step goes on: bars on a terminal; elsewhere a line now and then."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from .receipt import format_duration

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

BARS_AFTER_S = 0.5
"""A step that ends sooner shows no bars: importing them takes as long."""
LINE_EVERY_S = 30.0
BARS = 8


@dataclass
class Count:
    """How much of one thing, of a table as a rule, is done.

    :ivar total: how much there is, or None when nobody knows; never less than is done.
    :ivar at: what is worked on, where that has a name of its own.
    :ivar first: how much was done when this was first heard of; the rate is of what came since.
    """

    done: int = 0
    total: int | None = None
    at: str = ""
    began: float = field(default_factory=time.monotonic)
    first: int | None = None

    def advance(self, amount: int, total: int | None, at: str = "") -> None:
        """Take a source at its word about how many there are only until there are more."""
        self.done, self.total, self.at = amount, None if total is None else max(amount, total), at
        if self.first is None:
            self.first = amount

    def describe(self, now: float) -> str:
        """So many of so many, the rate, and the time left."""
        parts = [
            f"{self.done:,}" + ("" if self.total is None else f" of {self.total:,}"),
            *([self.at] if self.at else []),
        ]
        elapsed_s, progress = now - self.began, self.done - (self.first or 0)
        if elapsed_s > 0 and progress > 0:
            rate = progress / elapsed_s
            if rate >= 1:
                parts.append(f"{rate:,.0f} a second")
            if self.total is not None and self.total > self.done:
                parts.append(f"{format_duration((self.total - self.done) / rate)} left")
        return ", ".join(parts)


class StepProgress:
    """Shows how one step after the other goes on.

    :param say: writes a line.
    :param bars: on a terminal.
    :param lock: held while anything is written: lines come from a thread of their own.
    """

    def __init__(self, say: Callable[[str], None], lock: threading.RLock, *, bars: bool) -> None:
        self._say, self._lock, self._with_bars = say, lock, bars
        self._counts: dict[str, Count] = {}
        self._name = ""
        self._began = 0.0
        self._ended = threading.Event()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def begin(self, name: str) -> None:
        """A step begins; another one that was shown is over."""
        self.close()
        self._name, self._began, self._counts = name, time.monotonic(), {}
        self._ended = threading.Event()
        threading.Thread(target=self._watch, args=(self._ended,), daemon=True).start()

    def advance(self, text: str, amount: int, total: int | None, at: str = "") -> None:
        """So much of one thing is done; ``at`` is what is worked on."""
        count = self._counts.setdefault(text, Count())
        count.advance(amount, total, at)
        if self._bars is not None:
            self._draw(text, count)

    def pause(self) -> None:
        """Take the bars away for a line; the next news bring them back."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._tasks.clear()

    def close(self) -> None:
        """The step is over."""
        self._ended.set()
        self.pause()

    def describe(self) -> str:
        """The step in a line: for how long it goes on, and how far what came last is."""
        now = time.monotonic()
        line = f"{self._name}: {format_duration(now - self._began)} so far"
        if self._counts:
            text, count = list(self._counts.items())[-1]
            line += f"; {text}: {count.describe(now)}"
        return line

    def _watch(self, ended: threading.Event) -> None:
        """Until the step ends, bring bars or say a line again and again."""
        while not ended.wait(BARS_AFTER_S if self._with_bars else LINE_EVERY_S):
            with self._lock:
                if ended.is_set():
                    return
                if not self._with_bars:
                    self._say(self.describe())
                elif self._bars is None:
                    self._start_bars()

    def _start_bars(self) -> None:
        self._bars = _make_bars()
        self._tasks = {self._name: self._bars.add_task(self._name, total=None, figures="")}
        for text, count in list(self._counts.items())[-BARS:]:
            self._draw(text, count)
        self._bars.start()

    def _draw(self, text: str, count: Count) -> None:
        bars, figures = self._bars, count.describe(time.monotonic())
        if bars is None:
            return
        if text not in self._tasks:
            for former in list(self._tasks)[1 : -BARS + 1]:
                bars.remove_task(self._tasks.pop(former))
            self._tasks[text] = bars.add_task(text, total=count.total, figures=figures)
        bars.update(self._tasks[text], completed=count.done, total=count.total, figures=figures)


def _make_bars() -> Progress:
    # Most commands show none, and importing this takes as long as the rest of a look.
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    return Progress(
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=20),
        TimeElapsedColumn(),
        TextColumn("{task.fields[figures]}", markup=False),
        console=Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR"))),
        transient=True,
    )
