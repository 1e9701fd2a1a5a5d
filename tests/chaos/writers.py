"""Busy writers: they go on writing, whatever becomes of the server, and know what was acknowledged."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import URL
from sqlalchemy.pool import NullPool

from tests.support.going import Going

from .host import WRITTEN

INSERT = sa.text("INSERT INTO shops (name) VALUES (:name)")
PAUSE_S = 0.02
LIMIT_S = 120.0
_RUNS = itertools.count(1)


class Writers(Going):
    """Threads that insert rows, each in a transaction, for as long as this is open.

    :ivar acknowledged: the names of rows whose commit was answered.
    """

    def __init__(self, url: URL, count: int = 2) -> None:
        self._engine = sa.create_engine(url, poolclass=NullPool)
        self.acknowledged: list[str] = []
        super().__init__()
        self._prefix = f"{WRITTEN}-{time.time_ns():x}-{next(_RUNS)}"
        self._begin_with(threading.Thread(target=self._write, args=(number,), daemon=True) for number in range(count))

    def __exit__(self, *error: Any) -> None:
        super().__exit__(*error)
        self._engine.dispose()

    def _write(self, number: int) -> None:
        deadline = time.monotonic() + LIMIT_S
        names = (f"{self._prefix}-{number}-{of}" for of in itertools.count())
        while not self._stop.is_set() and time.monotonic() < deadline:
            # What is not acknowledged may be there or not; the next one is another row, in a new session.
            with contextlib.suppress(sa.exc.DBAPIError), self._engine.connect() as connection:
                self._write_on(connection, names, deadline)
            self._stop.wait(PAUSE_S)

    def _write_on(self, connection: sa.Connection, names: Iterator[str], deadline: float) -> None:
        for name in names:
            with connection.begin():
                connection.execute(INSERT, {"name": name})
            self.acknowledged.append(name)
            if self._stop.wait(PAUSE_S) or time.monotonic() > deadline:
                return
