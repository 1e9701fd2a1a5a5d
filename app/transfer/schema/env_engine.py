"""The engine that an older ``env.py`` makes of its configuration: staging's, while revisions run there.

Flask-Migrate's own template of 2013 to 2021 calls ``engine_from_config()`` with the app's URL, and its author says that
it needs no upgrade. It is given staging's engine; for any other URL SQLAlchemy's own function is called, and what comes
of that is refused as any engine of its own is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy
import sqlalchemy.engine.create
from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

_PLACES = (sqlalchemy, sqlalchemy.engine, sqlalchemy.engine.create)
"""Modules that env.py may take the function from."""


@contextlib.contextmanager
def give_engine(engine: Engine, live: URL) -> Iterator[None]:
    """Let ``engine_from_config()`` give ``engine`` for the URL of the live database, or for its own."""
    former = sqlalchemy.engine_from_config

    def engine_from_config(configuration: Mapping[str, Any], prefix: str = "sqlalchemy.", **options: Any) -> Engine:
        url = str(configuration.get(f"{prefix}url", ""))
        if _is_same(url, live) or _is_same(url, engine.url):
            return engine
        return former(dict(configuration), prefix, **options)

    for place in _PLACES:
        place.engine_from_config = engine_from_config  # type: ignore[attr-defined] # env.py imports it by name
    try:
        yield
    finally:
        for place in _PLACES:
            place.engine_from_config = former  # type: ignore[attr-defined]


def _is_same(text: str, url: URL) -> bool:
    """Whether a URL in a configuration means a database; it may hide the password, and be relative to the app."""
    try:
        other = make_url(text)
    except ArgumentError:
        return False
    if other.get_backend_name() != url.get_backend_name():
        return False
    if url.get_backend_name() == "sqlite":
        return Path(other.database or "").name == Path(url.database or "").name
    mine, theirs = ((u.host, u.port, u.username, u.database) for u in (url, other))
    return mine == theirs
