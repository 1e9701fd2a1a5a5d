"""Sections (courses) and who is enrolled in them."""

from __future__ import annotations

from sqlalchemy import ForeignKey
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .base import Base, string


class Section(Base):
    """A course that users enrol in."""

    __tablename__ = "sections"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(string(255))
    abbreviation: Mapped[str] = mapped_column(string(255), unique=True)


class Enrolment(Base):
    """A user in a section, with the year when it is known."""

    __tablename__ = "user_sections"

    user_id: Mapped[int] = mapped_column(ForeignKey("users.id", ondelete="CASCADE"), primary_key=True)
    section_id: Mapped[int] = mapped_column(ForeignKey("sections.id", ondelete="CASCADE"), primary_key=True)
    year: Mapped[int | None]

    section: Mapped[Section] = relationship(lazy="joined", innerjoin=True)
