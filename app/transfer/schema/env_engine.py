"""The engine that an ``env.py`` makes of the app's URL: staging's, while revisions run there.

Flask-Migrate's own template of 2013 to 2021 calls ``engine_from_config()`` with the app's URL, and its author says that
it needs no upgrade; others call ``create_engine()``. They are given staging's engine; for any other URL SQLAlchemy's
own function is called, and what comes of that is refused as any engine of its own is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import sqlalchemy
import sqlalchemy.engine.create
from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

_PLACES = (sqlalchemy, sqlalchemy.engine, sqlalchemy.engine.create)
"""Modules that env.py may take the functions from."""


@contextlib.contextmanager
def give_engine(engine: Engine, live: URL) -> Iterator[None]:
    """Let SQLAlchemy's makers of engines give ``engine`` for the URL of the live database, or for its own."""
    makes, makes_of_config = sqlalchemy.create_engine, sqlalchemy.engine_from_config

    def create_engine(url: str | URL, **options: Any) -> Engine:
        return engine if _is_one_of(url, live, engine.url) else makes(url, **options)

    def engine_from_config(configuration: Mapping[str, Any], prefix: str = "sqlalchemy.", **options: Any) -> Engine:
        if _is_one_of(configuration.get(f"{prefix}url", ""), live, engine.url):
            return engine
        return makes_of_config(dict(configuration), prefix, **options)

    _put(create_engine, engine_from_config)
    try:
        yield
    finally:
        _put(makes, makes_of_config)


def _put(create_engine: Callable[..., Engine], engine_from_config: Callable[..., Engine]) -> None:
    for place in _PLACES:
        place.create_engine = create_engine  # type: ignore[attr-defined] # env.py imports it by name
        place.engine_from_config = engine_from_config  # type: ignore[attr-defined]


def _is_one_of(value: object, *urls: URL) -> bool:
    return any(_is_same(value, url) for url in urls)


def _is_same(value: object, url: URL) -> bool:
    """Whether a URL in a configuration means a database; it may hide the password, and be relative to the app."""
    try:
        other = value if isinstance(value, URL) else make_url(str(value))
    except ArgumentError:
        return False
    if other.get_backend_name() != url.get_backend_name():
        return False
    if url.get_backend_name() == "sqlite":
        return Path(other.database or "").name == Path(url.database or "").name
    mine, theirs = ((u.host, u.port, u.username, u.database) for u in (url, other))
    return mine == theirs
