"""The old backend itself, with the wheel installed into it, pulls from a deployment of itself: flask_ferry.classic."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

from tests.support.deployment.runner import Deployment
from tests.support.deployment.settings import Settings
from tests.support.site import ROOT
from tests.support.sources.sites import SMALL

from .conftest import HostApp

# Two lines of it are ours: the adapters and the Blueprint.
BACKEND = """
import os

from flask import Flask
from flask_ferry.commands import bp
from flask_migrate import Migrate
from old_models import Model, db
from sqlalchemy.orm import Mapped, mapped_column


class Note(Model):
    __tablename__ = "notes"
    id: Mapped[int] = mapped_column(primary_key=True)


def create_app():
    app = Flask(__name__)
    app.config["SQLALCHEMY_DATABASE_URI"] = "sqlite:///backend.db"
    app.config["FERRY_ADAPTERS"] = "flask_ferry.classic"
    db.init_app(app)
    Migrate(app, db)
    app.register_blueprint(bp)
    return app
"""


def test_the_old_backend_pulls_from_its_production(tmp_path: Path, python: Path) -> None:
    directory = tmp_path / "backend"
    directory.mkdir()
    shutil.copyfile(ROOT / "tests" / "support" / "deployment" / "models.py", directory / "old_models.py")
    (directory / "backend.py").write_text(BACKEND)
    backend = HostApp(directory, python, application="backend:create_app")
    backend.ok("db", "init")
    # Its own name for the tables that create_all() made; nothing in it is called classic.
    backend.ok("db", "migrate", "-m", "as it is", "--rev-id", "ours")
    with Deployment(tmp_path / "production", Settings(cheap=True), shape=SMALL) as production:
        source = {
            "FLASK_FERRY_SOURCE_UID": production.uid,
            "FLASK_FERRY_SOURCE_PASSWORD": production.password,
            "FLASK_FERRY_FALLBACK": "never",
        }
        # A baseline of another shape is not taken for it.
        [baseline] = (directory / "migrations" / "versions").glob("ours_*.py")
        text = baseline.read_text()
        baseline.write_text(text.replace("sa.Column('_payload'", "sa.Column('_load'"))
        unlike = backend.flask("db-migrate-data", production.url, "--yes", **source)
        assert unlike.status == 22, unlike.stderr
        assert "nearest is ours" in unlike.stderr
        assert "it lacks leaderboard._payload" in unlike.stderr
        baseline.write_text(text)
        # A table of its own, which no record gives rows of, does not arrive empty unheard.
        refused = backend.flask("db-migrate-data", production.url, "--yes", **source)
        assert refused.status == 3, refused.stderr
        assert "notes: no adapter makes rows of it" in refused.stderr
        # Old SQLite files enforced no foreign key; the reference app has a revision for that.
        done = backend.ok("db-migrate-data", production.url, "--yes", "--accept-missing", "--keep-violations", **source)
        old = production.database
        with closing(sqlite3.connect(old)) as connection:
            for table in ("users", "user_sections", "posts", "classroom_student", "leaderboard", "skill_snapshots"):
                rows = connection.execute(f"SELECT count(*) FROM {table}").fetchall()
                assert rows != [(0,)]
                assert backend.query(f"SELECT count(*) FROM {table}") == rows, table
            names = "SELECT id, _uid, _password FROM users ORDER BY id"
            assert backend.query(names) == connection.execute(names).fetchall()
    assert "table notes: --accept-missing: no adapter makes rows of it" in done.stdout
    assert backend.query("SELECT version_num FROM alembic_version") == [("ours",)]
