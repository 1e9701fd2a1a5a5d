"""Rows as the records of the classic API.

Each function takes a page of rows and asks the database once for what belongs to all of them. An id of a row
that is gone is shown as it was; the name of a user who is gone (``userUid``) is absent, not null.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.orm import selectinload
from werkzeug.http import http_date

from ..extensions import db
from ..models import Classroom, Feedback, Microblog, Persona, Post, Section, Study, Topic, User, UserPersona

Record = dict[str, Any]

# What to load along with users for user_records().
WITH_USERS = (selectinload(User.enrolments), selectinload(User.personas))


def iso(moment: datetime | None) -> str | None:
    """ISO 8601 without a zone; ``.ffffff`` only when it is not zero."""
    return None if moment is None else moment.isoformat()


def section_records(sections: Iterable[Section]) -> list[Record]:
    """Show sections."""
    return [{"id": row.id, "name": row.name, "abbreviation": row.abbreviation} for row in sections]


def user_records(users: Iterable[User]) -> list[Record]:
    """Show users without their hashes."""
    return [_user(user) for user in users]


def export_user_records(users: Sequence[User]) -> list[Record]:
    """Show users with their hashes."""
    return [_user(user) | {"password": user.password} for user in users]


def _user(user: User) -> Record:
    return {
        "id": user.id,
        "uid": user.uid,
        "name": user.name,
        "email": user.email,
        "sid": user.sid if user.sid is not None else user.former_sid,
        "role": user.role,
        "pfp": user.pfp,
        "class": _or(user.classes, []),
        "kasm_server_needed": user.kasm_server_needed,
        "grade_data": _or(user.grade_data, {}),
        "ap_exam": _or(user.ap_exam, {}),
        "school": user.school,
        "game_profile": user.game_profile,
        "sections": section_records(enrolment.section for enrolment in user.enrolments),
        "personas": [_choose(user, choice) for choice in user.personas],
    }


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _choose(user: User, choice: UserPersona) -> Record:
    return {
        "user_id": user.id,
        "uid": user.uid,
        "persona_id": choice.persona_id,
        "persona_alias": choice.persona.alias,
        "weight": choice.weight,
        "selected_at": iso(choice.selected_at),
    }


def topic_records(topics: Sequence[Topic]) -> list[Record]:
    """Show topics with the number of their microblogs."""
    counted = sa.select(Microblog.topic_id, sa.func.count()).group_by(Microblog.topic_id)
    counts = dict(db.session.execute(counted).all())
    return [_topic(topic, counts.get(topic.id, 0)) for topic in topics]


def _topic(topic: Topic, posts: int) -> Record:
    return {
        "id": topic.id,
        "pagePath": topic.page_path,
        "pageKey": topic.page_key,
        "pageTitle": topic.page_title,
        "pageDescription": topic.page_description,
        "displayName": topic.display_name,
        "color": topic.color,
        "icon": topic.icon,
        "allowAnonymous": topic.allow_anonymous,
        "moderated": topic.moderated,
        "maxPostsPerUser": topic.max_posts_per_user,
        "isActive": topic.is_active,
        "settings": topic.settings,
        "createdAt": iso(topic.created_at),
        "updatedAt": iso(topic.updated_at),
        "postCount": posts,
    }


def microblog_records(microblogs: Iterable[Microblog]) -> list[Record]:
    """Show microblogs, every key of their data merged flat; the record's own keys win."""
    return [_microblog(microblog) for microblog in microblogs]


def _microblog(microblog: Microblog) -> Record:
    user, topic = microblog.user, microblog.topic
    own = {
        "id": microblog.id,
        "userId": _or(microblog.user_id, microblog.former_user_id),
        "userName": user.name if user else None,
        "content": microblog.content,
        "topicId": _or(microblog.topic_id, microblog.former_topic_id),
        "topicKey": topic.page_key if topic else None,
        "topicPath": topic.page_path if topic else None,
        "timestamp": iso(microblog.created_at),
        "updatedAt": iso(microblog.updated_at),
        "characterCount": len(microblog.content),
    }
    return _data(microblog) | own | _uid("userUid", user)


def _data(microblog: Microblog) -> Record:
    data = microblog.data if isinstance(microblog.data, dict) else {}
    if not microblog.reactions:
        return data
    left = data.get("reactions")
    left = left if isinstance(left, dict) else {}
    reactions: dict[str, list[Any]] = defaultdict(list)
    for reaction in microblog.reactions:
        reactions[reaction.kind].append(_or(reaction.user_id, reaction.former_user_id))
    return data | {"reactions": reactions | {kind: users for kind, users in left.items() if kind not in reactions}}


def _uid(key: str, user: User | None) -> Record:
    return {key: user.uid} if user else {}


def post_records(posts: Sequence[Post]) -> list[Record]:
    """Show posts, each with its direct replies nested."""
    return [_reply(post) | _uid("userUid", post.user) | _post(post) for post in posts]


def _post(post: Post) -> Record:
    return {
        "gradeReceived": post.grade,
        "pageUrl": post.page_url,
        "pageTitle": post.page_title,
        "updatedAt": iso(post.updated_at),
        "parentId": _or(post.parent_id, post.former_parent_id),
        "replyCount": len(post.replies),
        "replies": [_reply(reply) for reply in post.replies],
    }


def _reply(post: Post) -> Record:
    return {
        "id": post.id,
        "userId": _or(post.user_id, post.former_user_id),
        "studentName": post.user.name if post.user else None,
        "content": post.content,
        "timestamp": iso(post.created_at),
    }


def classroom_records(classrooms: Iterable[Classroom]) -> list[Record]:
    """Show classrooms with the ids and uids of their students."""
    return [
        {
            "id": room.id,
            "name": room.name,
            "school_name": room.school_name,
            "owner_teacher_id": _or(room.owner_id, room.former_owner_id),
            **_uid("ownerUid", room.owner),
            "status": room.status,
            "created_at": iso(room.created_at),
            "students": [student.id for student in room.students],
            "studentUids": [student.uid for student in room.students],
        }
        for room in classrooms
    ]


def feedback_records(feedbacks: Iterable[Feedback]) -> list[Record]:
    """Show feedback; ``created_at`` is RFC 1123, in whole seconds."""
    return [
        {
            "id": row.id,
            "title": row.title,
            "body": row.body,
            "type": row.type,
            "github_username": row.github_username,
            "github_issue_url": row.github_issue_url,
            "created_at": row.created_at and http_date(row.created_at.replace(tzinfo=UTC)),
        }
        for row in feedbacks
    ]


def study_records(studies: Iterable[Study]) -> list[Record]:
    """Show what was studied."""
    return [
        {
            "id": row.id,
            "user_id": _or(row.user_id, row.former_user_id),
            **_uid("userUid", row.user),
            "topic": row.topic,
            "subtopic": row.subtopic,
            "studied": row.studied,
            "timestamp": row.timestamp,
        }
        for row in studies
    ]


def persona_records(personas: Iterable[Persona]) -> list[Record]:
    """Show personas."""
    return [
        {
            "id": row.id,
            "alias": row.alias,
            "category": row.category,
            "bio_map": row.bio_map,
            "empathy_map": row.empathy_map,
        }
        for row in personas
    ]


def user_persona_records(choices: Iterable[UserPersona]) -> list[Record]:
    """Show who chose which persona, by natural keys only."""
    return [
        {
            "userUid": choice.user.uid,
            "personaAlias": choice.persona.alias,
            "weight": choice.weight,
            "selectedAt": iso(choice.selected_at),
        }
        for choice in choices
    ]
