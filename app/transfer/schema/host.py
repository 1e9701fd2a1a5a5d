"""What the engine is given of the host app, and nothing else of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import URL, Engine

from ...dialects.base import Dialect


@dataclass(frozen=True)
class Host:
    """A Flask app that uses Flask-SQLAlchemy and Flask-Migrate.

    :ivar migrate: what Flask-Migrate keeps in ``app.extensions["migrate"]``.
    :ivar migrations: the absolute directory of the Alembic scripts.
    :ivar app_context: enters a fresh app context.
    :ivar url: the target, of the host's own engine.
    :ivar engine_options: what the host gives ``create_engine()`` besides the URL.
    :ivar bind: the target's key in ``SQLALCHEMY_BINDS``; None for the default database.
    :ivar others: where one of several databases was chosen, all others, which are closed while something of the host's
        runs.
    :ivar among: what the databases are called that the command is for, where it is for several.
    """

    db: SQLAlchemy
    migrate: Any
    migrations: Path
    app_context: Callable[[], AbstractContextManager[object]]
    url: URL
    dialect: Dialect
    engine_options: Mapping[str, Any] = field(default_factory=dict)
    bind: str | None = None
    others: Mapping[str | None, URL] = field(default_factory=dict)
    among: frozenset[str] = frozenset()

    @property
    def is_one_of_several(self) -> bool:
        """Whether the command is for others of the app's databases as well."""
        return len(self.among) > 1

    @property
    def engine(self) -> Engine:
        """The host's own of the target; asked for in an app context."""
        engine: Engine = self.db.engines[self.bind]
        return engine

    @property
    def version_table(self) -> str:
        """What the app calls Alembic's own table."""
        return self.dialect.version_table
