"""The new database's rows, kept while the run only reads it: they are copied within the server, which takes a while."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from ..run.beside import Beside
from ..run.run import Run

WORTH = 20_000
"""Rows; fewer are copied in less time than another session takes to be opened."""


class Keeping:
    """Keeps the rows of staging from the beginning of a block on, in which nothing but the mark is written there.

    Only where the swap moves the old database away: else staging itself is kept, behind it. A rehearsal keeps none.

    :param rows: of staging, of all tables.
    :ivar is_worth_it: whether there are so many rows that something beside others saves time.
    :ivar is_done: whether they are kept.
    """

    def __init__(self, run: Run, rows: int) -> None:
        self._run, self.is_done, self.is_worth_it = run, False, rows >= WORTH
        is_kept_before = run.may_hold_writers and run.dialect.capabilities.swap_moves_old
        self._work = Beside(self._keep) if self.is_worth_it and is_kept_before else None

    def __enter__(self) -> Self:
        if self._work:
            # So that nothing is kept for a cut-over that will not be.
            self._run.control.check_lease(self._run.id)
            self._work.__enter__().begin()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._work is None:
            return
        try:
            if error is None:
                self._work.result()
                self.is_done = True
        finally:
            self._work.__exit__(kind, error, at)

    def _keep(self) -> None:
        self._run.dialect.keep(self._run.staging, self._run.new_generation)
