"""An application that writes to the forum at a steady rate, and knows what was acknowledged."""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import threading
import time
from dataclasses import dataclass, field

import sqlalchemy as sa
from sqlalchemy.pool import NullPool

FIRST = 1_000_000_000
"""The first of a writer's own keys; each has a million."""
_POSTS = sa.table(
    "posts", *(sa.column(name) for name in ("id", "user_id", "title", "body", "posted", "score", "picture"))
)
_USERS = sa.table("users", sa.column("id"), sa.column("bio"))
_NOON = dt.datetime(2026, 1, 1, 12)  # noqa: DTZ001 # as the column is


@dataclass
class Writer:
    """One connection that inserts, changes and deletes posts of its own and changes one user, a transaction each.

    :ivar posts: what is acknowledged to be there, by key.
    :ivar times: when each was acknowledged.
    """

    url: str
    number: int
    per_second: float
    posts: dict[int, tuple[str, float]] = field(default_factory=dict)
    bio: str | None = None
    times: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def write(self, stop: threading.Event) -> None:
        engine = sa.create_engine(self.url, poolclass=NullPool)
        rng, due = random.Random(self.number), time.monotonic()
        connection = engine.connect()
        while not stop.is_set():
            connection = self._write_once(engine, connection, rng)
            due += 1 / self.per_second
            stop.wait(max(0.0, due - time.monotonic()))
            # What waited is not made up for: an application has as many users as it has.
            due = max(due, time.monotonic() - 0.1)
        connection.close()

    def _write_once(self, engine: sa.Engine, connection: sa.Connection, rng: random.Random) -> sa.Connection:
        statement, key, post = self._choose(rng)
        for attempt in (1, 2):
            try:
                with connection.begin():
                    connection.execute(statement)
                break
            except sa.exc.IntegrityError:
                break  # the first attempt was committed, only its answer was lost
            except sa.exc.DBAPIError as error:
                if attempt == 2:
                    self.failures.append(str(error.orig))
                    return connection
                with contextlib.suppress(sa.exc.DBAPIError):
                    connection.close()
                connection = engine.connect()
        self._note(key, post)
        return connection

    def _choose(self, rng: random.Random) -> tuple[sa.Executable, int | None, tuple[str, float] | None]:
        kind, serial = rng.random(), len(self.times)
        post = (f"writer {self.number}, {serial} ", float(serial) / 3)
        if kind < 0.2:
            return _USERS.update().where(_USERS.c.id == self.number + 1).values(bio=post[0]), None, post
        if kind < 0.5 or not self.posts:
            key = FIRST + self.number * 1_000_000 + serial
            values = {
                "id": key,
                "user_id": 1,
                "title": post[0],
                "body": post[0] * 20,
                "posted": _NOON,
                "score": post[1],
            }
            return _POSTS.insert().values(values), key, post
        key = rng.choice(list(self.posts)) if len(self.posts) < 1000 else next(iter(self.posts))
        if kind < 0.8:
            changed = _POSTS.update().where(_POSTS.c.id == key).values(title=post[0], score=post[1])
            return changed, key, post
        return _POSTS.delete().where(_POSTS.c.id == key), key, None

    def _note(self, key: int | None, post: tuple[str, float] | None) -> None:
        self.times.append(time.monotonic())
        if key is None:
            self.bio = post[0] if post else None
        elif post is None:
            self.posts.pop(key, None)
        else:
            self.posts[key] = post


class Writers:
    """Several of them, for as long as this is open; together at a rate."""

    def __init__(self, url: str, per_second: float) -> None:
        count = min(4, max(1, round(per_second / 25)))
        self.writers = [Writer(url, number, per_second / count) for number in range(count)]
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=one.write, args=(self._stop,), daemon=True) for one in self.writers]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(60)

    @property
    def times(self) -> list[float]:
        """When anything was acknowledged, in order."""
        return sorted(when for one in self.writers for when in one.times)

    @property
    def failures(self) -> list[str]:
        """What was refused twice, and is not there."""
        return [text for one in self.writers for text in one.failures]

    def find_lost(self, url: str) -> list[str]:
        """What was acknowledged and is not there, or otherwise."""
        engine = sa.create_engine(url, poolclass=NullPool)
        wrong = list[str]()
        with engine.connect() as connection:
            query = sa.select(_POSTS.c.id, _POSTS.c.title, _POSTS.c.score).where(_POSTS.c.id >= FIRST)
            there = {key: (title, score) for key, title, score in connection.execute(query)}
            bios = dict(connection.execute(sa.select(_USERS.c.id, _USERS.c.bio)).all())
        wanted = {key: post for one in self.writers for key, post in one.posts.items()}
        wrong += [
            f"post {key}: {there.get(key)} in place of {post}" for key, post in wanted.items() if there.get(key) != post
        ]
        wrong += [f"post {key} was deleted" for key in there.keys() - wanted.keys()]
        wrong += [f"user {one.number + 1}" for one in self.writers if one.bio and bios[one.number + 1] != one.bio]
        return wrong
