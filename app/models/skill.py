"""Skills, as teachers rated them over time."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column

from .base import Base, linked_or_former, moment, now, string


class SkillSnapshot(Base):
    """A user's ratings in one project at one time."""

    __tablename__ = "skill_snapshots"
    __table_args__ = (linked_or_former("user_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    former_user_id: Mapped[int | None]
    project_name: Mapped[str] = mapped_column(string(64))
    snapshot_date: Mapped[datetime | None] = mapped_column(moment(), default=now)
    coding_ability: Mapped[int]
    collaboration: Mapped[int]
    problem_solving: Mapped[int]
    initiative: Mapped[int]
