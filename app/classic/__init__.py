"""What the records of the classic API mean, as rows of the baseline revision; where that API has them.

Set ``FERRY_ADAPTERS = "flask_ferry.classic"``. An app's own revision that has the classic tables is recognised by them.

The classic API does not change any more, and the rows are of a revision that does not change either: whatever
later revisions do to the tables, nothing here has to follow. See ``docs/adapters.md``.
"""

from __future__ import annotations

from .accounts import sections, user, users
from .api import api
from .forum import microblogs, posts, topics
from .profiles import personas, user_personas
from .school import classrooms, feedback, study
from .scores import elementary_leaderboard, leaderboard, skill_passport, skill_snapshots
from .tables import tables

revision = "0001_classic"

natural_keys = {"users": "_uid", "personas": "_alias"}

_EMPTY = "the API answers {} or [] for NULL too; loaded as answered"
_INSIDE = "rows whose {} is gone: the API gives them inside the {}"
_JSON_NULL = "the API answers null for a JSON null too; loaded as NULL"

not_carried = {
    "users._grade_data": _EMPTY,
    "users._ap_exam": _EMPTY,
    "users._class": _EMPTY,
    "users._game_profile": _JSON_NULL,
    "users._pfp": "the name of an uploaded picture is carried; the file itself with FERRY_FILES alone",
    "personas._empathy_map": _JSON_NULL,
    "topics._settings": _JSON_NULL,
    "microblogs._data": "NULL is loaded as {}; a key of the same name as one of the record's own is hidden by it",
    "user_sections.user_id": _INSIDE.format("user or section", "user"),
    "user_personas.user_id": "rows whose user or persona is gone: the API does not say which one that was",
    "classroom_student.classroom_id": _INSIDE.format("classroom", "classroom"),
    "skill_snapshots.user_id": "rows of a user who is gone: the classic API gives them user by user",
    "feedbacks.created_at": "fractions of a second: the API answers whole seconds",
}

__all__ = [
    "api",
    "classrooms",
    "elementary_leaderboard",
    "feedback",
    "leaderboard",
    "microblogs",
    "natural_keys",
    "not_carried",
    "personas",
    "posts",
    "revision",
    "sections",
    "skill_passport",
    "skill_snapshots",
    "study",
    "tables",
    "topics",
    "user",
    "user_personas",
    "users",
]
