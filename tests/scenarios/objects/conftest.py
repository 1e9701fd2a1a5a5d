"""Made-up host apps on any server, in this process, each with a history of its own."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
import sqlalchemy as sa
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import URL
from sqlalchemy.pool import NullPool

from app.commands import bp
from tests.support.site import APART, Result
from tests.transfer.hosts import history, revision


@dataclass
class HostApp:
    """A host app: its database, and the revisions that it has so far.

    :ivar on_connect: a listener on the engines of the app.
    """

    directory: Path
    url: str
    revisions: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    on_connect: Callable[..., None] | None = None

    def __post_init__(self) -> None:
        self.migrations = history(self.directory / "migrations")

    def release(self, upgrade: str, declared: str = "") -> str:
        """Deploy one more revision; returns its id."""
        name = f"r{len(self.revisions) + 1}"
        revision(self.migrations, name, self.revisions[-1] if self.revisions else None, upgrade, declared)
        self.revisions.append(name)
        return name

    def app(self) -> Flask:
        app = Flask("host", instance_path=str(self.directory), root_path=str(self.directory))
        app.config["SQLALCHEMY_DATABASE_URI"] = self.url
        app.config["FERRY_SNAPSHOT"] = str(self.directory / "data.json")
        app.config["FERRY_BACKUPS"] = str(self.directory / "backups")
        app.config.update(self.config)
        self.db = SQLAlchemy()
        self.db.init_app(app)
        Migrate(app, self.db, directory=str(self.migrations))
        app.register_blueprint(bp)
        if self.on_connect:
            with app.app_context():
                sa.event.listen(self.db.engine, "connect", self.on_connect)
        return app

    def upgrade(self, to: str = "head") -> None:
        """Bring the database to a revision by the app's own means."""
        app = self.app()
        with app.app_context():
            flask_migrate.upgrade(directory=str(self.migrations), revision=to)
            self._close()

    def run(self, *arguments: str) -> Result:
        app = self.app()
        done = app.test_cli_runner(**APART).invoke(args=list(arguments))
        with app.app_context():
            self._close()
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Result(done.exit_code, done.stdout, done.stderr)

    def _close(self) -> None:
        for engine in self.db.engines.values():
            engine.dispose()

    def _create_engine(self) -> sa.Engine:
        engine = sa.create_engine(self.url, poolclass=NullPool)
        if self.on_connect:
            sa.event.listen(engine, "connect", self.on_connect)
        return engine

    def execute(self, *statements: str) -> None:
        engine = self._create_engine()
        with closing(engine.raw_connection()) as connection:
            for statement in statements:
                connection.cursor().execute(statement)
            connection.commit()

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        with self._create_engine().connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]


@pytest.fixture
def make_host(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., HostApp]:
    """Make a host app on a server by its name; its database is not there yet."""

    def make(server: str = "sqlite", name: str = "host") -> HostApp:
        directory = tmp_path / name
        directory.mkdir()
        if server == "sqlite":
            return HostApp(directory, f"sqlite:///{directory / 'live.db'}")
        url: URL = request.getfixturevalue(server).url(f"t{secrets.token_hex(4)}")
        with sa.create_engine(request.getfixturevalue(server).url(), poolclass=NullPool).connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT").exec_driver_sql(
                f"CREATE DATABASE {url.database}"
            )
        return HostApp(directory, url.render_as_string(hide_password=False))

    return make
