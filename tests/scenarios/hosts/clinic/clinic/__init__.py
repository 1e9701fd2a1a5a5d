"""A host app of somebody else: a clinic, a package with a factory and a declarative base of its own."""

from __future__ import annotations

import os

from flask import Flask
from flask_ferry.commands import bp
from flask_migrate import Migrate

from . import people, visits  # noqa: F401 # the models register themselves
from .base import db


def create_app() -> Flask:
    app = Flask(__name__, instance_relative_config=True)
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ.get("HOST_DATABASE", "sqlite:///clinic.db")
    app.config["FERRY_SEED"] = "clinic.visits:seed"
    db.init_app(app)
    Migrate(app, db)
    app.register_blueprint(bp)
    return app
