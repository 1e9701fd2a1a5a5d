"""A host app of somebody else: a library's catalogue. It knows nothing of the app this repository holds."""

from __future__ import annotations

import os
import sqlite3

from flask import Flask
from flask_ferry.commands import bp
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Engine, event

db = SQLAlchemy()
migrate = Migrate()


@event.listens_for(Engine, "connect")
def enforce_foreign_keys(connection: object, _record: object) -> None:
    """For every engine of the process, as Flask-SQLAlchemy's own page on SQLite recommends."""
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA foreign_keys=ON")


class Author(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    name = db.Column(db.String(80), nullable=False, unique=True)


class Book(db.Model):
    id = db.Column(db.Integer, primary_key=True)
    title = db.Column(db.String(200), nullable=False)
    author_id = db.Column(db.Integer, db.ForeignKey("author.id"), nullable=False)
    sequel_of_id = db.Column(db.Integer, db.ForeignKey("book.id"))
    price = db.Column(db.Numeric(8, 2))
    added = db.Column(db.DateTime)
    if os.environ.get("LIBRARY_RELEASE") == "2":
        shelf = db.Column(db.String(20))


class Loan(db.Model):
    book_id = db.Column(db.Integer, db.ForeignKey("book.id"), primary_key=True)
    borrower = db.Column(db.String(80), primary_key=True)


def seed() -> None:
    """What a developer begins with."""
    db.session.add(Author(id=1, name="Ines Vale"))
    db.session.flush()
    db.session.add(Book(id=1, title="Tides", author_id=1))
    db.session.commit()


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///library.db"
    app.config["FERRY_SEED"] = "library:seed"
    if binds := os.environ.get("LIBRARY_BINDS"):
        app.config["SQLALCHEMY_BINDS"] = {"archive": binds}
        db.Table("letters", db.Column("id", db.Integer), bind_key="archive", extend_existing=True)
    if name := os.environ.get("LIBRARY_OWN_COMMAND"):
        app.cli.command(name)(lambda: None)
    db.init_app(app)
    if not os.environ.get("LIBRARY_WITHOUT_MIGRATE"):
        migrate.init_app(app, db)
    app.register_blueprint(bp)
    return app
