"""An application that writes while the database under it is replaced."""

from __future__ import annotations

import contextlib
import itertools
import threading
import time
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy import URL
from sqlalchemy.pool import NullPool

from tests.support.going import Going

INSERT = sa.text("INSERT INTO sections (name, abbreviation) VALUES (:name, :name)")


@dataclass
class Writer:
    """One connection that inserts sections of its own, each in a transaction; an error is cured by one retry or told.

    :ivar acknowledged: what the server said it has.
    :ivar retried: how often once more was needed.
    :ivar times: when each was acknowledged, by a clock that only goes forward.
    """

    url: URL
    number: int
    pause_s: float
    acknowledged: list[str] = field(default_factory=list)
    retried: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def write(self, stop: threading.Event, limit_s: float) -> None:
        engine = sa.create_engine(self.url, poolclass=NullPool)
        deadline = time.monotonic() + limit_s
        connection = engine.connect()
        try:
            while not stop.is_set() and time.monotonic() < deadline:
                connection = self._insert(engine, connection, f"w{self.number}-{len(self.acknowledged)}")
                stop.wait(self.pause_s)
        finally:
            with contextlib.suppress(sa.exc.DBAPIError):
                connection.close()

    def _insert(self, engine: sa.Engine, connection: Any, name: str) -> Any:
        for attempt in (1, 2):
            try:
                with connection.begin():
                    connection.execute(INSERT, {"name": name})
                break
            except sa.exc.IntegrityError:
                if attempt == 1:
                    raise
                break  # the first attempt was committed, only its answer was lost
            except sa.exc.DBAPIError as error:
                (self.retried if attempt == 1 else self.failures).append(f"{name}: {error.orig}")
                with contextlib.suppress(sa.exc.DBAPIError):
                    connection.close()
                connection = engine.connect()
        self.acknowledged.append(name)
        self.times.append(time.monotonic())
        return connection


class Writers(Going):
    """Several of them, for as long as this is open."""

    def __init__(self, url: URL, count: int, *, pause_s: float = 0.005, limit_s: float = 90.0) -> None:
        self.writers = [Writer(url, number, pause_s) for number in range(count)]
        super().__init__()
        self._begin_with(
            threading.Thread(target=writer.write, args=(self._stop, limit_s), daemon=True) for writer in self.writers
        )

    @property
    def acknowledged(self) -> list[str]:
        return [name for writer in self.writers for name in writer.acknowledged]

    @property
    def failures(self) -> list[str]:
        return [text for writer in self.writers for text in writer.failures]

    @property
    def pauses_s(self) -> list[float]:
        """How long nobody was acknowledged anything, longest first: a stall of all, then what the machine takes."""
        times = sorted(when for writer in self.writers for when in writer.times)
        return sorted((later - earlier for earlier, later in itertools.pairwise(times)), reverse=True)
