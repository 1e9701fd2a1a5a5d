"""Runs inside the command's process: tells at which step it is, and lets a fault come at one moment of it.

A moment is what a process does that others can see: a statement to a server, a step of SQLite's copy, an entry of the
journal, a file made, renamed or removed, a program started. They are counted within each step.
"""

from __future__ import annotations

import contextlib
import functools
import importlib
import os
import select
import signal
import sqlite3
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from app.transfer.jobs.passage import Passage
from app.transfer.run.control import Control
from app.transfer.run.run import Run

PHASES = ("look", "lock", "plan", "ask", "stage", "cut_over")
"""Of a command's passage: what is done outside of the steps of its job."""
NAMES = {"stage": "between steps", "cut_over": "last look"}
AFTER = {"cut-over": "receipt"}
"""What comes after a step, where it is none of the former."""
WRITES = ("write", "record", "take_lease", "release_lease", "keep")
SEEN = {"os.rename", "os.remove", "os.mkdir", "os.truncate", "sqlite3.connect", "subprocess.Popen"}
LIMIT_S = 120.0


class Clock:
    """Counts the moments of each step, and acts at one of them.

    :ivar step: where the command is.
    """

    def __init__(self, act: Callable[[str, int], None]) -> None:
        self.step, self.counts = "look", Counter[str]()
        self._act, self._busy = act, False

    def tick(self) -> None:
        """A moment of the main thread; what acting does is none."""
        if self._busy or threading.current_thread() is not threading.main_thread():
            return
        self._busy = True
        try:
            self.counts[self.step] += 1
            self._act(self.step, self.counts[self.step])
        finally:
            self._busy = False

    @contextlib.contextmanager
    def be_at(self, step: str, after: str | None = None) -> Iterator[None]:
        former, self.step = self.step, step
        self.tick()
        try:
            yield
        finally:
            self.step = after or former


def count(file: str) -> None:
    """Write each moment's step to a file, a line for each."""
    lines = Path(file).open("a", buffering=1)  # noqa: SIM115 # to the end of the process

    def note(step: str, _number: int) -> None:
        lines.write(f"{step}\n")

    _watch(Clock(note))


def act_at(step: str, number: int, how: str, here: str) -> None:
    """At one moment of a step: ``kill`` or ``stop`` this process, or ``wait`` for whoever does something else.

    :param here: a file that is made then; one who waits waits until it is gone.
    """

    def act(at: str, moment: int) -> None:
        if (at, moment) == (step, number) and not Path(f"{here}.done").exists():
            Path(f"{here}.done").touch()
            HOW[how](Path(here))

    _watch(Clock(act))


def sleep_by_select() -> None:
    """Sleep for a time, and not until one: the latter libfaketime takes for one of the clock that jumped (EINVAL)."""

    def sleep(seconds: float) -> None:
        select.select((), (), (), seconds)

    time.sleep = sleep  # type: ignore[assignment]


def _kill(here: Path) -> None:
    here.touch()
    os.kill(os.getpid(), signal.SIGKILL)


def _stop(here: Path) -> None:
    here.touch()
    os.kill(os.getpid(), signal.SIGSTOP)


def _wait(here: Path) -> None:
    here.touch()
    deadline = time.monotonic() + LIMIT_S
    while here.exists() and time.monotonic() < deadline:
        time.sleep(0.002)


HOW: dict[str, Callable[[Path], None]] = {"kill": _kill, "stop": _stop, "wait": _wait}


def _watch(clock: Clock) -> None:
    _name_steps(clock)
    for name in WRITES:
        _tick_around(Control, name, clock)
    _watch_servers(clock)
    _watch_sqlite(clock)
    sys.addaudithook(lambda event, arguments: clock.tick() if _is_seen(event, arguments) else None)


def _is_seen(event: str, arguments: tuple[Any, ...]) -> bool:
    if event == "open":
        path, mode, flags = arguments
        return isinstance(path, str) and not path.startswith("/dev/") and bool(flags & os.O_CREAT or mode == "w")
    return event in SEEN


def _name_steps(clock: Clock) -> None:
    show_step = Run.show_step

    @contextlib.contextmanager
    def show(self: Run, name: str) -> Iterator[None]:
        with clock.be_at(name, AFTER.get(name)), show_step(self, name):
            yield

    Run.show_step = show  # type: ignore[method-assign]
    for phase in PHASES:
        _name_phase(clock, phase)


def _name_phase(clock: Clock, phase: str) -> None:
    inner = getattr(Passage, phase)

    @functools.wraps(inner)
    def outer(self: Passage, *args: Any, **kwargs: Any) -> Any:
        with clock.be_at(NAMES.get(phase, phase), "receipt" if phase == "cut_over" else None):
            return inner(self, *args, **kwargs)

    setattr(Passage, phase, outer)


def _tick_around(owner: Any, name: str, clock: Clock) -> None:
    inner = getattr(owner, name)

    @functools.wraps(inner)
    def outer(*args: Any, **kwargs: Any) -> Any:
        clock.tick()
        answer = inner(*args, **kwargs)
        clock.tick()
        return answer

    setattr(owner, name, outer)


def _watch_servers(clock: Clock) -> None:
    """Before and after whatever is sent to a server; there is no driver where none is used."""
    connections: Any = importlib.import_module("pymysql.connections")
    _tick_around(connections.Connection, "_execute_command", clock)
    driver: Any = importlib.import_module("app.dialects.postgresql.driver")
    _tick_around(driver.Connection, "wait", clock)


def _watch_sqlite(clock: Clock) -> None:
    class Cursor(sqlite3.Cursor):
        def execute(self, *args: Any) -> Any:
            clock.tick()
            return super().execute(*args)

        def executemany(self, *args: Any) -> Any:
            clock.tick()
            return super().executemany(*args)

    class Connection(sqlite3.Connection):
        def cursor(self, factory: Any = Cursor) -> Any:
            return super().cursor(factory)

        def commit(self) -> None:
            clock.tick()
            super().commit()
            clock.tick()

        def backup(self, target: sqlite3.Connection, *, pages: int = -1, progress: Any = None, **more: Any) -> None:
            def follow(*state: Any) -> None:
                if progress:
                    progress(*state)
                clock.tick()

            super().backup(target, pages=pages, progress=follow, **more)

    for module in (sqlite3, sqlite3.dbapi2):
        connect = module.connect
        module.connect = functools.partial(connect, factory=Connection)  # type: ignore[attr-defined]
