"""The fifteen classic tables, as ``create_all()`` of an old deployment makes them.

Foreign keys have no names and no ON DELETE, and there is no ``alembic_version``. Defaults live in Python only.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, Column, ForeignKey, Integer, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """What Flask-SQLAlchemy builds its ``Model`` from."""


db = SQLAlchemy(model_class=Base)

if TYPE_CHECKING:
    Model = Base
else:
    Model = db.Model


def now() -> datetime:
    """Return the time in UTC without a zone, which is what the classic columns hold."""
    return datetime.now(UTC).replace(tzinfo=None)


class Section(Model):
    """A course section."""

    __tablename__ = "sections"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column("_name", String(255))
    abbreviation: Mapped[str] = mapped_column("_abbreviation", String(255), unique=True)


class User(Model):
    """An account; ``_password`` is a hash."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column("_name", String(255))
    uid: Mapped[str] = mapped_column("_uid", String(255), unique=True)
    email: Mapped[str] = mapped_column("_email", String(255))
    sid: Mapped[str | None] = mapped_column("_sid", String(255))
    password: Mapped[str] = mapped_column("_password", String(255))
    role: Mapped[str] = mapped_column("_role", String(20), default="User")
    pfp: Mapped[str | None] = mapped_column("_pfp", String(255))
    kasm_server_needed: Mapped[bool | None] = mapped_column(default=False)
    grade_data: Mapped[Any] = mapped_column("_grade_data", JSON, nullable=True)
    ap_exam: Mapped[Any] = mapped_column("_ap_exam", JSON, nullable=True)
    class_: Mapped[Any] = mapped_column("_class", JSON, nullable=True)
    school: Mapped[str | None] = mapped_column("_school", String(255))
    game_profile: Mapped[Any] = mapped_column("_game_profile", JSON, nullable=True)


class UserSection(Model):
    """A user's enrolment; only ``GET /api/user`` shows its year."""

    __tablename__ = "user_sections"
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    section_id: Mapped[int] = mapped_column(ForeignKey("sections.id"), primary_key=True)
    year: Mapped[int | None]


class Persona(Model):
    """A kind of learner."""

    __tablename__ = "personas"
    id: Mapped[int] = mapped_column(primary_key=True)
    category: Mapped[str] = mapped_column("_category", String(32))
    alias: Mapped[str] = mapped_column("_alias", String(32), unique=True)
    bio_map: Mapped[Any] = mapped_column("_bio_map", JSON, nullable=False)
    empathy_map: Mapped[Any] = mapped_column("_empathy_map", JSON, nullable=True)


class UserPersona(Model):
    """A persona a user chose."""

    __tablename__ = "user_personas"
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    persona_id: Mapped[int] = mapped_column(ForeignKey("personas.id"), primary_key=True)
    weight: Mapped[int]
    selected_at: Mapped[datetime | None]


class Topic(Model):
    """A page that microblogs are about."""

    __tablename__ = "topics"
    id: Mapped[int] = mapped_column(primary_key=True)
    page_key: Mapped[str] = mapped_column("_page_key", String(100), unique=True)
    page_path: Mapped[str] = mapped_column("_page_path", String(500))
    page_title: Mapped[str] = mapped_column("_page_title", String(200))
    page_description: Mapped[str | None] = mapped_column("_page_description", Text)
    display_name: Mapped[str | None] = mapped_column("_display_name", String(100))
    color: Mapped[str | None] = mapped_column("_color", String(7))
    icon: Mapped[str | None] = mapped_column("_icon", String(50))
    allow_anonymous: Mapped[bool | None] = mapped_column("_allow_anonymous")
    moderated: Mapped[bool | None] = mapped_column("_moderated")
    max_posts_per_user: Mapped[int | None] = mapped_column("_max_posts_per_user")
    created_at: Mapped[datetime | None] = mapped_column("_created_at", default=now)
    updated_at: Mapped[datetime | None] = mapped_column("_updated_at", default=now, onupdate=now)
    is_active: Mapped[bool | None] = mapped_column("_is_active")
    settings: Mapped[Any] = mapped_column("_settings", JSON, nullable=True)


