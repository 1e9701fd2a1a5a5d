"""Results of the site's games."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, json, moment, now


class _Result:
    """One result; anonymous when there is no user."""

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    former_user_id: Mapped[int | None]
    payload: Mapped[Any] = mapped_column(json(), nullable=False)
    created_at: Mapped[datetime] = mapped_column(moment(), default=now, index=True)


class LeaderboardEntry(_Result, Base):
    """A result in one of the algorithm games."""

    __tablename__ = "leaderboard"


class ElementaryLeaderboardEvent(_Result, Base):
    """A result in one of the elementary school's games."""

    __tablename__ = "elementary_leaderboard_events"
