"""Processes of this machine that do parts of a run's work; started when there is a first part, ended with the run."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from typing import Any, ClassVar, TypeVar

from ...dialects.wording import count_rows

T = TypeVar("T")
HERE = "the run itself"
MOST = 64
LOOK_S = 0.2
"""How often a worker looks whether the run is still there."""


def count_by_itself() -> int:
    """How many help on this machine: one for each core that this process may use, but for its own; at most four."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(cores - 1, 4)


def describe_rows(what: str, rows_by: Mapping[str, int]) -> str:
    """Who did something with how many rows; the most first, and the run itself by an empty text."""
    ordered = sorted(rows_by.items(), key=lambda item: (-item[1], item[0]))
    return f"{what} on the cluster: " + "; ".join(f"{name or HERE}: {count_rows(rows)}" for name, rows in ordered) + "."


class Workers:
    """The processes of a run.

    :ivar most: how many there may be; with none all is done in the run's own process.
    :cvar are_elsewhere: whether they may be on other machines, and may go on when the run has lost them.
    """

    are_elsewhere: ClassVar[bool] = False

    def __init__(self, most: int) -> None:
        self.most = most
        self._executor: Executor | None = None

    @property
    def executor(self) -> Executor:
        """Whoever carries out parts.

        :raises OSError: this machine lets no process share a semaphore with another.
        """
        if self._executor is None:
            from multiprocessing import resource_tracker

            # It never runs the program again that this process runs, as the standard library's would.
            from loky import ProcessPoolExecutor  # type: ignore[import-untyped]

            from .worker_process import WorkerContext

            # It warns where it cannot look for what they started; they start nothing.
            warnings.filterwarnings("ignore", "Failed to kill subprocesses", UserWarning)
            with _signalled_later():
                if hasattr(signal, "pthread_sigmask"):
                    # It unblocks signals when it starts, and would do so when the first of them is started.
                    resource_tracker.ensure_running()
                self._executor = ProcessPoolExecutor(
                    self.most, context=WorkerContext(), initializer=_begin, initargs=(os.getpid(),)
                )
        return self._executor

    def submit(self, work: Callable[..., T], *arguments: object, size: int = 0) -> Future[T]:
        """Let one of them carry out a part.

        :param size: of what it is about, in bytes.
        :raises OSError: this machine lets no process share a semaphore with another, or starts none.
        :raises BrokenExecutor: one ended while it worked.
        """
        del size
        executor = self.executor
        with _signalled_later():
            return executor.submit(work, *arguments)

    def wait_any(self, parts: Sequence[Future[Any]]) -> None:
        """Wait until one of some parts is done."""
        wait(parts, return_when=FIRST_COMPLETED)

    def wait_for(self, part: Future[T]) -> T | None:
        """What became of a part; None where its process failed, however, so that the run has to do it itself."""
        try:
            return part.result()
        except Exception:  # noqa: BLE001 # nothing is lost: the run does the part again, and meets what is wrong itself
            return None

    @property
    def are_there(self) -> bool:
        """Whether any was started."""
        return self._executor is not None

    def close(self) -> None:
        """End all, in the middle of what they do; a run that succeeds waits for every part before."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, kill_workers=True)  # type: ignore[call-arg] # of loky's


@contextlib.contextmanager
def _signalled_later() -> Iterator[None]:
    """What is started within this leaves the terminal's signals to the run, from its first instruction on.

    loky starts a process that watches its semaphores. It leaves all signals to the run but this one, and where it is
    gone before the run another one complains of each semaphore.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGHUP})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin(run: int) -> None:
    """In a worker: leave Ctrl-C to the run, and end when that is gone, however it went."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(run,), daemon=True).start()


def _end_with(run: int) -> None:
    while os.getppid() == run:
        time.sleep(LOOK_S)
    os._exit(1)
