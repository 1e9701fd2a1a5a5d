"""The host of the measurements: a forum with JSON columns, long texts, bytes and composite keys."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import JSON, Boolean, DateTime, Float, ForeignKey, Integer, LargeBinary, Numeric, String, Text
from sqlalchemy.dialects.mysql import DATETIME
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from app.commands import bp

Instant = DateTime().with_variant(DATETIME(fsp=6), "mysql", "mariadb")

MIGRATIONS = Path(__file__).with_name("migrations")


class Base(DeclarativeBase):
    """The models' base."""


db = SQLAlchemy(model_class=Base)


class User(db.Model):  # type: ignore[misc,name-defined] # Flask-SQLAlchemy makes it at run time
    """Ten columns, three of them JSON."""

    __tablename__ = "users"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    uid: Mapped[str] = mapped_column(String(80), unique=True)
    email: Mapped[str] = mapped_column(String(120))
    active: Mapped[bool] = mapped_column(Boolean)
    balance: Mapped[object] = mapped_column(Numeric(12, 2))
    joined: Mapped[object] = mapped_column(Instant)
    settings: Mapped[object] = mapped_column(JSON)
    skills: Mapped[object] = mapped_column(JSON)
    history: Mapped[object] = mapped_column(JSON)
    bio: Mapped[str | None] = mapped_column(Text)


class Post(db.Model):  # type: ignore[misc,name-defined]
    """A text of 200 to 2,000 bytes, and some bytes."""

    __tablename__ = "posts"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    title: Mapped[str] = mapped_column(String(200))
    body: Mapped[str] = mapped_column(Text)
    posted: Mapped[object] = mapped_column(Instant, index=True)
    score: Mapped[float] = mapped_column(Float(53))
    picture: Mapped[bytes | None] = mapped_column(LargeBinary)


class Tag(db.Model):  # type: ignore[misc,name-defined]
    """A word."""

    __tablename__ = "tags"
    id: Mapped[int] = mapped_column(Integer, primary_key=True)
    name: Mapped[str] = mapped_column(String(60), unique=True)


class PostTag(db.Model):  # type: ignore[misc,name-defined]
    """A composite key."""

    __tablename__ = "post_tags"
    post_id: Mapped[int] = mapped_column(ForeignKey("posts.id"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(ForeignKey("tags.id"), primary_key=True)


class Follow(db.Model):  # type: ignore[misc,name-defined]
    """Two keys to one table."""

    __tablename__ = "follows"
    follower_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    followed_id: Mapped[int] = mapped_column(ForeignKey("users.id"), primary_key=True)
    since: Mapped[object] = mapped_column(Instant)


def create_app() -> Flask:
    """The forum on ``FORUM_DATABASE``, its files in ``FORUM_DIRECTORY``."""
    app = Flask(__name__, instance_path=os.environ["FORUM_DIRECTORY"])
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["FORUM_DATABASE"]
    db.init_app(app)
    Migrate(app, db, directory=os.environ.get("FORUM_MIGRATIONS", str(MIGRATIONS)))
    app.register_blueprint(bp)
    return app
