"""Personas and the users who chose them."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .base import Base, json, moment, now, string

if TYPE_CHECKING:
    from .user import User


class Persona(Base):
    """A way of working that users identify with."""

    __tablename__ = "personas"

    id: Mapped[int] = mapped_column(primary_key=True)
    category: Mapped[str] = mapped_column(string(32))
    alias: Mapped[str] = mapped_column(string(32), unique=True)
    bio_map: Mapped[Any] = mapped_column(json(), nullable=False)
    empathy_map: Mapped[Any] = mapped_column(json(), nullable=True)


class UserPersona(Base):
    """A user's choice of a persona; the weight says how much of the user it is."""

    __tablename__ = "user_personas"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    persona_id: Mapped[int] = mapped_column(ForeignKey("personas.id", ondelete="CASCADE"), primary_key=True)
    weight: Mapped[int] = mapped_column(default=1)
    selected_at: Mapped[datetime | None] = mapped_column(moment(), default=now)

    persona: Mapped[Persona] = relationship(lazy="joined", innerjoin=True)
    user: Mapped[User] = relationship(back_populates="personas")
