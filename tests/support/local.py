"""Runs the commands in this process, which takes a tenth of the time a process of its own takes."""

from __future__ import annotations

import os
import shutil
import socket
import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from click.testing import CliRunner
from flask import Flask
from flask.cli import FlaskGroup

from app import create_app
from tests.support.site import APART, ROOT, Result, Site

HEAD = "0007_unique_sids"
COMMANDS = ("db-backup", "db-init", "db-migrate-data", "db-restore", "db-rollback", "db-status", "db-verify")
NOT_INHERITED = ("FORCE_YES", "NO_COLOR", "SECRET_KEY")
PRODUCTION = {"FLASK_FERRY_ENVIRONMENT": "production"}


@dataclass
class Local(Site):
    """The reference app on SQLite in a directory; ``run`` is ``flask ...`` without a terminal.

    :ivar config: keys of the app's own configuration.
    :ivar migrations: other Alembic scripts than the app's.
    """

    config: dict[str, Any] = field(default_factory=dict)
    migrations: Path | None = None

    def app(self) -> Flask:
        made = create_app(self.config)
        if self.migrations:
            made.extensions["migrate"].directory = str(self.migrations)
        return made

    def overrides(self, **environ: str) -> dict[str, str | None]:
        """What has to change in this process's environment, and what has to go."""
        wanted = {name: value for name, value in self.env().items() if name not in NOT_INHERITED}
        wanted |= {"FLASK_INSTANCE_PATH": str(self.directory), "FLASK_RUN_FROM_CLI": "true", **environ}
        gone: dict[str, str | None] = {name: None for name in os.environ if name not in wanted}
        return gone | wanted

    def run(self, *arguments: str, color: bool = False, **environ: str) -> Result:
        """Run a command. An error that nobody explains is raised here."""
        group = FlaskGroup(create_app=self.app, load_dotenv=False)
        done = CliRunner(env=self.overrides(**environ), **APART).invoke(group, arguments, color=color)
        if done.exception and not isinstance(done.exception, SystemExit):
            raise done.exception
        return Result(done.exit_code, done.stdout, done.stderr)

    def ok(self, *arguments: str, **environ: str) -> Result:
        """Run a command that succeeds."""
        result = self.run(*arguments, **environ)
        assert result.status == 0, result.stderr + result.stdout
        return result

    def write(self, sql: str, *values: Any) -> None:
        write(self.database, sql, *values)

    def kept(self) -> list[Path]:
        """The backups in the directory, by time."""
        files = [path for path in self.backups.glob("*") if not path.name.endswith((".manifest.json", ".gitignore"))]
        return sorted(files, key=lambda path: path.stat().st_mtime_ns)

    def staging(self) -> list[str]:
        """Staging databases and temporary files that somebody left."""
        return sorted(
            path.name
            for path in self.directory.rglob("*")
            if path.name.startswith(("staging-", ".probe-")) or path.name.endswith(".tmp")
        )

    def lease(self) -> list[tuple[Any, ...]]:
        return control(self, "SELECT run_id FROM lease")


def control(site: Site, sql: str, *values: Any) -> list[tuple[Any, ...]]:
    """Rows of the control area; also writes."""
    with closing(sqlite3.connect(site.area / "control.db")) as connection, connection:
        return connection.execute(sql, values).fetchall()


def write(database: Path, sql: str, *values: Any) -> None:
    """Write as an application would."""
    with closing(sqlite3.connect(database)) as connection, connection:
        connection.execute(sql, values)


def refused(result: Result, status: int, *words: str) -> None:
    """The command ended with this status, and its message says these words."""
    assert result.status == status, result.stderr + result.stdout
    for word in words:
        assert word in result.stderr, result.stderr


def history_without_the_newest(to: Path) -> Path:
    """The app's Alembic scripts as they were one revision ago: the models are ahead of them."""
    shutil.copytree(ROOT / "migrations", to, ignore=shutil.ignore_patterns("__pycache__"))
    (to / "versions" / f"{HEAD}.py").unlink()
    return to


def tree(directory: Path) -> Mapping[str, tuple[int, int]]:
    """Every file and directory below, with its mode and size."""
    return {
        str(path.relative_to(directory)): (path.stat().st_mode, path.stat().st_size if path.is_file() else 0)
        for path in directory.rglob("*")
    }


def hold(site: Site, *, alive: bool, host: str | None = None, age_s: int = 0) -> str:
    """Let a run of this very process hold the lease, or of one that is gone, or of another host."""
    pid = os.getpid()
    process = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    control(
        site,
        "INSERT INTO lease (id, run_id, command, host, pid, process, user, heartbeat_at)"
        " VALUES (1, 'a-run-of-somebody', 'db-migrate-data', ?, ?, ?, 'somebody', datetime('now', ?))",
        host or socket.gethostname(),
        pid,
        process if alive else "another",
        f"-{age_s} seconds",
    )
    return "a-run-of-somebody"
