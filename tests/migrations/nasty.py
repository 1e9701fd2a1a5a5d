"""What an old SQLite deployment may hold: nothing here was ever refused by one."""

from __future__ import annotations

import json
import sqlite3
from typing import Any

AT = "2024-03-01 10:00:00.000000"
HUGE = 2**63 - 1
GONE = 404

# Stored as text, as SQLAlchemy does; SQLite makes numbers of the ones that look like one.
JSON_VALUES: tuple[Any, ...] = (
    None,
    "null",
    "{}",
    "[]",
    "42",
    "-3.25",
    "1e300",
    "12345678901234567890123",
    '"text"',
    '""',
    '"12"',
    "true",
    '{"b": 1, "a": [1.0, 2.50, {"ü": "\\u00fc"}]}',
    '{ "spaced" :1 }',
    "not json at all",
    b"\x00\xff",
)

MICROBLOG_DATA: tuple[Any, ...] = (
    *JSON_VALUES,
    '{"reactions": {"\\ud83d\\udc4d": [1, 2]}}',
    '{"replies": [], "reactions": {"x": [1, 2], "": []}, "hashtags": ["a"]}',
    '{"reactions": {"": [], "x": [2, 1], "n": 3, "y": [3]}, "z": 1}',
    '{"reactions":{"x":[1]},"compact":true}',
    '{"reactions": {"👍": [1]}, "raw": "é"}',
    f'{{"reactions": {{"gone": [{GONE}, 1]}}}}',
    '{"reactions": {"twice": [1, 1], "bool": [true], "float": [1.0], "text": ["1"], "none": [null]}}',
    '{"reactions": {"big": [2147483648], "negative": [-1], "most": [2147483647]}}',
    '{"reactions": {"x": [1]}, "reactions": {"y": [2]}}',
    '{"reactions": {"x": [1]}, "n": 1.50}',
    '{"reactions": {"x": [1]}, "n": 1E5}',
    '{"reactions": {"x": [1]}, "n": NaN}',
    '{"reactions": {"x": [1]}, "n": 1e999}',
    '{"reactions": {"x": [1]}, "n": -0}',
    '{"reactions": {"x": [1]}, "n": ' + "7" * 5000 + "}",
    '{"reactions": {"x": [1]}, "deep": ' + "[" * 60_000 + "]" * 60_000 + "}",
    '{"reactions": {"' + "k" * 65 + '": [1], "' + "k" * 64 + '": [1]}}',
    '{"reactions": {"\\u0000": [1], "\\ud800": [2]}}',
    '{"reactions": [1, 2]}',
    '{"reactions": null}',
    '{"reactions": {}}',
    '{"reactions": {"x": [1]}, "cut off',
    '{"\\u0072eactions": {"x": [1]}}',
    '{"note": "\\"reactions\\"", "reactions": {"x": [3]}}',
    '["reactions"]',
    '"reactions"',
    b'{"reactions": {"x": [1]}}',
)

ADDRESSES: tuple[Any, ...] = (
    None,
    "",
    "/a",
    "/a?b=1&c=2#d",
    "?",
    "??",
    "/a?",
    "?a",
    "/a?b?c",
    "/ü?é=😀",
    "/nul\0?a",
    "/a?nul\0b",
    b"/blob?x=1",
    " /a ? b ",
)

SIDS: tuple[Any, ...] = (None, "", "", "0001", "0001", "0001", "a", "A", "a ", "x\0", "x\0y", b"\x01")


def fill(connection: sqlite3.Connection) -> None:
    """Write the rows; foreign keys must be off."""
    users = _users()
    for table, rows in {**_parents(users), **_children(), **_pairs()}.items():
        for row in rows:
            marks = ", ".join("?" * len(row))
            connection.execute(f"INSERT INTO {table} VALUES ({marks})", row)


