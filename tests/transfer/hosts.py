"""A host app whose Alembic history is the test's own."""

from __future__ import annotations

from pathlib import Path

from flask import Flask
from flask_migrate import Migrate
from flask_sqlalchemy import SQLAlchemy

from app.commands.session import current_host
from app.transfer.run.run import Hooks, Run
from app.transfer.run.settings import build_settings
from app.transfer.schema.host import Host
from tests.migrations.database import Database
from tests.support.runs.commands import REVISION
from tests.support.site import ROOT


def revision(directory: Path, name: str, down: str | None, upgrade: str = "pass", declared: str = "") -> None:
    """Add a revision to a history."""
    body = "\n".join(f"    {line}" for line in upgrade.strip().splitlines())
    text = REVISION.format(revision=name, down=down, declared=declared, upgrade=body)
    (directory / "versions" / f"{name}.py").write_text(text)


def history(directory: Path) -> Path:
    """A history without revisions, with Flask-Migrate's own env.py and alembic.ini (which configures logging)."""
    import flask_migrate

    templates = Path(flask_migrate.__file__).parent / "templates" / "flask"
    (directory / "versions").mkdir(parents=True)
    for name in ("env.py", "script.py.mako"):
        (directory / name).write_text((templates / name).read_text())
    (directory / "alembic.ini").write_text((templates / "alembic.ini.mako").read_text())
    return directory


def made_host(directory: Path, uri: str | None = None) -> tuple[Host, SQLAlchemy]:
    """A host on a SQLite file, or another database, with a history of its own in ``directory/migrations``."""
    app = Flask("made", instance_path=str(directory), root_path=str(directory))
    app.config["SQLALCHEMY_DATABASE_URI"] = uri or f"sqlite:///{directory / 'live.db'}"
    db = SQLAlchemy(app)
    Migrate(app, db, directory=str(directory / "migrations"))
    with app.app_context():
        return current_host(), db


def reference_host(path: Path) -> Host:
    """The reference app on a SQLite file."""
    app = Database(path).app
    app.extensions["migrate"].directory = str(ROOT / "migrations")
    with app.app_context():
        return current_host()


def made_run(directory: Path, command: str = "db-migrate-data", **config: str) -> Run:
    """A run on :func:`made_host`'s app, whose events nobody hears."""
    directory.mkdir(exist_ok=True)
    if not (directory / "migrations").exists():
        history(directory / "migrations")
    host, _ = made_host(directory)
    settings = build_settings(config, {}, instance=directory, directory=directory, options={})
    return Run(host, settings, command, Hooks())
