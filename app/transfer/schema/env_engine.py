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
def give_engine(engines: Mapping[URL, Engine]) -> Iterator[None]:
    """Let SQLAlchemy's makers of engines give an engine for the URL of a live database of the app, or for its own.

    :param engines: by the URL of the live database: what stands for it.
    """
    makes, makes_of_config = sqlalchemy.create_engine, sqlalchemy.engine_from_config

    def create_engine(url: str | URL, **options: Any) -> Engine:
        return _find(url, engines) or makes(url, **options)

    def engine_from_config(configuration: Mapping[str, Any], prefix: str = "sqlalchemy.", **options: Any) -> Engine:
        url = configuration.get(f"{prefix}url", "")
        return _find(url, engines) or makes_of_config(dict(configuration), prefix, **options)

    _put(create_engine, engine_from_config)
    try:
        yield
    finally:
        _put(makes, makes_of_config)


def _put(create_engine: Callable[..., Engine], engine_from_config: Callable[..., Engine]) -> None:
    for place in _PLACES:
        place.create_engine = create_engine  # type: ignore[attr-defined] # env.py imports it by name
        place.engine_from_config = engine_from_config  # type: ignore[attr-defined]


def _find(value: object, engines: Mapping[URL, Engine]) -> Engine | None:
    """The engine for a URL: of the very one before one that may mean the same."""
    for engine in engines.values():
        if engine.url.database and str(value) == str(engine.url):
            return engine
    exact = [engine for live, engine in engines.items() if str(value) in _spellings(live)]
    alike = [engine for live, engine in engines.items() if _is_same(value, live) or _is_same(value, engine.url)]
    return next(iter([*exact, *alike]), None)


def _spellings(url: URL) -> tuple[str, str]:
    return str(url), url.render_as_string(hide_password=False)


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
