"""What every row of the classic database must be at head, said once more and independently of the revisions.

``answered`` says what is left of the classic rows after the way over HTTP; its keys are the names that the report
must give as not carried. ``at_head`` says what classic rows are in the new schema.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .sites import rows_of

Row = dict[str, Any]
Rows = list[Row]
Tables = dict[str, Rows]

RENAMED_TABLES = {"study": "studies", "classroom_student": "classroom_students"}
RENAMED = {
    ("users", "_class"): "classes",
    ("microblogs", "_timestamp"): "created_at",
    ("posts", "_timestamp"): "created_at",
    ("posts", "_grade_received"): "grade",
    ("classrooms", "_owner_teacher_id"): "owner_id",
    ("leaderboard", "_timestamp"): "created_at",
    ("elementary_leaderboard_events", "_timestamp"): "created_at",
}
JSON_COLUMNS = {
    "users": ("grade_data", "ap_exam", "classes", "game_profile"),
    "personas": ("bio_map", "empathy_map"),
    "topics": ("settings",),
    "microblogs": ("data",),
    "leaderboard": ("payload",),
    "elementary_leaderboard_events": ("payload",),
}
LINKS = {
    "microblogs": (("user_id", "users"), ("topic_id", "topics")),
    "posts": (("user_id", "users"), ("parent_id", "posts")),
    "classrooms": (("owner_id", "users"),),
    "studies": (("user_id", "users"),),
    "leaderboard": (("user_id", "users"),),
    "elementary_leaderboard_events": (("user_id", "users"),),
    "skill_snapshots": (("user_id", "users"),),
}
PAIRS = {
    "user_sections": (("user_id", "users"), ("section_id", "sections")),
    "user_personas": (("user_id", "users"), ("persona_id", "personas")),
    "classroom_students": (("classroom_id", "classrooms"), ("student_id", "users")),
}


# To head


def at_head(classic: Tables) -> Tables:
    """The rows of all tables at head."""
    head = {RENAMED_TABLES.get(table, table): [_renamed(table, row) for row in rows] for table, rows in classic.items()}
    ids = {table: {row["id"] for row in rows} for table, rows in head.items() if rows and "id" in rows[0]}
    head["microblog_reactions"] = [
        reaction for row in sorted(head["microblogs"], key=lambda row: row["id"]) for reaction in _take_reactions(row)
    ]
    head["microblog_reactions"] = [
        row | _linked(row["user_id"], "user_id", ids.get("users", set())) for row in head["microblog_reactions"]
    ]
    for table, links in LINKS.items():
        for row in head[table]:
            if table == "posts":
                row["is_reply"] = int(row["parent_id"] is not None)
                row |= _split_url(row.pop("page_url"))
            for column, parent in links:
                row |= _linked(row[column], column, ids.get(parent, set()))
    for table, links in PAIRS.items():
        gone = [row for row in head[table] if any(row[column] not in ids.get(other, ()) for column, other in links)]
        head[f"{table}_orphans"] = gone
        head[table] = [row for row in head[table] if row not in gone]
    _keep_first_sid(head["users"])
    return head


def _renamed(table: str, row: Row) -> Row:
    return {RENAMED.get((table, name), name.removeprefix("_")): value for name, value in row.items()}


def _linked(value: Any, column: str, there: set[int]) -> Row:
    gone = value is not None and value not in there
    return {column: None if gone else value, f"former_{column}": value if gone else None}


def _split_url(url: str | None) -> Row:
    path, mark, query = (url or "").partition("?")
    return {"page_path": url if url is None else path, "page_query": query if mark else None}


def _keep_first_sid(users: Rows) -> None:
    taken = set()
    for row in sorted(users, key=lambda row: row["id"]):
        row["former_sid"] = row["sid"] if row["sid"] in taken else None
        if row["sid"] is not None and row["sid"] in taken:
            row["sid"] = None
        taken.add(row["sid"])


def _take_reactions(row: Row) -> Rows:
    """Take ``{"reactions": {kind: [user ids]}}`` out of a microblog; what is no list of ids stays."""
    value = json.loads(row["data"]) if isinstance(row["data"], str) else None
    kinds = value.get("reactions") if isinstance(value, dict) else None
    if not isinstance(kinds, dict):
        return []
    fitting = [kind for kind, users in kinds.items() if kind and isinstance(users, list) and users]
    if not fitting:
        return []
    moved = [(kind, user) for kind in fitting for user in kinds.pop(kind)]
    row["data"] = json.dumps(value)
    return [{"microblog_id": row["id"], "kind": kind, "user_id": user} for kind, user in moved]


# Over HTTP

MICROBLOG_KEYS = {
    *("id", "userId", "userName", "userUid", "content", "topicId", "topicKey", "topicPath"),
    *("timestamp", "updatedAt", "characterCount"),
}


def _null(stored: Any) -> bool:
    return stored is None or stored == "null"


def _without_own_keys(stored: Any) -> str:
    value = json.loads(stored) if isinstance(stored, str) else None
    return json.dumps({k: v for k, v in value.items() if k not in MICROBLOG_KEYS} if isinstance(value, dict) else {})


VALUES: Mapping[str, Callable[[Any], Any]] = {
    "users._grade_data": lambda stored: "{}" if _null(stored) else stored,
    "users._ap_exam": lambda stored: "{}" if _null(stored) else stored,
    "users._class": lambda stored: "[]" if _null(stored) else stored,
    "users._game_profile": lambda stored: None if _null(stored) else stored,
    "personas._empathy_map": lambda stored: None if _null(stored) else stored,
    "topics._settings": lambda stored: None if _null(stored) else stored,
    "microblogs._data": _without_own_keys,
    "feedbacks.created_at": lambda stored: stored and stored[:19] + ".000000",
}
"""What a value is after the way over HTTP, for each column that the report must name."""

ROWS = {
    "user_sections.user_id": PAIRS["user_sections"],
    "user_personas.user_id": PAIRS["user_personas"],
    "classroom_student.classroom_id": (("classroom_id", "classrooms"),),
    "skill_snapshots.user_id": (("user_id", "users"),),
}
"""Rows that no answer has when what they refer to is gone, for each column that the report must name."""


def answered(classic: Tables, *names: str) -> Tables:
    """The classic rows as HTTP can give them; ``names``: only the differences of these columns."""
    ids = {table: {row["id"] for row in rows} for table, rows in classic.items() if rows and "id" in rows[0]}
    left = {table: [dict(row) for row in rows] for table, rows in classic.items()}
    for name in names:
        table, column = name.split(".")
        if name in ROWS:
            links = ROWS[name]
            left[table] = [row for row in left[table] if all(row[own] in ids[parent] for own, parent in links)]
        else:
            for row in left[table]:
                row[column] = VALUES[name](row[column])
    return left


LATER_COLUMNS = ("_sid", "_class", "_grade_data", "_ap_exam", "_school", "_game_profile")


def listed(classic: Tables) -> Tables:
    """What ``GET /api/user`` of an older version says: accounts without a password, and who is enrolled where."""
    full = answered(classic, "user_sections.user_id")
    members = {row["section_id"] for row in full["user_sections"]}
    nothing: Tables = {table: [] for table in classic}
    return nothing | {
        "users": [row | dict.fromkeys(LATER_COLUMNS) | {"_password": "!"} for row in full["users"]],
        "user_sections": full["user_sections"],
        "sections": [row for row in full["sections"] if row["id"] in members],
    }


# Comparison


def assert_same(database: Path, expected: Tables, *, texts: bool) -> None:
    """The database at head holds these rows and nothing else.

    :param texts: JSON columns hold the same text; else the same JSON value.
    """
    assert_same_rows(rows_of(database), expected, texts=texts)


def assert_same_rows(found: Tables, expected: Tables, *, texts: bool) -> None:
    """As :func:`assert_same`, of rows that were read already."""
    assert [row["version_num"] for row in found.pop("alembic_version")] == ["0007_unique_sids"]
    _check_former_data(found["microblogs"])
    for row in found["microblog_reactions"]:
        del row["id"]
    assert set(found) == set(expected)
    for table, rows in expected.items():
        wanted, got = _comparable(table, rows, texts=texts), _comparable(table, found[table], texts=texts)
        assert len(got) == len(wanted), table
        different = [f"{table}\n{one}\n{other}" for one, other in zip(wanted, got, strict=True) if one != other]
        assert not different, different[0]


def _check_former_data(microblogs: Rows) -> None:
    """The text before its reactions were taken out is kept only where it would be spelled otherwise."""
    for row in microblogs:
        former = row.pop("former_data")
        if former is not None:
            assert "reactions" in json.loads(former)


def _comparable(table: str, rows: Rows, *, texts: bool) -> list[str]:
    """Each row as a text that tells 1 from 1.0 and from true, in an order of its own."""
    told = []
    for row in rows:
        shown = dict(row)
        for name in JSON_COLUMNS.get(table, ()):
            shown[name] = _by_value(row[name]) if not texts or table == "microblogs" else _as_text(row[name])
        told.append(repr(sorted(shown.items())))
    return sorted(told)


def _as_text(stored: Any) -> Any:
    """A JSON column's text; SQLite keeps numbers as numbers."""
    return stored if stored is None or isinstance(stored, str) else repr(stored)


def _by_value(stored: Any) -> Any:
    """A JSON column's value in one spelling; SQLite keeps numbers as numbers."""
    return (
        stored
        if stored is None
        else json.dumps(json.loads(stored) if isinstance(stored, str) else stored, sort_keys=True)
    )
