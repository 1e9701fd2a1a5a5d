"""Visits, what was prescribed, and what was changed."""

from __future__ import annotations

import os
from datetime import date
from decimal import Decimal

from sqlalchemy import Column, Date, ForeignKey, ForeignKeyConstraint, Integer, String, Text

from .base import Base, Money, db
from .people import Patient, Staff


class Visit(Base):
    __tablename__ = "visit"

    patient_id = Column(ForeignKey("Patient File.Number"), primary_key=True)
    number = Column("order", Integer, primary_key=True, autoincrement=False)
    seen_by = Column(ForeignKey("user.id"))
    on = Column("date", Date, nullable=False)
    fee = Column(Money(), nullable=False)
    if os.environ.get("HOST_RELEASE") == "2":
        discount = Column("select", Money())


class Prescription(Base):
    __tablename__ = "prescription"
    __table_args__ = (ForeignKeyConstraint(["patient_id", "visit"], ["visit.patient_id", "visit.order"]),)

    patient_id = Column(Integer, primary_key=True, autoincrement=False)
    visit = Column(Integer, primary_key=True, autoincrement=False)
    drug = Column("table", String(40), primary_key=True)


class Change(Base):
    """Written by a trigger."""

    __tablename__ = "change"

    id = Column(Integer, primary_key=True)
    what = Column(Text, nullable=False)


def seed() -> None:
    """What a developer begins with; through the session, as the app's own rows."""
    db.session.add_all([Staff(id=1, name="Ada", ward="W-1"), Patient(id=1, name="Ines", history="nothing yet")])
    db.session.flush()
    db.session.add(Visit(patient_id=1, number=1, seen_by=1, on=date(2024, 1, 2), fee=Decimal("12.50")))
    db.session.commit()
