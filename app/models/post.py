"""Posts: what users write under a page, and the replies."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import ForeignKey
from sqlalchemy.engine.default import DefaultExecutionContext
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .base import Base, linked_or_former, moment, now, string, text
from .user import User


def _has_parent(context: DefaultExecutionContext) -> bool:
    row: dict[str, Any] = context.get_current_parameters()  # type: ignore[no-untyped-call] # SQLAlchemy does not type it
    return row.get("parent_id") is not None


class Post(Base):
    """A text on a page. A reply stays one when its parent is deleted."""

    __tablename__ = "posts"
    __table_args__ = (linked_or_former("user_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"), index=True)
    former_user_id: Mapped[int | None]
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("posts.id", ondelete="SET NULL"), index=True)
    former_parent_id: Mapped[int | None]
    is_reply: Mapped[bool] = mapped_column(default=_has_parent, server_default=sa.false())
    content: Mapped[str] = mapped_column(text())
    grade: Mapped[str | None] = mapped_column(string(50))
    page_path: Mapped[str | None] = mapped_column(string(500))
    page_query: Mapped[str | None] = mapped_column(string(500))
    page_title: Mapped[str | None] = mapped_column(string(200))
    created_at: Mapped[datetime] = mapped_column(moment(), default=now)
    updated_at: Mapped[datetime | None] = mapped_column(moment(), default=now, onupdate=now)

    user: Mapped[User | None] = relationship()
    replies: Mapped[list[Post]] = relationship(order_by="Post.id", passive_deletes="all")

    @property
    def page_url(self) -> str | None:
        """The page's address, path and query together."""
        return self.page_path if self.page_query is None else f"{self.page_path or ''}?{self.page_query}"
