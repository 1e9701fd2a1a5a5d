"""Pairs of ids of which one was gone when foreign keys came to be enforced; kept, read by nobody.

Revision 0006_links moved them out of the tables whose columns these have.
"""

from __future__ import annotations

from sqlalchemy import Column, Integer, Table

from .base import Base, moment


def _key(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=False)


USER_SECTIONS_ORPHANS = Table(
    "user_sections_orphans",
    Base.metadata,
    _key("user_id"),
    _key("section_id"),
    Column("year", Integer),
)
USER_PERSONAS_ORPHANS = Table(
    "user_personas_orphans",
    Base.metadata,
    _key("user_id"),
    _key("persona_id"),
    Column("weight", Integer, nullable=False),
    Column("selected_at", moment()),
)
CLASSROOM_STUDENTS_ORPHANS = Table(
    "classroom_students_orphans", Base.metadata, _key("classroom_id"), _key("student_id")
)
