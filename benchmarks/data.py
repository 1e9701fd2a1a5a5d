"""Made-up rows for the forum, the same for a size on every machine: S has 81,040 of them, in 57 MB."""

from __future__ import annotations

import itertools
import json
import random
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

SIZES = {"XS": 1 / 20, "S": 1, "L": 5, "M": 14}
"""How many times the rows of S."""

USERS, POSTS, TAGS, POST_TAGS, FOLLOWS = 5_000, 30_000, 40, 36_000, 10_000
BATCH = 5_000
_WORDS = (
    *("alpha", "beta", "gamma", "delta", "ähnlich", "größer", "naïve", "東京"),
    *("rows", "carry", "every", "table", "proof", "quickly", "again"),
)


def fill(file: Path, size: str) -> int:
    """Fill the forum's empty tables; returns the number of rows.

    :raises KeyError: no such size.
    """
    return fill_times(file, SIZES[size], size)


def fill_times(file: Path, times: float, seed: str) -> int:
    """Fill the forum's empty tables with so many times the rows of S; returns the number of rows."""
    rng = random.Random(f"forum {seed}")
    count = 0
    with sqlite3.connect(file) as connection:
        for table, rows in _tables(rng, times):
            while batch := list(itertools.islice(rows, BATCH)):
                marks = ", ".join("?" * len(batch[0]))
                connection.executemany(f"INSERT INTO {table} VALUES ({marks})", batch)
                count += len(batch)
    connection.close()
    return count


def _tables(rng: random.Random, times: float) -> Iterator[tuple[str, Iterator[tuple[Any, ...]]]]:
    users, posts = int(USERS * times), int(POSTS * times)
    yield "users", (_user(rng, number) for number in range(1, users + 1))
    yield "posts", (_post(rng, number, users) for number in range(1, posts + 1))
    yield "tags", ((number, f"tag {number}") for number in range(1, TAGS + 1))
    pairs = rng.sample(range(posts * TAGS), int(POST_TAGS * times))
    yield "post_tags", ((pair // TAGS + 1, pair % TAGS + 1) for pair in pairs)
    yield "follows", _follows(rng, users, int(FOLLOWS * times))


def _follows(rng: random.Random, users: int, count: int) -> Iterator[tuple[Any, ...]]:
    for pair in rng.sample(range(users * users), count):
        yield pair // users + 1, pair % users + 1, _instant(rng)


def _user(rng: random.Random, number: int) -> tuple[Any, ...]:
    settings = {"theme": rng.choice(["dark", "light"]), "size": rng.randrange(8, 20), "mail": rng.random() < 0.5}
    skills = {rng.choice(_WORDS): round(rng.random() * 10, 3) for _ in range(8)}
    history = [{"at": _instant(rng), "points": rng.randrange(1000), "note": _text(rng, 60)} for _ in range(8)]
    return (
        number,
        f"user{number}",
        f"user{number}@example.org",
        rng.random() < 0.9,
        round(rng.random() * 1000, 2),
        _instant(rng),
        *(json.dumps(value) for value in (settings, skills, history)),
        _text(rng, 200) if rng.random() < 0.8 else None,
    )


def _post(rng: random.Random, number: int, users: int) -> tuple[Any, ...]:
    return (
        number,
        rng.randrange(1, users + 1),
        _text(rng, 40),
        _text(rng, rng.randrange(200, 2000)),
        _instant(rng),
        rng.random() * 100,
        rng.randbytes(rng.randrange(20, 600)) if rng.random() < 0.5 else None,
    )


def _instant(rng: random.Random) -> str:
    return (
        f"20{rng.randrange(10, 26)}-{rng.randrange(1, 13):02}-{rng.randrange(1, 29):02} "
        f"{rng.randrange(24):02}:{rng.randrange(60):02}:{rng.randrange(60):02}.{rng.randrange(1000000):06}"
    )


def _text(rng: random.Random, length: int) -> str:
    words: list[str] = []
    size = 0
    while size < length:
        words.append(rng.choice(_WORDS))
        size += len(words[-1].encode()) + 1
    return " ".join(words)
