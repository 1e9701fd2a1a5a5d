"""What a command's process does to itself before the command begins."""

from __future__ import annotations

import os
import signal
from typing import Any

from app.transfer.anonymise import source
from app.transfer.anonymise.engine import Bound
from tests.support.runs.hooks import wait


def kill_with_all_read() -> None:
    """Be killed when everything was read and adapted, and nothing is anonymised yet."""

    def written(*_args: Any) -> Any:
        os.kill(os.getpid(), signal.SIGKILL)

    source.write_taken = written  # type: ignore[attr-defined]


def kill_in(table: str) -> None:
    """Be killed when the rows of a table are to be replaced: in the middle of the snapshot."""
    inner = Bound.rows

    def rows(self: Bound, of: Any, found: Any) -> Any:
        if of.name == table:
            os.kill(os.getpid(), signal.SIGKILL)
        return inner(self, of, found)

    Bound.rows = rows  # type: ignore[method-assign]


def fail_with_all_read() -> None:
    """Fail there with an error that nobody foresaw, and that says a value."""

    def written(*_args: Any) -> Any:
        raise KeyError("personal-error")

    source.write_taken = written  # type: ignore[attr-defined]


def wait_with_all_read(here: str) -> None:
    """Wait there: make a file and go on when it is gone."""
    inner = source.write_taken

    def written(*args: Any) -> Any:
        wait(here)
        return inner(*args)

    source.write_taken = written  # type: ignore[attr-defined]
