"""Classrooms and their students."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Column, ForeignKey, Table
from sqlalchemy.orm import Mapped, mapped_column, relationship

from .base import Base, linked_or_former, moment, now, string
from .user import User

CLASSROOM_STUDENTS = Table(
    "classroom_students",
    Base.metadata,
    Column("classroom_id", ForeignKey("classrooms.id", ondelete="CASCADE"), primary_key=True),
    Column("student_id", ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
)


class Classroom(Base):
    """A teacher's group of students."""

    __tablename__ = "classrooms"
    __table_args__ = (linked_or_former("owner_id"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(string(255))
    school_name: Mapped[str] = mapped_column(string(255))
    owner_id: Mapped[int | None] = mapped_column(ForeignKey("users.id"))
    former_owner_id: Mapped[int | None]
    status: Mapped[str | None] = mapped_column(string(50), default="active")
    created_at: Mapped[datetime | None] = mapped_column(moment(), default=now)

    owner: Mapped[User | None] = relationship()
    students: Mapped[list[User]] = relationship(secondary=CLASSROOM_STUDENTS, order_by=User.id, passive_deletes=True)
