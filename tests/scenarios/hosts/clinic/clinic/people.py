"""Staff and patients."""

from __future__ import annotations

from sqlalchemy import Column, ForeignKey, Integer, String
from sqlalchemy.orm import relationship
from sqlalchemy.sql import quoted_name

from .base import Base, Sealed, WardCode


class Staff(Base):
    __tablename__ = "user"  # reserved by PostgreSQL

    id = Column(Integer, primary_key=True)
    name = Column(String(60), nullable=False)
    ward = Column("group", WardCode())
    supervisor_id = Column(ForeignKey("user.id", name="fk_user_supervisor"))
    supervisor = relationship("Staff", remote_side="Staff.id")


class Patient(Base):
    __tablename__ = quoted_name("Patient File", quote=True)

    id = Column("Number", Integer, primary_key=True)
    name = Column("from", String(60), nullable=False)
    history = Column("case", Sealed())