def _users() -> list[tuple[Any, ...]]:
    names = ("", "Ilse", "ilse", "😀", "N" * 255, "שלום", "a b?&#", "null", "0", " x ", "x", "X", "tab\t", "nul\0")
    rows = []
    for number, name in enumerate(names):
        data = [JSON_VALUES[(number + shift) % len(JSON_VALUES)] for shift in range(4)]
        key = (1, 2, 3, -5, 0, HUGE)[number] if number < 6 else number + 10
        role = ("Admin", "", "whatever", b"\x00")[number % 4]
        sid = SIDS[number % len(SIDS)]
        hash_ = ("scrypt:1:2:3$a$b", "", "!", "pbkdf2:sha512:1$a$b")[number % 4]
        odd = (None, 0, 1, 2, "yes")[number % 5]
        rows.append((key, name, name, "", sid, hash_, role, None, odd, *data[:3], None, data[3]))
    return rows


def _parents(users: list[tuple[Any, ...]]) -> dict[str, list[tuple[Any, ...]]]:
    return {
        "users": users,
        "sections": [(1, "", ""), (2, "A", "cs"), (3, "A", "CS")],
        "personas": [
            (number, "", f"p{number}", "null" if value is None else value, value)
            for number, value in enumerate(JSON_VALUES)
        ],
        "topics": [
            (1, "", "", "", *[None] * 11),
            (2, "K", "/?x", "T", "d\0d", "", "#fff", "i", 2, "no", "1" * 30, "yesterday", AT, 0, "7"),
            (3, "k", "/?x", "T", "", "", "", "", 0, 1, -1, AT, None, 1, '{"a":1}'),
        ],
    }


def _children() -> dict[str, list[tuple[Any, ...]]]:
    users = (1, 2, HUGE, GONE, -5, 0, -GONE, "abc", 2.5)
    return {
        "microblogs": [
            (number * 7 - 20, users[number % 9], (None, 1, GONE)[number % 3], "c", data, AT, (None, AT)[number % 2])
            for number, data in enumerate(MICROBLOG_DATA)
        ],
        "posts": _posts(users),
        "classrooms": [(number, "", "", user, None, AT) for number, user in enumerate(users)],
        "feedbacks": [(1, "", "", None, None, None, None), (HUGE, "t", "b\0b", "", "", "not a date", "")],
        "study": [(number, user, "", "", 2, "") for number, user in enumerate((None, *users))],
        "leaderboard": _scores(users),
        "elementary_leaderboard_events": _scores(users),
        "skill_snapshots": [(number, user, "", None, 0, -1, HUGE, "x") for number, user in enumerate(users)],
    }


def _posts(users: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    # Parents: none, a smaller id, a larger id, itself, one of two in a circle, gone, no id at all.
    parents = {1: None, 2: 1, 3: 9, 4: 4, 5: 6, 6: 5, 7: GONE, 8: "abc", 9: 2, -3: -GONE, 0: 0, HUGE: 1}
    rows = []
    for number, (key, parent) in enumerate(parents.items()):
        address = ADDRESSES[number % len(ADDRESSES)]
        rows.append((key, users[number % 9], parent, "c\0c", None, address, "", AT, AT))
    for number, address in enumerate(ADDRESSES):
        rows.append((1000 + number, 1, None, "", "A", address, None, AT, None))
    return rows


def _scores(users: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    payloads = [json.dumps(None) if value is None else value for value in JSON_VALUES]
    return [(number, (None, *users)[number % 10], payload, AT) for number, payload in enumerate(payloads)]


def _pairs() -> dict[str, list[tuple[Any, ...]]]:
    return {
        "user_sections": [(1, 1, None), (1, 2, 2024), (GONE, 1, 1), (2, GONE, None), (GONE, GONE, "x"), (HUGE, 3, 0)],
        "user_personas": [(1, 0, 1, AT), (2, 1, -1, None), (GONE, 1, 1.5, "later"), (1, GONE, HUGE, None)],
        "classroom_student": [(0, 1), (0, 2), (0, GONE), (GONE, 1), (GONE, GONE), ("abc", HUGE)],
    }