class Microblog(Model):
    """A short note; ``_data`` holds replies, reactions and hashtags."""

    __tablename__ = "microblogs"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column("_user_id", ForeignKey("users.id"))
    topic_id: Mapped[int | None] = mapped_column("_topic_id", ForeignKey("topics.id"))
    content: Mapped[str] = mapped_column("_content", String(280))
    data: Mapped[Any] = mapped_column("_data", JSON, nullable=True)
    timestamp: Mapped[datetime] = mapped_column("_timestamp", default=now)
    updated_at: Mapped[datetime | None] = mapped_column("_updated_at", default=now, onupdate=now)


class Post(Model):
    """A post, or a reply to the post ``_parent_id`` points at."""

    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column("_user_id", ForeignKey("users.id"))
    parent_id: Mapped[int | None] = mapped_column("_parent_id", ForeignKey("posts.id"))
    content: Mapped[str] = mapped_column("_content", Text)
    grade_received: Mapped[str | None] = mapped_column("_grade_received", String(50))
    page_url: Mapped[str | None] = mapped_column("_page_url", String(500))
    page_title: Mapped[str | None] = mapped_column("_page_title", String(200))
    timestamp: Mapped[datetime] = mapped_column("_timestamp", default=now)
    updated_at: Mapped[datetime | None] = mapped_column("_updated_at", default=now, onupdate=now)


class Classroom(Model):
    """A teacher's classroom."""

    __tablename__ = "classrooms"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column("_name", String(255))
    school_name: Mapped[str] = mapped_column("_school_name", String(255))
    owner_teacher_id: Mapped[int] = mapped_column("_owner_teacher_id", ForeignKey("users.id"))
    status: Mapped[str | None] = mapped_column("_status", String(50))
    created_at: Mapped[datetime | None] = mapped_column("_created_at", default=now)


classroom_student = db.Table(
    "classroom_student",
    Column("classroom_id", Integer, ForeignKey("classrooms.id"), primary_key=True),
    Column("student_id", Integer, ForeignKey("users.id"), primary_key=True),
)


class Feedback(Model):
    """A message from a visitor."""

    __tablename__ = "feedbacks"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(255))
    body: Mapped[str] = mapped_column(Text)
    type: Mapped[str | None] = mapped_column(String(64))
    github_username: Mapped[str | None] = mapped_column(String(128))
    created_at: Mapped[datetime | None] = mapped_column(default=now)
    github_issue_url: Mapped[str | None] = mapped_column(String(512))


class Study(Model):
    """A study record; ``timestamp`` is whatever text a page sent."""

    __tablename__ = "study"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    topic: Mapped[str] = mapped_column(String(255))
    subtopic: Mapped[str] = mapped_column(String(255))
    studied: Mapped[bool | None]
    timestamp: Mapped[str] = mapped_column(String(50))


class Leaderboard(Model):
    """A score; guests have no user."""

    __tablename__ = "leaderboard"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column("_user_id", ForeignKey("users.id"))
    payload: Mapped[Any] = mapped_column("_payload", JSON, nullable=False)
    timestamp: Mapped[datetime] = mapped_column("_timestamp", default=now, index=True)


class ElementaryLeaderboardEvent(Model):
    """A score of the elementary game."""

    __tablename__ = "elementary_leaderboard_events"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column("_user_id", ForeignKey("users.id"))
    payload: Mapped[Any] = mapped_column("_payload", JSON, nullable=False)
    timestamp: Mapped[datetime] = mapped_column("_timestamp", default=now, index=True)


class SkillSnapshot(Model):
    """A user's skills at one time."""

    __tablename__ = "skill_snapshots"
    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"))
    project_name: Mapped[str] = mapped_column(String(64))
    snapshot_date: Mapped[datetime | None] = mapped_column(default=now)
    coding_ability: Mapped[int]
    collaboration: Mapped[int]
    problem_solving: Mapped[int]
    initiative: Mapped[int]
