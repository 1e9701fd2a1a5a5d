"""A deployed reference app of its own for one test: a directory with its database, backups and snapshot.

Commands run as a user runs them: processes of their own with ``flask``, forked from one that has imported the app.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import signal
import sqlite3
import subprocess
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from app.commands.blueprint import COMMANDS
from tests.support.forks import Forked, Hook, start_flask

ROOT = Path(__file__).resolve().parents[2]
APART: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in inspect.signature(CliRunner).parameters else {}
"""What a runner is told so that stderr is apart from stdout: click before 8.2 mixes them otherwise."""

SERVERS = tuple(f"app.dialects.{name}.dialect" for name in ("sqlite", "mysql", "postgresql"))
ENGINE = tuple(f"commands.{module}" for _, module, _ in COMMANDS)
"""The modules of the commands, which a command imports when it is used."""
MODULES = (
    "flask.cli",
    "flask_migrate",
    "logging.config",
    "sqlalchemy.dialects.sqlite",
    "sqlalchemy.dialects.mysql.pymysql",
    "sqlalchemy.dialects.postgresql.psycopg",
    "migrations.tools",
    "app.commands.versions",
    "app.export",
    "app.classic",
    "app.api",
    "app.models",
    *SERVERS,
    *(f"app.{name}" for name in ENGINE),
)
"""What the program has imported that commands are forks of."""


@dataclass
class Result:
    """How a command ended."""

    status: int
    stdout: str
    stderr: str

    @property
    def last_line(self) -> str:
        return self.stdout.rstrip().rpartition("\n")[2]

    @property
    def first_line(self) -> str:
        return self.stdout.partition("\n")[0]

    @property
    def events(self) -> list[dict[str, Any]]:
        """What ``--json`` printed."""
        return [json.loads(line) for line in self.stdout.splitlines()]


@dataclass
class Site:
    """The reference app on SQLite in a directory."""

    directory: Path
    environ: dict[str, str] = field(default_factory=dict)

    @property
    def database(self) -> Path:
        return self.directory / "app.db"

    @property
    def area(self) -> Path:
        return self.directory / "app.db.ferry"

    @property
    def snapshot(self) -> Path:
        return self.directory / "data.json"

    @property
    def backups(self) -> Path:
        return self.directory / "backups"

    def env(self, **more: str) -> dict[str, str]:
        """A clean environment: nothing of the developer's own settings comes in."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("FLASK_", "DB_", "DATABASE"))}
        return {
            **kept,
            "FLASK_APP": "app",
            "FLASK_SKIP_DOTENV": "1",
            "DATABASE_URL": f"sqlite:///{self.database}",
            "FLASK_FERRY_SNAPSHOT": str(self.snapshot),
            "FLASK_FERRY_BACKUPS": str(self.backups),
            "FLASK_FERRY_TIMEOUT": "2",
            "PYTHONWARNINGS": "error::ResourceWarning",
            **self.environ,
            **more,
        }

    def flask(self, *arguments: str, cwd: Path | None = None, timeout_s: float = 120, **environ: str) -> Result:
        """Run ``flask ...`` to its end, without a terminal."""
        process = start_flask(arguments, self.env(**environ), cwd or ROOT, modules=MODULES, root=ROOT)
        try:
            stdout, stderr = process.communicate(timeout=timeout_s)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        return Result(process.wait(), stdout, stderr)

    def start(self, *arguments: str, hooks: Iterable[Hook] = (), **environ: str) -> Forked:
        """Start ``flask ...`` and return at once; end it with :func:`end`."""
        return start_flask(arguments, self.env(**environ), ROOT, modules=MODULES, root=ROOT, hooks=hooks)

    def source(self, deployment: Any) -> dict[str, str]:
        """The environment that names an old deployment as the source."""
        return {
            "FLASK_FERRY_SOURCE": deployment.url,
            "FLASK_FERRY_SOURCE_UID": deployment.uid,
            "FLASK_FERRY_SOURCE_PASSWORD": deployment.password,
        }

    def query(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the live database."""
        return query(self.database, sql, *values)

    def content(self) -> str:
        """A digest of every object and every value of the live database; empty when there is none."""
        return content(self.database)

    def report(self, run: str | None = None) -> dict[str, Any]:
        """The report of a run; of the last one by default."""
        runs = sorted((self.area / "runs").iterdir(), key=lambda path: (path.stat().st_mtime_ns, path.name))
        path = self.area / "runs" / run if run else runs[-1]
        found: dict[str, Any] = json.loads((path / "report.json").read_text())
        return found


def query(database: Path, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows of a SQLite file."""
    connection = sqlite3.connect(database, timeout=10)
    try:
        return connection.execute(sql, values).fetchall()
    finally:
        connection.close()


def content(database: Path) -> str:
    """Compare databases by this and never by their bytes: opening one may change those.

    The view that holds the generation mark is no part of it: each cut-over makes another.
    """
    if not database.exists() or database.stat().st_size == 0:
        return ""
    connection = sqlite3.connect(database, timeout=10)
    connection.text_factory = bytes
    try:
        digest = hashlib.sha256()
        objects = connection.execute(
            "SELECT type, name, sql FROM sqlite_schema WHERE name <> 'flask_ferry_generation' ORDER BY type, name"
        ).fetchall()
        digest.update(repr(objects).encode())
        for kind, name, _ in objects:
            if kind == b"table":
                rows = connection.execute(f'SELECT * FROM "{name.decode()}"').fetchall()
                digest.update(repr(sorted(rows, key=repr)).encode())
        return digest.hexdigest()
    finally:
        connection.close()


def end(process: Forked, number: int = signal.SIGKILL, timeout_s: float = 30) -> Result:
    """Send a signal to a process that was started here and wait for its end."""
    process.send_signal(number)
    stdout, stderr = process.communicate(timeout=timeout_s)
    return Result(process.wait(), stdout, stderr)
