"""A host app of somebody else: a shop, all in one module, with typed models that are dataclasses."""

from __future__ import annotations

import enum
import os
import uuid
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from flask import Flask
from flask_ferry.commands import bp
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, CheckConstraint, ForeignKey, MetaData, Numeric, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, MappedAsDataclass, mapped_column, relationship

CONVENTION = {
    "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    "uq": "uq_%(table_name)s_%(column_0_N_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}


class Base(DeclarativeBase):
    metadata = MetaData(naming_convention=CONVENTION)


db = SQLAlchemy(model_class=Base)


class Standing(enum.Enum):
    NEW = "new"
    PAID = "paid"
    SENT = "sent"


class Channel(enum.Enum):
    WEB = "web"
    PHONE = "phone"


class Customer(MappedAsDataclass, db.Model):
    email: Mapped[str] = mapped_column(String(120), unique=True)
    name: Mapped[str] = mapped_column(String(80))
    wishes: Mapped[dict[str, Any] | None] = mapped_column(JSON, default=None)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default_factory=uuid.uuid4)
    orders: Mapped[list[Order]] = relationship(back_populates="customer", default_factory=list, init=False)


class Product(MappedAsDataclass, db.Model):
    sku: Mapped[str] = mapped_column(String(20), primary_key=True)
    price: Mapped[Decimal] = mapped_column(Numeric(10, 2))
    tags: Mapped[list[str]] = mapped_column(JSON, default_factory=list)


class Order(MappedAsDataclass, db.Model):
    __tablename__ = "customer_order"

    customer: Mapped[Customer] = relationship(back_populates="orders")
    placed_at: Mapped[datetime]
    standing: Mapped[Standing] = mapped_column(default=Standing.NEW)
    note: Mapped[str | None] = mapped_column(Text, default=None)
    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default_factory=uuid.uuid4)
    customer_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("customer.id"), index=True, init=False)
    if os.environ.get("HOST_RELEASE") == "2":
        channel: Mapped[Channel] = mapped_column(server_default="WEB", default=Channel.WEB)


class Line(MappedAsDataclass, db.Model):
    __table_args__ = (CheckConstraint("quantity > 0", name="some"),)

    order_id: Mapped[uuid.UUID] = mapped_column(ForeignKey("customer_order.id"), primary_key=True)
    sku: Mapped[str] = mapped_column(ForeignKey("product.sku"), primary_key=True)
    quantity: Mapped[int] = mapped_column(default=1)


def seed() -> None:
    """What a developer begins with."""
    customer = Customer("mo@example.org", "Mo", {"wrap": True})
    order = Order(customer, datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC).replace(tzinfo=None), Standing.PAID)
    db.session.add_all([customer, Product("T-1", Decimal("3.20"), ["tea"]), order])
    db.session.flush()
    db.session.add(Line(order.id, "T-1", 2))
    db.session.commit()


app = Flask(__name__)
app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("HOST_DATABASE", "sqlite:///shop.db")
app.config["FERRY_SEED"] = "shop:seed"
db.init_app(app)
Migrate(app, db, directory="history")
app.register_blueprint(bp)
