"""A process that helps, which ends at once where it is told to."""

from __future__ import annotations

import contextlib
import os
import signal

from loky.backend.context import LokyContext  # type: ignore[import-untyped]
from loky.backend.process import LokyProcess  # type: ignore[import-untyped]


class WorkerProcess(LokyProcess):  # type: ignore[misc] # loky has no types
    """One that needs no program to be killed.

    loky looks for what it started by ``pgrep``, where ``psutil`` is not installed. In a small image there is neither,
    and then it asks the process itself, which cannot.
    """

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(int(self.pid), getattr(signal, "SIGKILL", signal.SIGTERM))


class WorkerContext(LokyContext):  # type: ignore[misc] # loky has no types
    """Starts them."""

    Process = WorkerProcess
