"""``GET /api/export/...``: everything, for administrators, in the shapes of the classic API.

Pages come in the order of the primary key (old deployments gave them in none).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, jsonify
from sqlalchemy.orm import joinedload, selectinload
from sqlalchemy.orm.interfaces import ORMOption

from ..extensions import db
from ..models import Base, Classroom, Feedback, Microblog, Persona, Post, Section, Study, Topic, User, UserPersona
from . import records
from .auth import refuse, require_admin
from .paging import page_of

bp = Blueprint("classic_export", __name__, url_prefix="/export")
bp.before_request(require_admin)


@dataclass(frozen=True)
class Kind:
    """An export type: its rows, with what belongs to them, as records."""

    model: type[Base]
    show: Callable[[Any], list[records.Record]]
    paged: bool = False
    with_rows: tuple[ORMOption, ...] = ()

    @property
    def statement(self) -> sa.Select[Any]:
        """All rows by primary key."""
        keys = sa.inspect(self.model).primary_key
        return sa.select(self.model).options(*self.with_rows).order_by(*keys)


KINDS = {
    "sections": Kind(Section, records.section_records),
    "users": Kind(User, records.export_user_records, paged=True, with_rows=records.WITH_USERS),
    "topics": Kind(Topic, records.topic_records, paged=True),
    "microblogs": Kind(
        Microblog,
        records.microblog_records,
        paged=True,
        with_rows=(joinedload(Microblog.user), joinedload(Microblog.topic), selectinload(Microblog.reactions)),
    ),
    "posts": Kind(
        Post,
        records.post_records,
        paged=True,
        with_rows=(joinedload(Post.user), selectinload(Post.replies).joinedload(Post.user)),
    ),
    "classrooms": Kind(
        Classroom,
        records.classroom_records,
        with_rows=(joinedload(Classroom.owner), selectinload(Classroom.students)),
    ),
    "feedback": Kind(Feedback, records.feedback_records),
    "study": Kind(Study, records.study_records, with_rows=(joinedload(Study.user),)),
    "personas": Kind(Persona, records.persona_records, paged=True),
    "user_personas": Kind(
        UserPersona, records.user_persona_records, paged=True, with_rows=(joinedload(UserPersona.user),)
    ),
}


@bp.get("/all")
def export_all() -> Response:
    """Give the ten types in one object."""
    everything = {name: _all_of(kind) for name, kind in KINDS.items()}
    metadata = {
        "exported_at": datetime.now(UTC).replace(tzinfo=None).isoformat(),
        "total_records": sum(map(len, everything.values())),
        "tables": list(everything),
    }
    return jsonify(everything | {"_metadata": metadata})


@bp.get("/<name>")
def export_one(name: str) -> Response:
    """Give one type: a page of it, or all of it where old deployments know no pages."""
    kind = KINDS.get(name)
    if kind is None:
        refuse(404, f"There is no export type {name}. Types: all, {', '.join(KINDS)}.")
    if not kind.paged:
        shown = _all_of(kind)
        return jsonify({name: shown, "count": len(shown)})
    page = page_of(kind.statement)
    shown = kind.show(page.items)
    return jsonify({name: shown, "count": len(shown), **page.described})


def _all_of(kind: Kind) -> list[records.Record]:
    return kind.show(db.session.scalars(kind.statement).all())
