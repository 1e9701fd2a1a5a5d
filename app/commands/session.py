"""From the current app to what the engine needs: the one place that knows ``current_app``."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from flask import Flask, current_app
from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import URL

from ..dialects import dialect_for
from ..dialects.base import Dialect
from ..errors import Misconfigured
from ..transfer.run.settings import Settings, build_settings
from ..transfer.run.unknown_keys import find_unknown_keys, find_unread_keys, refuse_unread_keys
from ..transfer.schema.binds import find_all, find_bind, list_others, name_of
from ..transfer.schema.host import Host
from ..transfer.schema.named_schema import find_named_schema
from ..transfer.schema.version_table import list_places, version_table_of
from .blueprint import refuse_replaced


def current_host(settings: Settings | None = None, among: Iterable[str] = ()) -> Host:
    """The current app as the engine sees it.

    :param settings: which of its databases is the target; by default what its configuration says.
    :param among: what the databases are called that the command is for, where it is for several.
    :raises Misconfigured: Flask-SQLAlchemy or Flask-Migrate is missing, or the Alembic scripts are.
    """
    # A local proxy would be asked again in other contexts: the app itself is what is kept.
    app = current_app._get_current_object()  # type: ignore[attr-defined] # a proxy's own method
    refuse_replaced(app)
    _refuse_incomplete(app)
    db, migrate = app.extensions["sqlalchemy"], app.extensions["migrate"]
    settings = settings or current_settings()
    bind = find_bind(db, settings.bind, settings.origins["FERRY_BIND"])
    url = db.engines[bind].url
    return Host(
        db,
        migrate,
        _migrations(Path(app.root_path), str(migrate.directory)),
        app.app_context,
        url,
        current_dialect(url, bind),
        _engine_options(app, db, bind),
        bind,
        list_others(db, bind) if settings.bind else {},
        frozenset(among),
    )


def list_all(settings: Settings) -> list[str]:
    """What the databases are called that a command for all is for.

    :raises Misconfigured: Flask-SQLAlchemy or Flask-Migrate is missing, or the Alembic scripts are.
    """
    app = current_app._get_current_object()  # type: ignore[attr-defined] # a proxy's own method
    refuse_replaced(app)
    _refuse_incomplete(app)
    migrations = _migrations(Path(app.root_path), str(app.extensions["migrate"].directory))
    return find_all(app.extensions["sqlalchemy"], migrations / "env.py", settings.origins["FERRY_BIND"])


def _refuse_incomplete(app: Flask) -> None:
    extensions = app.extensions
    missing = [
        text
        for key, text in (
            ("sqlalchemy", "Flask-SQLAlchemy (db.init_app(app))"),
            ("migrate", "Flask-Migrate (Migrate(app, db))"),
        )
        if key not in extensions
    ]
    if missing:
        raise Misconfigured(
            "This app needs Flask-SQLAlchemy and Flask-Migrate, both initialised; it lacks "
            + " and ".join(missing)
            + ".",
            hint="See how to install it: docs/hosts.md",
        )
    if extensions["migrate"].db is not extensions["sqlalchemy"]:
        raise Misconfigured(
            "Flask-Migrate was given another SQLAlchemy() than the app's; was its module imported under two names?",
            hint="Give Migrate(app, db) the db whose init_app(app) is called.",
        )
    if None not in extensions["sqlalchemy"].engines:
        raise Misconfigured("The app has no default database.", hint="Set SQLALCHEMY_DATABASE_URI.")


def _engine_options(app: Flask, db: SQLAlchemy, key: str | None) -> dict[str, Any]:
    """What ``create_engine()`` is given for a database of the app, as Flask-SQLAlchemy puts it together."""
    bind = (app.config.get("SQLALCHEMY_BINDS") or {}).get(key)
    of_bind = bind if isinstance(bind, Mapping) else {}
    of_default = (app.config.get("SQLALCHEMY_ENGINE_OPTIONS") or {}) if key is None else {}
    return {**db._engine_options, **of_bind, **of_default}


def current_dialect(url: URL, bind: str | None = None) -> Dialect:
    """The room of a database that the current app has, or could have.

    :param bind: the app's key of the database whose connections show what the app has in them.
    """
    db, migrate = current_app.extensions.get("sqlalchemy"), current_app.extensions.get("migrate")
    engine = db.engines.get(bind) if db else None
    root = Path(current_app.root_path)
    dialect = dialect_for(
        url,
        directory=Path(current_app.instance_path),
        tls_ca=current_settings().tls_ca,
        version_table=version_table_of(migrate, root),
        named_schema=find_named_schema(db, migrate, root, bind) if db and engine and engine.url == url else None,
    )
    if engine is not None:
        dialect.know_app(engine)
    return dialect


def _migrations(root: Path, name: str) -> Path:
    """Flask-Migrate counts its directory from the working directory; a deploy hook may run anywhere."""
    places = list_places(root, name)
    for place in places:
        if (place / "env.py").is_file():
            return place.resolve()
    raise Misconfigured(
        f"There are no Alembic scripts in {' or '.join(str(place) for place in dict.fromkeys(places))}.",
        hint="Create them with: flask db init",
    )


def list_unknown_keys() -> list[str]:
    """A line for each key of the environment or of the app that is misspelt, or that nobody reads."""
    unread = [f"{name} in the environment is ignored; did you mean FLASK_{name}?" for name in _unread_keys()]
    return find_unknown_keys(current_app.config, os.environ, _binds()) + unread


def refuse_ignored_keys() -> None:
    """:raises Misconfigured: the environment has one of ours that nobody reads."""
    refuse_unread_keys(_unread_keys())


def _unread_keys() -> list[str]:
    return find_unread_keys(current_app.config, os.environ, _binds())


def _binds() -> list[str]:
    """What the app's databases are called; none where it has no Flask-SQLAlchemy, which is refused elsewhere."""
    db = current_app.extensions.get("sqlalchemy")
    return [name_of(key) for key in db.engines] if db else []


def current_settings(options: Mapping[str, str | None] | None = None) -> Settings:
    """The settings of the current app, options first."""
    return build_settings(
        current_app.config,
        os.environ,
        instance=Path(current_app.instance_path),
        directory=Path.cwd(),
        options=options or {},
    )
