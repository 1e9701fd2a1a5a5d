"""Topics: the pages that microblogs are about."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, json, moment, now, string, text


class Topic(Base):
    """A page that users write microblogs about, and the rules for it."""

    __tablename__ = "topics"

    id: Mapped[int] = mapped_column(primary_key=True)
    page_key: Mapped[str] = mapped_column(string(100), unique=True)
    page_path: Mapped[str] = mapped_column(string(500))
    page_title: Mapped[str] = mapped_column(string(200))
    page_description: Mapped[str | None] = mapped_column(text())
    display_name: Mapped[str | None] = mapped_column(string(100))
    color: Mapped[str | None] = mapped_column(string(7))
    icon: Mapped[str | None] = mapped_column(string(50))
    allow_anonymous: Mapped[bool | None] = mapped_column(default=False)
    moderated: Mapped[bool | None] = mapped_column(default=False)
    max_posts_per_user: Mapped[int | None]
    created_at: Mapped[datetime | None] = mapped_column(moment(), default=now)
    updated_at: Mapped[datetime | None] = mapped_column(moment(), default=now, onupdate=now)
    is_active: Mapped[bool | None] = mapped_column(default=True)
    settings: Mapped[Any] = mapped_column(json(), nullable=True)
