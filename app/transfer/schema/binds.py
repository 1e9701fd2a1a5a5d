"""Several databases in one app: a run carries the one that was chosen, and everything of the others is closed.

The ``env.py`` of ``flask db init --multidb`` opens a connection to each database and runs the revisions on each. It is
given an engine that sends nothing in place of the others', and its ``run_migrations()`` does nothing on those.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from alembic.runtime.environment import EnvironmentContext
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from ...dialects.base import OutsideStaging
from ...errors import Misconfigured

ALL = "all"
"""What is chosen where a command is for every database of the app that is carried."""
DEFAULT = "default"
"""What the database of ``SQLALCHEMY_DATABASE_URI`` is called where one is chosen; Flask-SQLAlchemy has None for it."""


def name_of(key: str | None) -> str:
    """What a database of the app is called where one is chosen."""
    return DEFAULT if key is None else key


def find_bind(db: SQLAlchemy, name: str | None, origin: str) -> str | None:
    """The key of the database that was chosen; None for the default one.

    :param origin: where the name came from.
    :raises Misconfigured: there is none of this name, or two.
    """
    names = sorted(name_of(key) for key in db.engines)
    if name is not None and names.count(name) != 1:
        raise Misconfigured(
            f"FERRY_BIND ({origin}) is {name!r}, and the app's databases are: {', '.join(names)}.",
            hint="Choose one that is there once, such as --bind default for that of SQLALCHEMY_DATABASE_URI.",
        )
    return None if name in (None, DEFAULT) else name


def list_carried(db: SQLAlchemy, env: Path) -> list[str]:
    """What those databases of the app are called that hold something to carry, the default one first.

    One that is for nothing but the app's own SQL is left alone: no model has a table in it, and ``env.py``, which as
    that of ``flask db init --multidb`` runs revisions on each, does not name them.
    """
    keys = {str(key) for key in db.engines if key}
    if not runs_on_all(env):
        keys &= {str(key) for key, metadata in db.metadatas.items() if key and metadata.tables}
    return [DEFAULT, *sorted(keys)]


def runs_on_all(env: Path) -> bool:
    """Whether an ``env.py`` is like that of ``flask db init --multidb``."""
    return env.is_file() and "SQLALCHEMY_BINDS" in env.read_text(encoding="utf-8", errors="replace")


def find_all(db: SQLAlchemy, env: Path, origin: str) -> list[str]:
    """The databases that a command for all is for.

    :param origin: where it came from that all are meant.
    :raises Misconfigured: a name would mean two things.
    """
    for name in (ALL, DEFAULT):
        if name in db.engines:
            raise Misconfigured(
                f"FERRY_BIND ({origin}) is {ALL!r}, and one of the app's databases is called {name!r} in "
                "SQLALCHEMY_BINDS.",
                hint="Give that one another name.",
            )
    return list_carried(db, env)


def list_others(db: SQLAlchemy, bind: str | None) -> dict[str | None, URL]:
    """The databases of the app but one."""
    return {key: engine.url for key, engine in db.engines.items() if key != bind}


@contextlib.contextmanager
def close_others(engines: dict[str | None, Engine], others: Mapping[str | None, URL]) -> Iterator[list[Engine]]:
    """Let every engine but the chosen one send nothing, for as long as this is open; yields those, one for each."""
    former = {key: engines[key] for key in others}
    closed = {key: make_closed_engine(name_of(key)) for key in others}
    engines.update(closed)
    try:
        yield list(closed.values())
    finally:
        engines.update(former)
        for engine in closed.values():
            engine.dispose()


def make_closed_engine(name: str) -> Engine:
    """An engine that gives out connections, over which no statement goes."""
    engine = create_engine("sqlite://", poolclass=StaticPool)

    @event.listens_for(engine, "before_cursor_execute")
    def refuse(_connection: Connection, _cursor: Any, statement: str, *_rest: Any) -> None:
        raise OutsideStaging(
            f"this run carries another database of the app than {name!r}, for which a statement was sent: "
            f"{' '.join(statement.split())[:80]}"
        )

    return engine


@contextlib.contextmanager
def run_only_on(engine: Engine) -> Iterator[None]:
    """Let ``context.run_migrations()`` of any ``env.py`` do nothing on connections of other engines."""
    former = EnvironmentContext.run_migrations

    @functools.wraps(former)
    def run_migrations(self: EnvironmentContext, **more: Any) -> None:
        connection = self.get_context().connection
        if connection is not None and connection.engine.pool is engine.pool:
            former(self, **more)

    EnvironmentContext.run_migrations = run_migrations  # type: ignore[method-assign] # Alembic has no hook for it
    try:
        yield
    finally:
        EnvironmentContext.run_migrations = former  # type: ignore[method-assign]
