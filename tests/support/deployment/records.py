"""Database rows as the classic API shows them.

Every function takes a batch of rows and asks the database once for the whole batch. The caller decides what a
batch is: one row, as old deployments do it (slow), or a page.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from werkzeug.http import http_date

from .models import db

Raw = dict[str, Any]
Record = dict[str, Any]

# What a record calls the table it comes from; no row says it.
EVENT_NAMES = {
    "leaderboard": ("DYNAMIC", "DYNAMIC_LEADERBOARD"),
    "elementary_leaderboard_events": ("ELEMENTARY", "ELEMENTARY_LEADERBOARD"),
}


def query(sql: str, *parameters: Any) -> list[Raw]:
    """Return the rows of one raw SQL statement, values as SQLite gives them."""
    result = db.session.connection().exec_driver_sql(sql, parameters or None)
    return [dict(row) for row in result.mappings()]


def iso(stored: str | None) -> str | None:
    """Return a stored datetime in ISO form without a zone; ``.ffffff`` only when not zero."""
    return None if stored is None else stored.replace(" ", "T", 1).removesuffix(".000000")


def loaded(stored: Any) -> Any:
    """Return the value of a JSON column; numbers come back from SQLite as numbers, not as text."""
    return json.loads(stored) if isinstance(stored, str) else stored


def loaded_or(stored: Any, default: Any) -> Any:
    """Return the value of a JSON column, ``default`` for SQL NULL and JSON null."""
    value = loaded(stored)
    return default if value is None else value


def truth(stored: int | None) -> bool | None:
    """Return a stored boolean."""
    return None if stored is None else bool(stored)


def _among(values: Iterable[int | None]) -> str:
    """Return the distinct ids as an SQL list; ids are integers, so they need no binding."""
    return ", ".join(str(int(value)) for value in {*values} if value is not None)


def _users_by_id(ids: Iterable[int | None]) -> dict[int | None, Raw]:
    return {row["id"]: row for row in query(f"SELECT id, _uid, _name FROM users WHERE id IN ({_among(ids)})")}


def _grouped(rows: Iterable[Raw], key: str) -> dict[int, list[Raw]]:
    groups: dict[int, list[Raw]] = defaultdict(list)
    for row in rows:
        groups[row[key]].append(row)
    return groups


def sections(rows: Sequence[Raw]) -> list[Record]:
    """Show sections."""
    return [{"id": r["id"], "name": r["_name"], "abbreviation": r["_abbreviation"]} for r in rows]


def _enrolments(ids: str) -> dict[int, list[Raw]]:
    joined = "FROM user_sections us JOIN sections s ON s.id = us.section_id"
    return _grouped(query(f"SELECT us.user_id, us.year, s.* {joined} WHERE us.user_id IN ({ids})"), "user_id")


def _chosen_personas(ids: str) -> dict[int, list[Raw]]:
    joined = "FROM user_personas up JOIN personas p ON p.id = up.persona_id JOIN users u ON u.id = up.user_id"
    sql = f"SELECT up.*, p._alias, u._uid {joined} WHERE up.user_id IN ({ids})"
    return _grouped(query(sql), "user_id")


def users(rows: Sequence[Raw]) -> list[Record]:
    """Show users as the export does: sections without their year, no ``access``."""
    ids = _among(row["id"] for row in rows)
    enrolled, chosen = _enrolments(ids), _chosen_personas(ids)
    return [_user(row, enrolled.get(row["id"], []), chosen.get(row["id"], [])) for row in rows]


def _user(row: Raw, enrolled: Sequence[Raw], chosen: Sequence[Raw]) -> Record:
    return {
        "id": row["id"],
        "uid": row["_uid"],
        "name": row["_name"],
        "email": row["_email"],
        "sid": row["_sid"],
        "role": row["_role"],
        "pfp": row["_pfp"],
        "class": loaded_or(row["_class"], []),
        "kasm_server_needed": truth(row["kasm_server_needed"]),
        "grade_data": loaded_or(row["_grade_data"], {}),
        "ap_exam": loaded_or(row["_ap_exam"], {}),
        "password": row["_password"],
        "school": row["_school"],
        "game_profile": loaded(row["_game_profile"]),
        "sections": sections(enrolled),
        "personas": [_chosen(persona) for persona in chosen],
    }


def _chosen(row: Raw) -> Record:
    return {
        "user_id": row["user_id"],
        "uid": row["_uid"],
        "persona_id": row["persona_id"],
        "persona_alias": row["_alias"],
        "weight": row["weight"],
        "selected_at": iso(row["selected_at"]),
    }


def listed_users(rows: Sequence[Raw], caller: Raw) -> list[Record]:
    """Show users as ``GET /api/user`` does: sections with their year, and what the caller may do."""
    years = _enrolments(_among(row["id"] for row in rows))
    shown = users(rows)
    for record in shown:
        for section, enrolment in zip(record["sections"], years.get(record["id"], []), strict=True):
            section["year"] = enrolment["year"]
        own = caller["_role"] == "Admin" or caller["id"] == record["id"]
        record["access"] = ["rw" if own else "ro"]
    return shown


def topics(rows: Sequence[Raw]) -> list[Record]:
    """Show topics with the number of their microblogs."""
    ids = _among(row["id"] for row in rows)
    counted = query(f"SELECT _topic_id, count(*) AS n FROM microblogs WHERE _topic_id IN ({ids}) GROUP BY 1")
    counts = {row["_topic_id"]: row["n"] for row in counted}
    return [_topic(row, counts.get(row["id"], 0)) for row in rows]


def _topic(row: Raw, count: int) -> Record:
    return {
        "id": row["id"],
        "pagePath": row["_page_path"],
        "pageKey": row["_page_key"],
        "pageTitle": row["_page_title"],
        "pageDescription": row["_page_description"],
        "displayName": row["_display_name"],
        "color": row["_color"],
        "icon": row["_icon"],
        "allowAnonymous": truth(row["_allow_anonymous"]),
        "moderated": truth(row["_moderated"]),
        "maxPostsPerUser": row["_max_posts_per_user"],
        "isActive": truth(row["_is_active"]),
        "settings": loaded(row["_settings"]),
        "createdAt": iso(row["_created_at"]),
        "updatedAt": iso(row["_updated_at"]),
        "postCount": count,
    }


def microblogs(rows: Sequence[Raw]) -> list[Record]:
    """Show microblogs, every key of ``_data`` merged flat; the base keys win."""
    people = _users_by_id(row["_user_id"] for row in rows)
    ids = _among(row["_topic_id"] for row in rows)
    pages = {row["id"]: row for row in query(f"SELECT id, _page_key, _page_path FROM topics WHERE id IN ({ids})")}
    return [_microblog(r, people.get(r["_user_id"]), pages.get(r["_topic_id"])) for r in rows]


def _microblog(row: Raw, user: Raw | None, topic: Raw | None) -> Record:
    data = loaded(row["_data"])
    base = {
        "id": row["id"],
        "userId": row["_user_id"],
        "userName": user["_name"] if user else None,
        "content": row["_content"],
        "topicId": row["_topic_id"],
        "topicKey": topic["_page_key"] if topic else None,
        "topicPath": topic["_page_path"] if topic else None,
        "timestamp": iso(row["_timestamp"]),
        "updatedAt": iso(row["_updated_at"]),
        "characterCount": len(row["_content"]),
    }
    return (data if isinstance(data, dict) else {}) | base | _uid_of(user, "userUid")


def _uid_of(user: Raw | None, key: str) -> Record:
    """Return the uid under ``key``; nothing, not null, when the user row is gone."""
    return {key: user["_uid"]} if user else {}


def posts(rows: Sequence[Raw]) -> list[Record]:
    """Show posts, each with its direct replies nested; replies are rows of their own too."""
    ids = _among(row["id"] for row in rows)
    replies = query(f"SELECT * FROM posts WHERE _parent_id IN ({ids})")
    people = _users_by_id(row["_user_id"] for row in [*rows, *replies])
    nested = _grouped(replies, "_parent_id")
    return [_post(row, people, nested.get(row["id"], [])) for row in rows]


def _post(row: Raw, people: dict[int | None, Raw], replies: Sequence[Raw]) -> Record:
    return {
        **_reply(row, people),
        **_uid_of(people.get(row["_user_id"]), "userUid"),
        "gradeReceived": row["_grade_received"],
        "pageUrl": row["_page_url"],
        "pageTitle": row["_page_title"],
        "updatedAt": iso(row["_updated_at"]),
        "parentId": row["_parent_id"],
        "replyCount": len(replies),
        "replies": [_reply(reply, people) for reply in replies],
    }


def _reply(row: Raw, people: dict[int | None, Raw]) -> Record:
    user = people.get(row["_user_id"])
    return {
        "id": row["id"],
        "userId": row["_user_id"],
        "studentName": user["_name"] if user else None,
        "content": row["_content"],
        "timestamp": iso(row["_timestamp"]),
    }


def classrooms(rows: Sequence[Raw]) -> list[Record]:
    """Show classrooms with the ids and uids of their students."""
    ids = _among(row["id"] for row in rows)
    seats = _grouped(query(f"SELECT * FROM classroom_student WHERE classroom_id IN ({ids})"), "classroom_id")
    everybody = [seat["student_id"] for seated in seats.values() for seat in seated]
    people = _users_by_id([*everybody, *(row["_owner_teacher_id"] for row in rows)])
    return [_classroom(row, [s["student_id"] for s in seats.get(row["id"], [])], people) for row in rows]


def _classroom(row: Raw, students: list[int], people: dict[int | None, Raw]) -> Record:
    return {
        "id": row["id"],
        "name": row["_name"],
        "school_name": row["_school_name"],
        "owner_teacher_id": row["_owner_teacher_id"],
        **_uid_of(people.get(row["_owner_teacher_id"]), "ownerUid"),
        "status": row["_status"],
        "created_at": iso(row["_created_at"]),
        "students": students,
        "studentUids": [people[student]["_uid"] for student in students if student in people],
    }


def feedback(rows: Sequence[Raw]) -> list[Record]:
    """Show feedback; ``created_at`` is an HTTP date, so what is below a second is lost."""
    return [row | {"created_at": _rfc_1123(row["created_at"])} for row in rows]


def _rfc_1123(stored: str | None) -> str | None:
    return None if stored is None else http_date(datetime.fromisoformat(stored).replace(tzinfo=UTC))


def study(rows: Sequence[Raw]) -> list[Record]:
    """Show study records."""
    people = _users_by_id(row["user_id"] for row in rows)
    return [row | {"studied": truth(row["studied"])} | _uid_of(people.get(row["user_id"]), "userUid") for row in rows]


def personas(rows: Sequence[Raw]) -> list[Record]:
    """Show personas."""
    return [
        {
            "id": row["id"],
            "alias": row["_alias"],
            "category": row["_category"],
            "bio_map": loaded(row["_bio_map"]),
            "empathy_map": loaded(row["_empathy_map"]),
        }
        for row in rows
    ]


def user_personas(rows: Sequence[Raw]) -> list[Record]:
    """Show who chose which persona, by natural keys only."""
    people = _users_by_id(row["user_id"] for row in rows)
    ids = _among(row["persona_id"] for row in rows)
    aliases = {row["id"]: row["_alias"] for row in query(f"SELECT id, _alias FROM personas WHERE id IN ({ids})")}
    return [
        {
            **_uid_of(people.get(row["user_id"]), "userUid"),
            "personaAlias": aliases.get(row["persona_id"]),
            "weight": row["weight"],
            "selectedAt": iso(row["selected_at"]),
        }
        for row in rows
    ]


def scores(table: str) -> Callable[[Sequence[Raw]], list[Record]]:
    """Return the function that shows the rows of one of the two leaderboards."""
    algorithm, event = EVENT_NAMES[table]

    def shown(rows: Sequence[Raw]) -> list[Record]:
        people = _users_by_id(row["_user_id"] for row in rows)
        return [_score(row, people.get(row["_user_id"]), algorithm, event) for row in rows]

    return shown


def _score(row: Raw, user: Raw | None, algorithm: str, event: str) -> Record:
    return {
        "id": row["id"],
        "userId": row["_user_id"],
        "user": {"id": user["id"], "uid": user["_uid"], "name": user["_name"]} if user else None,
        "algoName": algorithm,
        "eventName": event,
        "payload": loaded(row["_payload"]),
        "timestamp": iso(row["_timestamp"]),
    }


def skills(rows: Sequence[Raw]) -> list[Record]:
    """Show skill snapshots under their column names."""
    return [row | {"snapshot_date": iso(row["snapshot_date"])} for row in rows]
