"""Host apps made up for one test, run in this process: each has a database, a history and odd habits of its own."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flask_migrate
import sqlalchemy as sa
from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from app.commands import bp
from tests.support.site import APART, Result, content
from tests.transfer.hosts import history, revision

CREATE = "op.create_table('thing', sa.Column('id', sa.Integer, primary_key=True), sa.Column('name', sa.String(40)))"
ADD = "op.add_column('thing', sa.Column('colour', sa.String(20)))"
CHANGES_ALL = ("db-init", "db-migrate-data", "db-backup", "db-restore", "db-rollback", "db-verify")
ARGUMENTS = {
    "db-init": ["--yes"],
    "db-migrate-data": ["self", "--yes"],
    "db-restore": ["--yes"],
    "db-rollback": ["--yes"],
}


def things(db: SQLAlchemy) -> None:
    """The model of the made-up host at its second revision."""
    sa.Table(
        "thing",
        db.metadata,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("name", sa.String(40)),
        sa.Column("colour", sa.String(20)),
    )


@dataclass
class Foreign:
    """A host on a SQLite file with two revisions.

    :ivar config: further keys of ``app.config``.
    :ivar models: defines them on its ``db``.
    :ivar alembic: keywords of ``Migrate()``.
    :ivar database: keywords of ``SQLAlchemy()``.
    :ivar on_connect: a listener on its own engine.
    """

    directory: Path
    config: dict[str, Any] = field(default_factory=dict)
    models: Callable[[SQLAlchemy], None] = things
    alembic: dict[str, Any] = field(default_factory=dict)
    database: dict[str, Any] = field(default_factory=dict)
    on_connect: Callable[[Any, Any], None] | None = None

    def __post_init__(self) -> None:
        self.migrations = history(self.directory / "migrations")
        self.add("one", None, CREATE)
        self.add("two", "one", ADD)

    def add(self, name: str, down: str | None, upgrade: str = "pass", declared: str = "") -> None:
        """Add a revision."""
        revision(self.migrations, name, down, upgrade, declared)

    def change_env(self, old: str, new: str) -> None:
        """Edit ``env.py``."""
        env = self.migrations / "env.py"
        assert old in env.read_text()
        env.write_text(env.read_text().replace(old, new))

    @property
    def live(self) -> Path:
        return self.directory / "live.db"

    def app(self) -> Flask:
        """The app, made anew as for every command."""
        app = Flask("foreign", instance_path=str(self.directory), root_path=str(self.directory))
        app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{self.live}"
        app.config["FERRY_SNAPSHOT"] = str(self.directory / "data.json")
        app.config.update(self.config)
        self.db = SQLAlchemy(**self.database)
        self.models(self.db)
        self.db.init_app(app)
        Migrate(app, self.db, **{"directory": str(self.migrations)} | self.alembic)
        app.register_blueprint(bp)
        if self.on_connect:
            with app.app_context():
                sa.event.listen(self.db.engine, "connect", self.on_connect)
        return app

    def at(self, name: str) -> None:
        """Bring its database to a revision by its own means, with a row."""
        app = self.app()
        with app.app_context():
            flask_migrate.upgrade(directory=str(self.migrations), revision=name)
            self.db.session.execute(sa.text("INSERT INTO thing (id, name) VALUES (1, 'kept')"))
            self.db.session.commit()
        self._closed(app)

    def run(self, command: str, *arguments: str) -> Result:
        """Run a command as it is typed, answered with yes where it asks."""
        app = self.app()
        done = app.test_cli_runner(**APART).invoke(args=[command, *(arguments or ARGUMENTS.get(command, []))])
        self._closed(app)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Result(done.exit_code, done.stdout, done.stderr)

    def ok(self, command: str, *arguments: str) -> Result:
        result = self.run(command, *arguments)
        assert result.status == 0, result.stderr + result.stdout
        return result

    def _closed(self, app: Flask) -> None:
        with app.app_context():
            for engine in self.db.engines.values():
                engine.dispose()

    def rows(self, table: str = "thing") -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.live)) as connection:
            return connection.execute(f"SELECT * FROM {table}").fetchall()

    def execute(self, sql: str) -> None:
        with closing(sqlite3.connect(self.live)) as connection, connection:
            connection.execute(sql)

    def ledger(self) -> list[dict[str, Any]]:
        """The entries of the ledger, oldest first."""
        with closing(sqlite3.connect(self.directory / "live.db.ferry" / "control.db")) as connection:
            return [json.loads(entry) for (entry,) in connection.execute("SELECT entry FROM ledger ORDER BY rowid")]

    def seen(self) -> dict[str, str]:
        """Every file beside the scripts, and the databases' contents: what a refused command leaves as it is."""
        files = [path for path in self.directory.rglob("*") if path.is_file() and "migrations" not in path.parts]
        return {str(path): content(path) if path.suffix == ".db" else repr(path.read_bytes()) for path in sorted(files)}

    def assert_refused(self, *said: str, status: int = 20, commands: tuple[str, ...] = CHANGES_ALL) -> None:
        """Each command ends so, names what is wrong, says what to do, and writes nothing."""
        before = self.seen()
        for command in commands:
            result = self.run(command)
            assert result.status == status, (command, result.status, result.stderr)
            for words in said:
                assert words in result.stderr, (command, result.stderr)
            assert len(result.stderr.strip().splitlines()) > 1, (command, "no way out", result.stderr)
            assert "Traceback" not in result.stderr
        assert self.seen() == before

    def assert_can_look(self, *said: str) -> None:
        """``db-status`` and ``--help`` still answer, the former with the reason."""
        before = self.seen()
        looked = self.ok("db-status")
        for words in said:
            assert words in looked.stdout, looked.stdout
        assert self.run("db-status", "--check").status == 1
        assert "Usage" in self.ok("db-init", "--help").stdout
        assert self.seen() == before
