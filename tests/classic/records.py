"""Records as old deployments answer them; every call makes a new one."""

from __future__ import annotations

from datetime import datetime
from typing import Any

HASH = "scrypt:32768:8:1$salt$0123456789abcdef"
AT = "2023-09-01T08:15:30.000250"

Values = dict[str, Any]


def moment(*parts: int) -> datetime:
    """A datetime as the classic columns hold it: without a zone."""
    return datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


def section(**changes: Any) -> Values:
    return {"id": 3, "name": "Computer Science", "abbreviation": "CSA"} | changes


def nested_persona(**changes: Any) -> Values:
    record = {"user_id": 7, "uid": "ada", "persona_id": 2, "persona_alias": "owl", "weight": 4}
    return record | {"selected_at": AT} | changes


def exported_user(**changes: Any) -> Values:
    """A record of the export's ``users``: no ``access``, sections without a year."""
    record = {
        "id": 7,
        "uid": "ada",
        "name": "Ada Amberwood",
        "email": "ada@example.org",
        "sid": "s-7",
        "role": "Student",
        "pfp": "ada.png",
        "class": ["CSA"],
        "kasm_server_needed": False,
        "grade_data": {"2023": {"score": 91}},
        "ap_exam": {},
        "password": HASH,
        "school": None,
        "game_profile": None,
        "sections": [section()],
        "personas": [nested_persona()],
    }
    return record | changes


def api_user(**changes: Any) -> Values:
    """A record of ``GET /api/user`` of the newest versions: no password."""
    record = exported_user(sections=[section(year=2023)], access=["rw"])
    del record["password"]
    return record | changes


def old_user(**changes: Any) -> Values:
    """A record of ``GET /api/user`` of older versions, and of ``data.json`` in the shape of a list."""
    record = {
        "id": 7,
        "uid": "ada",
        "name": "Ada Amberwood",
        "email": "ada@example.org",
        "role": "Student",
        "pfp": None,
        "kasm_server_needed": None,
        "sections": [section(year=2023)],
        "access": ["ro"],
    }
    return record | changes


def persona(**changes: Any) -> Values:
    record = {"id": 2, "alias": "owl", "category": "student", "bio_map": {"title": "Owl"}}
    return record | {"empathy_map": {"says": ["hoo"]}} | changes


def user_persona(**changes: Any) -> Values:
    return {"userUid": "ada", "personaAlias": "owl", "weight": 4, "selectedAt": AT} | changes


def topic(**changes: Any) -> Values:
    record = {
        "id": 5,
        "pagePath": "/csa/unit/1",
        "pageKey": "unit-1",
        "pageTitle": "Unit 1",
        "pageDescription": "",
        "displayName": None,
        "color": "#667eea",
        "icon": "🧭",
        "allowAnonymous": False,
        "moderated": True,
        "maxPostsPerUser": None,
        "isActive": True,
        "settings": {"order": [2, 1]},
        "createdAt": "2023-09-01T08:15:30",
        "updatedAt": AT,
        "postCount": 12,
    }
    return record | changes


def microblog(**changes: Any) -> Values:
    record = {
        "id": 11,
        "userId": 7,
        "userName": "Ada Amberwood",
        "userUid": "ada",
        "content": "שלום 👩‍🚀",
        "topicId": 5,
        "topicKey": "unit-1",
        "topicPath": "/csa/unit/1",
        "timestamp": AT,
        "updatedAt": None,
        "characterCount": 8,
    }
    return record | changes


def reply(**changes: Any) -> Values:
    record = {"id": 21, "userId": 8, "studentName": "Bram", "content": "yes", "timestamp": AT}
    return record | changes


def post(**changes: Any) -> Values:
    record = {
        "id": 20,
        "userId": 7,
        "userUid": "ada",
        "studentName": "Ada Amberwood",
        "content": "Is it?",
        "gradeReceived": "A",
        "pageUrl": "/lesson?x=1&y=#z",
        "pageTitle": "Lesson",
        "timestamp": AT,
        "updatedAt": "2023-09-02T00:00:00",
        "parentId": None,
        "replyCount": 0,
        "replies": [],
    }
    return record | changes


def classroom(**changes: Any) -> Values:
    record = {
        "id": 31,
        "name": "Room 1",
        "school_name": "North",
        "owner_teacher_id": 1,
        "ownerUid": "mira",
        "status": "active",
        "created_at": AT,
        "students": [7, 8],
        "studentUids": ["ada", "bram"],
    }
    return record | changes


def feedback(**changes: Any) -> Values:
    record = {
        "id": 41,
        "title": "Typo",
        "body": "On page 2",
        "type": None,
        "github_username": "ada-a",
        "github_issue_url": None,
        "created_at": "Fri, 31 May 2024 13:45:00 GMT",
    }
    return record | changes


def study(**changes: Any) -> Values:
    record = {"id": 51, "user_id": 7, "userUid": "ada", "topic": "loops", "subtopic": "while"}
    return record | {"studied": True, "timestamp": "last Tuesday, 5 pm"} | changes


def score(**changes: Any) -> Values:
    record = {
        "id": 61,
        "userId": 7,
        "user": {"id": 7, "uid": "ada", "name": "Ada Amberwood"},
        "algoName": "LEADERBOARD",
        "eventName": "SCORE",
        "payload": {"score": 12},
        "timestamp": AT,
    }
    return record | changes


def skills(**changes: Any) -> Values:
    record = {
        "id": 71,
        "user_id": 7,
        "project_name": "pong",
        "snapshot_date": "2024-01-01T00:00:00",
        "coding_ability": 3,
        "collaboration": 4,
        "problem_solving": 2,
        "initiative": 5,
    }
    return record | changes


def passport(*history: Values, current: Values | None = None, **changes: Any) -> Values:
    return {"user_id": 7, "current_skills": current, "history": list(history)} | changes
