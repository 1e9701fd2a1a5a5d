"""The forum as a deployment that others pull from: our export, and its records in pages, as an API gives them."""

from __future__ import annotations

import base64
import datetime as dt
from decimal import Decimal
from typing import Any

from flask import Flask, abort, jsonify, request
from sqlalchemy import inspect

from app.export import export_blueprint

from . import forum
from .forum import Follow, Post, PostTag, Tag, User, db

PER_PAGE = 50
"""What many APIs give without being asked; Flask-SQLAlchemy's ``paginate()`` gives 20."""
MODELS = {model.__tablename__: model for model in (User, Post, Tag, PostTag, Follow)}
NAME, PASSWORD = "bench", "bench"  # of a deployment that nobody else can reach


def create_app() -> Flask:
    """The forum with both ways out."""
    app = forum.create_app()
    app.register_blueprint(export_blueprint(authorize=authorize))
    app.add_url_rule("/records/<name>", view_func=list_records)
    return app


def authorize() -> None:
    """Refuse whoever does not give the name and the password."""
    given = request.authorization
    if given is None or (given.username, given.password) != (NAME, PASSWORD):
        abort(401)


def list_records(name: str) -> Any:
    """A page of a model's records, in the order of their keys."""
    authorize()
    model = MODELS[name]
    page = db.paginate(db.select(model).order_by(*inspect(model).primary_key), per_page=PER_PAGE, error_out=False)
    return jsonify(records=[describe(record) for record in page.items], has_next=page.has_next, total=page.total)


def describe(record: Any) -> dict[str, Any]:
    """A record as JSON has it."""
    return {attribute.key: _plain(getattr(record, attribute.key)) for attribute in inspect(type(record)).column_attrs}


def _plain(value: Any) -> Any:
    match value:
        case dt.datetime():
            return value.isoformat()
        case Decimal():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
    return value
