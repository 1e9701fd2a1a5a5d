"""The reference backend: a deployable Flask app with models, an HTTP API and Flask-Ferry's commands."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from flask import Flask
from limits.errors import ConfigurationError as LimitsError
from sqlalchemy import event
from sqlalchemy.exc import NoSuchModuleError
from werkzeug.middleware.proxy_fix import ProxyFix

from .config import ConfigurationError, configure, load_environment
from .extensions import db, limiter, migrate

__all__ = ["create_app"]


def create_app(config: Mapping[str, Any] | None = None) -> Flask:
    """Make the app; ``flask`` and WSGI servers call it without arguments.

    :param config: keys that come before the environment's, e.g. in tests.
    :raises app.config.ConfigurationError: a setting is missing or wrong.
    """
    load_environment(Path(__file__).parent.parent)
    app = Flask(__name__, instance_path=os.environ.get("FLASK_INSTANCE_PATH"))
    configure(app, config or {})
    app.json.sort_keys = False  # type: ignore[attr-defined]  # an object out of a JSON column keeps its order
    _connect(app)
    migrate.init_app(app)
    _limit(app)
    _enforce_foreign_keys(app)
    _register(app)
    return app


def _connect(app: Flask) -> None:
    try:
        db.init_app(app)
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"The database's driver is not installed: {error}. Install it: pip install '{_find_package(error)}'"
        ) from error
    except NoSuchModuleError as error:
        raise ConfigurationError(
            f"DATABASE_URL begins with a name of no database that is known here: {error}. "
            "Write mysql://, mariadb://, postgresql:// or sqlite:///"
        ) from error


def _find_package(error: ModuleNotFoundError) -> str:
    """What to install for a driver that is missing."""
    packages = {"psycopg": "psycopg[binary]", "psycopg2": "psycopg2-binary", "MySQLdb": "mysqlclient"}
    return packages.get(error.name or "", error.name or "the driver")


def _limit(app: Flask) -> None:
    """Count attempts to log in by the caller's own address, where the proxies in front of the app say it."""
    if proxies := app.config["TRUSTED_PROXIES"]:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=proxies, x_proto=proxies)  # type: ignore[method-assign]
    try:
        limiter.init_app(app)
    except (LimitsError, ValueError):
        # Not the cause: it holds the address, which may hold a password.
        raise ConfigurationError("RATELIMIT_STORAGE_URI: there is no such storage, or its driver is missing.") from None


def _register(app: Flask) -> None:
    # Here, not above: `app.errors` and the like can be imported without the models and the API.
    from . import models  # noqa: F401 # they register themselves
    from .api import bp as api
    from .api.auth import require_admin
    from .commands import bp as commands
    from .export import export_blueprint

    app.register_blueprint(api)
    app.register_blueprint(commands)
    app.register_blueprint(export_blueprint(authorize=require_admin))


def _enforce_foreign_keys(app: Flask) -> None:
    """On SQLite, where it is off by default, for this app's own engines only."""
    with app.app_context():
        for engine in db.engines.values():
            if engine.dialect.name == "sqlite":
                event.listen(engine, "connect", _foreign_keys_on)


def _foreign_keys_on(connection: Any, _record: Any) -> None:
    connection.execute("PRAGMA foreign_keys=ON")
