"""A host of a few lines: its database and its Alembic history are named by the environment, it has no models."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import URL

from app.commands import bp
from app.export import export_blueprint
from tests.support.forks import start_flask
from tests.support.places import new_name
from tests.support.site import MODULES, ROOT, Result
from tests.transfer.hosts import history, revision

DATABASE, MIGRATIONS, VERSIONS = "SMALL_DATABASE", "SMALL_MIGRATIONS", "SMALL_VERSIONS"


def create_app() -> Flask:
    """The host; whoever asks may read its export."""
    app = Flask(__name__, instance_path=os.environ["FLASK_INSTANCE_PATH"])
    app.config["SQLALCHEMY_DATABASE_URI"] = os.environ[DATABASE]
    db = SQLAlchemy(app)
    versions = {"version_table": os.environ[VERSIONS]} if VERSIONS in os.environ else {}
    Migrate(app, db, directory=os.environ[MIGRATIONS], **versions)
    app.register_blueprint(bp)
    app.register_blueprint(export_blueprint(authorize=lambda: None))
    return app


@dataclass
class SmallHost:
    """The host in a directory of its own, on a database.

    :ivar version_table: what it calls Alembic's own table in ``Migrate()``; Alembic's name where it says nothing.
    """

    directory: Path
    url: URL
    version_table: str | None = None

    def revise(self, *statements: str, name: str = "r1", down: str | None = None) -> None:
        """Add a revision that executes statements."""
        if not (self.directory / "migrations").exists():
            history(self.directory / "migrations")
        upgrade = "\n".join(f"op.get_bind().exec_driver_sql({statement!r})" for statement in statements)
        revision(self.directory / "migrations", name, down, upgrade)

    @property
    def environ(self) -> dict[str, str]:
        return {
            **{key: value for key, value in os.environ.items() if not key.startswith(("FERRY_", "FLASK_"))},
            "FLASK_APP": f"{__name__}:create_app",
            "FLASK_INSTANCE_PATH": str(self.directory),
            DATABASE: self.url.render_as_string(hide_password=False),
            MIGRATIONS: str(self.directory / "migrations"),
            "PYTHONPATH": str(ROOT),
            **({VERSIONS: self.version_table} if self.version_table else {}),
        }

    def flask(self, *arguments: str, **environ: str) -> Result:
        """Run ``flask ...`` in the host's directory."""
        process = start_flask(arguments, {**self.environ, **environ}, self.directory, modules=MODULES, root=ROOT)
        stdout, stderr = process.communicate(timeout=120)
        return Result(process.wait(), stdout, stderr)

    def migrate_from(self, source: SmallHost, *options: str) -> Result:
        """Migrate from another host's database."""
        shown = source.url.render_as_string(hide_password=False)
        return self.flask("db-migrate-data", "--yes", *options, FLASK_FERRY_SOURCE=shown)

    def done(self, *arguments: str, **environ: str) -> str:
        """Run ``flask ...``, which must succeed; what it said."""
        return succeeded(self.flask(*arguments, **environ))


def succeeded(result: Result) -> str:
    """What a command said that must have succeeded."""
    assert result.status == 0, result.stderr + result.stdout
    return result.stdout + result.stderr


def host_on(request: pytest.FixtureRequest, directory: Path, *statements: str) -> SmallHost:
    """A host on a new database of the server that a fixture's parameter names, at a revision of these statements."""
    url = URL.create("sqlite", database=str(directory / "new.db"))
    if request.param != "sqlite":
        server: Any = request.getfixturevalue(request.param)
        url = server.url(new_name())
        server.execute(f"CREATE DATABASE {url.database}")
    host = SmallHost(directory, url)
    host.revise(*statements)
    return host


def host_on_file(directory: Path, *statements: str) -> SmallHost:
    """A host in a new directory, on a SQLite file that a revision of these statements was carried out in."""
    directory.mkdir()
    host = SmallHost(directory, URL.create("sqlite", database=str(directory / "old.db")))
    host.revise(*statements)
    host.done("db", "upgrade")
    return host
