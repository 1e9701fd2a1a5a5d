"""A host that is no classic deployment: it serves the export, checked by HTTP Basic, and has no other API."""

from __future__ import annotations

import os

from flask import Flask, abort, request
from flask_sqlalchemy import SQLAlchemy

from app.export import export_blueprint

UID, PASSWORD = "keeper", "Open:sesame ✓"


def authorize() -> None:
    """Let the keeper pass; 403 for others who log in, 401 for everybody else."""
    given = request.authorization
    if given is None or given.type != "basic":
        abort(401)
    if (given.username, given.password) != (UID, PASSWORD):
        abort(403 if given.username == "visitor" else 401)


def create_app() -> Flask:
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["DATABASE_URL"]
    SQLAlchemy(app)
    app.register_blueprint(export_blueprint(authorize=authorize))
    return app
