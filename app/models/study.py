"""What users studied."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .base import Base, string
from .user import User


class Study(Base):
    """A user's mark on a subtopic; anonymous when there is no user."""

    __tablename__ = "studies"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("users.id", ondelete="SET NULL"))
    former_user_id: Mapped[int | None]
    topic: Mapped[str] = mapped_column(string(255))
    subtopic: Mapped[str] = mapped_column(string(255))
    studied: Mapped[bool | None] = mapped_column(default=False)
    # Whatever the page's script wrote: no two browsers agree.
    timestamp: Mapped[str] = mapped_column(string(50))

    user: Mapped[User | None] = relationship()
