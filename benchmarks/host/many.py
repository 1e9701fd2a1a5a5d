"""A host of as many small tables as are asked for, to measure what a table costs."""

from __future__ import annotations

import os
from pathlib import Path

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import Column, Integer, String

from app.commands import bp

REVISION = '''"""All tables."""

import os

import sqlalchemy as sa
from alembic import op

revision = "m1"
down_revision = None


def upgrade() -> None:
    for number in range(int(os.environ["MANY_TABLES"])):
        op.create_table(
            f"t{number:04}", sa.Column("id", sa.Integer(), primary_key=True), sa.Column("name", sa.String(40))
        )


def downgrade() -> None:
    raise NotImplementedError
'''


def write_migrations(directory: Path, env: Path) -> None:
    """Make the host's migrations, with an ``env.py`` like another host's."""
    (directory / "versions").mkdir(parents=True)
    (directory / "env.py").write_text(env.read_text(encoding="utf-8"), encoding="utf-8")
    (directory / "versions" / "m1_all.py").write_text(REVISION, encoding="utf-8")


def create_app() -> Flask:
    """``MANY_TABLES`` tables on ``FORUM_DATABASE``, its files in ``FORUM_DIRECTORY``."""
    app = Flask(__name__, instance_path=os.environ["FORUM_DIRECTORY"])
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ["FORUM_DATABASE"]
    db = SQLAlchemy()
    db.init_app(app)
    with app.app_context():
        for number in range(int(os.environ["MANY_TABLES"])):
            db.Table(f"t{number:04}", Column("id", Integer, primary_key=True), Column("name", String(40)))
    Migrate(app, db, directory=os.environ["FORUM_MIGRATIONS"])
    app.register_blueprint(bp)
    return app
