"""The host's engine and session, swapped for another one while Alembic, a seed or a comparison works on it."""

from __future__ import annotations

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import cast

from sqlalchemy import Engine

from .binds import close_others, run_only_on
from .env_engine import give_engine
from .host import Host
from .host_checks import refuse_unsupported
from .models import configure_models

_ENV_LOGGER = "alembic.env"
"""Which ``env.py`` asks for in each template of Flask-Migrate, and nobody else."""

_used = False
"""Whether anything here let an ``env.py`` run in this process."""


def ran_env_at_start() -> bool:
    """Whether the app itself let Alembic work when it was made: revisions of a new release are in the live database."""
    return not _used and isinstance(logging.root.manager.loggerDict.get(_ENV_LOGGER), logging.Logger)


@contextlib.contextmanager
def use_engine(host: Host, engine: Engine, *, verbose: bool = False) -> Iterator[Engine]:
    """Let the host's engine and session be another one; it is closed in the end.

    :raises Protected: the host reaches past its one database.
    :raises Misconfigured: its models cannot be configured.
    """
    global _used
    _used = True
    with host.app_context():
        configure_models(host)
    refuse_unsupported(host)
    db = host.db
    with host.app_context(), _logging_kept(verbose=verbose), quiet_warnings():
        # Flask-SQLAlchemy gives out its own dictionary, typed as read-only.
        engines = cast("dict[str | None, Engine]", db.engines)
        live = engines[host.bind]
        db.session.remove()
        engines[host.bind] = engine
        try:
            with _only_on(host, engines, engine), contextlib.ExitStack() as at_the_end:
                # Before the engines are closed that it may have connections of.
                at_the_end.callback(db.session.remove)
                yield engine
        finally:
            engines[host.bind] = live
            engine.dispose()


@contextlib.contextmanager
def _only_on(host: Host, engines: dict[str | None, Engine], engine: Engine) -> Iterator[None]:
    """Let an ``env.py`` come to one engine, and to closed ones in place of those of other databases."""
    if not host.others:
        with give_engine({host.url: engine}):
            yield
        return
    with close_others(engines, host.others) as closed, run_only_on(engine):
        stand_ins = {host.url: engine, **dict(zip(host.others.values(), closed, strict=True))}
        with give_engine(stand_ins):
            yield


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
