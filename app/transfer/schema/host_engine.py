"""The host's engine and session, swapped for another one while Alembic, a seed or a comparison works on it."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import cast

from sqlalchemy import Engine

from .env_engine import give_engine
from .host import Host
from .host_checks import refuse_unsupported
from .models import configure_models


@contextlib.contextmanager
def use_engine(host: Host, engine: Engine, *, verbose: bool = False) -> Iterator[Engine]:
    """Let the host's engine and session be another one; it is closed in the end.

    :raises Protected: the host reaches past its one database.
    :raises Misconfigured: its models cannot be configured.
    """
    with host.app_context():
        configure_models(host)
    refuse_unsupported(host)
    db = host.db
    with host.app_context(), _logging_kept(verbose=verbose), quiet_warnings():
        # Flask-SQLAlchemy gives out its own dictionary, typed as read-only.
        engines = cast("dict[str | None, Engine]", db.engines)
        live = engines[None]
        db.session.remove()
        engines[None] = engine
        try:
            with give_engine(engine, host.url):
                yield engine
        finally:
            db.session.remove()
            engines[None] = live
            engine.dispose()


@contextlib.contextmanager
def quiet_warnings() -> Iterator[None]:
    """Warnings of the host's env.py and alembic.ini are the host's; here they would only hide ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


@contextlib.contextmanager
def _logging_kept(*, verbose: bool) -> Iterator[None]:
    """Undo what env.py's ``fileConfig()`` does: it disables every existing logger and installs handlers."""
    root = logging.getLogger()
    loggers = [root, *(item for item in root.manager.loggerDict.values() if isinstance(item, logging.Logger))]
    former = [(item, item.level, item.handlers[:], item.disabled, item.propagate) for item in loggers]
    silenced = root.manager.disable
    if not verbose:
        logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(silenced)
        for item, level, handlers, disabled, propagate in former:
            item.level, item.handlers[:], item.disabled, item.propagate = level, handlers, disabled, propagate
        root.manager._clear_cache()  # type: ignore[attr-defined] # levels were set past setLevel(), which does this
