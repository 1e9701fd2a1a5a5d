"""Where the app's configuration comes from: the environment, ``.env`` and ``.flaskenv``."""

from __future__ import annotations

import os
import secrets
import ssl
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from dotenv import load_dotenv
from flask import Flask
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

ENVIRONMENTS = ("development", "staging", "production")
DEFAULT_DATABASE = "sqlite:///app.db"
DRIVERS = {
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "postgres": "postgresql+psycopg",
    "postgresql": "postgresql+psycopg",
}
SERVER_KEYS = ("DB_ENDPOINT", "DB_USERNAME", "DB_PASSWORD", "DB_NAME")
LOOPBACK = ("", "localhost", "127.0.0.1", "::1")


class ConfigurationError(click.UsageError):
    """A setting is missing or wrong. Under ``flask`` it ends the command with status 2 and its message."""


def load_environment(root: Path) -> None:
    """Read ``.env`` and ``.flaskenv`` of ``root`` into the environment, overriding nothing in it.

    ``flask`` reads them from the current directory upwards; a WSGI server reads none. As there,
    ``FLASK_SKIP_DOTENV=1`` prevents it.
    """
    if os.environ.get("FLASK_SKIP_DOTENV", "").lower() in ("1", "true", "yes"):
        return
    for name in (".env", ".flaskenv"):
        load_dotenv(root / name, override=False)


def configure(app: Flask, config: Mapping[str, Any]) -> None:
    """Fill ``app.config`` from the environment; what ``config`` holds comes first.

    :raises ConfigurationError: which key is missing or contradictory.
    """
    app.config.from_mapping(
        SECRET_KEY=os.environ.get("SECRET_KEY") or None,
        RATELIMIT_STORAGE_URI=os.environ.get("RATELIMIT_STORAGE_URI") or "memory://",
        TRUSTED_PROXIES=_count_of("TRUSTED_PROXIES"),
        FERRY_SEED="app.models.testdata:seed",
        FERRY_ADAPTERS="app.classic",
        FERRY_PROFILES="app.profiles",
    )
    app.config.from_mapping(config)
    named = get_environment(app.config)
    if not app.config.get("SQLALCHEMY_DATABASE_URI"):
        url = database_url(os.environ)
        if url is None and named == "production":
            raise ConfigurationError(
                "No database is configured, and this is production. Set DATABASE_URL, or "
                f"{', '.join(SERVER_KEYS)} together."
            )
        # Not as text: SQLAlchemy 2.0.16 would read another password out of its own spelling of one with a %.
        app.config["SQLALCHEMY_DATABASE_URI"] = DEFAULT_DATABASE if url is None else url
    app.config.setdefault("SQLALCHEMY_ENGINE_OPTIONS", engine_options(app))


def engine_options(app: Flask) -> dict[str, Any]:
    """Options of the engine: on a server a connection is tried before it is used, and encrypted off this machine.

    :raises ConfigurationError: the file of certificates, ``FERRY_TLS_CA``, cannot be read.
    """
    url = make_url(app.config["SQLALCHEMY_DATABASE_URI"])
    if url.get_backend_name() == "sqlite":
        return {}
    if _is_nearby(url):
        return {"pool_pre_ping": True}
    named = os.environ.get("FLASK_FERRY_TLS_CA") or app.config.get("FERRY_TLS_CA")
    ca = Path(app.instance_path) / Path(named).expanduser() if named else None
    if url.get_backend_name() == "postgresql":
        return {
            "pool_pre_ping": True,
            "connect_args": {"sslmode": "verify-full", "sslrootcert": str(ca) if ca else "system"},
        }
    try:
        return {"pool_pre_ping": True, "connect_args": {"ssl": ssl.create_default_context(cafile=ca)}}
    except OSError as error:
        raise ConfigurationError(f"FERRY_TLS_CA: {ca} cannot be read: {error.strerror or error}.") from None


def _is_nearby(url: URL) -> bool:
    """Whether a database is a file, or on this machine."""
    return url.get_backend_name() == "sqlite" or (url.host or "") in LOOPBACK


def database_url(environ: Mapping[str, str]) -> URL | None:
    """Return the database that the environment names, with the driver this app has; None when it names none.

    :raises ConfigurationError: ``DATABASE_URL`` is no URL, or only some of the ``DB_...`` keys are set.
    """
    if text := environ.get("DATABASE_URL"):
        return _with_driver(text)
    found = {key: environ[key] for key in SERVER_KEYS if environ.get(key)}
    if not found:
        return None
    if missing := [key for key in SERVER_KEYS if key not in found]:
        raise ConfigurationError(
            f"{', '.join(found)} is set but {', '.join(missing)} is not. Set all of "
            f"{', '.join(SERVER_KEYS)}, or DATABASE_URL, or none."
        )
    return URL.create(
        DRIVERS["mysql"],
        username=found["DB_USERNAME"],
        password=found["DB_PASSWORD"],
        host=found["DB_ENDPOINT"],
        port=_port(environ.get("DB_PORT") or "3306"),
        database=found["DB_NAME"],
    )


def _with_driver(text: str) -> URL:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Neither the text nor the cause: both hold the password.
        raise ConfigurationError(
            "DATABASE_URL is no database URL. Its form is server://user:password@host/database; "
            "characters such as @ : / in a password are written as %40 %3A %2F."
        ) from None
    return url.set(drivername=DRIVERS.get(url.drivername, url.drivername))


def _port(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise ConfigurationError(f"DB_PORT is {text!r}: not a number.") from None


def _count_of(key: str) -> int:
    text = os.environ.get(key) or "0"
    if not text.isascii() or not text.isdecimal() or len(text) > 2:
        raise ConfigurationError(f"{key} is {text!r}: not a number from 0 to 99.")
    return int(text)


def get_environment(config: Mapping[str, Any]) -> str | None:
    """Return ``FERRY_ENVIRONMENT``: from ``FLASK_FERRY_ENVIRONMENT``, else from the app's configuration."""
    name = os.environ.get("FLASK_FERRY_ENVIRONMENT") or config.get("FERRY_ENVIRONMENT")
    if name and name not in ENVIRONMENTS:
        raise ConfigurationError(f"FERRY_ENVIRONMENT is {name!r}: not one of {', '.join(ENVIRONMENTS)}.")
    return name or None


def environment(config: Mapping[str, Any]) -> str:
    """Return the environment's name; unset, SQLite and servers on loopback are ``development``."""
    if name := get_environment(config):
        return name
    return "development" if _is_nearby(make_url(config["SQLALCHEMY_DATABASE_URI"])) else "production"


def secret_key(app: Flask) -> str | None:
    """Return the key that signs tokens, or None when there is none and the environment asks for one.

    In development a random one is made when it is first needed, and kept in the instance folder (0600).
    """
    if key := app.config.get("SECRET_KEY"):
        return str(key)
    if environment(app.config) != "development":
        return None
    app.config["SECRET_KEY"] = _keep_key(Path(app.instance_path) / "secret_key")
    return str(app.config["SECRET_KEY"])


def _keep_key(path: Path) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
        file.write(secrets.token_hex(32))
    try:
        os.link(beside, path)  # whole or not at all, and another process's key is not replaced
    except FileExistsError:
        pass
    finally:
        beside.unlink()
    return path.read_text(encoding="ascii")
