"""Microblogs and the reactions to them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .base import Base, json, linked_or_former, moment, now, string, text
from .topic import Topic
from .user import User


class Reaction(Base):
    """One user's reaction of one kind to a microblog."""

    __tablename__ = "microblog_reactions"
    __table_args__ = (
        UniqueConstraint("microblog_id", "kind", "user_id"),
        CheckConstraint("(user_id IS NULL) <> (former_user_id IS NULL)", name="user"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    microblog_id: Mapped[int] = mapped_column(ForeignKey("microblogs.id", ondelete="CASCADE"))
    kind: Mapped[str] = mapped_column(string(64))
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"))
    former_user_id: Mapped[int | None]


class Microblog(Base):
    """A short text by a user, possibly about a topic."""

    __tablename__ = "microblogs"
    __table_args__ = (linked_or_former("user_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    former_user_id: Mapped[int | None]
    topic_id: Mapped[int | None] = mapped_column(ForeignKey("topics.id", ondelete="SET NULL"))
    former_topic_id: Mapped[int | None]
    content: Mapped[str] = mapped_column(string(280))
    # Replies, hashtags and whatever else a page attaches; reactions that are no list of user ids, too.
    data: Mapped[Any] = mapped_column(json(), nullable=True)
    # The text that data was before its reactions became rows, where they alone do not tell.
    former_data: Mapped[str | None] = mapped_column(text())
    created_at: Mapped[datetime] = mapped_column(moment(), default=now)
    updated_at: Mapped[datetime | None] = mapped_column(moment(), default=now, onupdate=now)

    user: Mapped[User | None] = relationship()
    topic: Mapped[Topic | None] = relationship()
    reactions: Mapped[list[Reaction]] = relationship(
        order_by=Reaction.id, cascade="all, delete-orphan", passive_deletes=True
    )
