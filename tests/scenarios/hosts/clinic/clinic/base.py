"""A base that Flask-SQLAlchemy did not make, as an app has it whose models are used elsewhere too; types of its own."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Integer, Text
from sqlalchemy.orm import DeclarativeBase
from sqlalchemy.types import TypeDecorator, UserDefinedType


class Base(DeclarativeBase):
    pass


db = SQLAlchemy(metadata=Base.metadata, disable_autonaming=True)


class Sealed(TypeDecorator[str]):
    """Text that is not readable in the database."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, _dialect: Any) -> str | None:
        return None if value is None else "sealed:" + base64.b85encode(value.encode()[::-1]).decode()

    def process_result_value(self, value: str | None, _dialect: Any) -> str | None:
        return None if value is None else base64.b85decode(value.removeprefix("sealed:"))[::-1].decode()


class Money(TypeDecorator[Decimal]):
    """Cents."""

    impl = Integer
    cache_ok = True

    def process_bind_param(self, value: Decimal | None, _dialect: Any) -> int | None:
        return None if value is None else int(value * 100)

    def process_result_value(self, value: int | None, _dialect: Any) -> Decimal | None:
        return None if value is None else Decimal(value) / 100


class WardCode(UserDefinedType[str]):
    """A type that only its column specification describes."""

    cache_ok = True

    def get_col_spec(self, **_more: Any) -> str:
        return "VARCHAR(7)"
