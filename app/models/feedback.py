"""Feedback on the site."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, moment, now, string, text


class Feedback(Base):
    """What a visitor reported, and the issue that was made of it."""

    __tablename__ = "feedbacks"

    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(string(255))
    body: Mapped[str] = mapped_column(text())
    type: Mapped[str | None] = mapped_column(string(64))
    github_username: Mapped[str | None] = mapped_column(string(128))
    created_at: Mapped[datetime | None] = mapped_column(moment(), default=now)
    github_issue_url: Mapped[str | None] = mapped_column(string(512))
