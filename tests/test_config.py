"""Where the reference app's configuration comes from."""

from __future__ import annotations

import os
import ssl
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from app import create_app
from app.config import ConfigurationError, database_url, environment, load_environment, secret_key
from app.extensions import db

SERVER = {"DB_ENDPOINT": "db.example", "DB_USERNAME": "ferry", "DB_PASSWORD": "p", "DB_NAME": "school"}
ODD_PASSWORD = "1.10 @:/?#[]%40+&=\\'\"ü😀"
ROOT = Path(__file__).parent.parent


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the developer's shell, no file of the checkout."""
    for name in os.environ:
        if name.startswith(("FLASK_", "DB_", "DATABASE_", "SECRET_KEY", "FERRY_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FLASK_SKIP_DOTENV", "1")
    monkeypatch.setenv("FLASK_INSTANCE_PATH", str(tmp_path / "instance"))


def flask(*args: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run ``flask`` in a process of its own."""
    command = [sys.executable, "-m", "flask", "--app", "app", *args]
    return subprocess.run(
        command, cwd=ROOT, env=os.environ | environ, capture_output=True, text=True, timeout=60, check=False
    )


def options(monkeypatch: pytest.MonkeyPatch, url: str, **environ: str) -> dict[str, Any]:
    for name, value in {"DATABASE_URL": url, **environ}.items():
        monkeypatch.setenv(name, value)
    found: dict[str, Any] = create_app().config["SQLALCHEMY_ENGINE_OPTIONS"]
    return found


def test_connections_off_this_machine_are_encrypted_and_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    mysql = options(monkeypatch, "mysql://me:p@db.example/school")["connect_args"]["ssl"]
    assert mysql.check_hostname
    assert mysql.verify_mode is ssl.CERT_REQUIRED
    found = options(monkeypatch, "postgresql://me:p@db.example/school")["connect_args"]
    assert found == {"sslmode": "verify-full", "sslrootcert": "system"}
    found = options(monkeypatch, "postgresql://me:p@db.example/school", FLASK_FERRY_TLS_CA="/ca.pem")["connect_args"]
    assert found == {"sslmode": "verify-full", "sslrootcert": "/ca.pem"}
    with pytest.raises(ConfigurationError, match=r"FERRY_TLS_CA: /ca\.pem"):
        options(monkeypatch, "mysql://me:p@db.example/school")


def test_on_this_machine_they_need_not_be(monkeypatch: pytest.MonkeyPatch) -> None:
    assert options(monkeypatch, "mysql://me:p@127.0.0.1/school") == {"pool_pre_ping": True}
    assert options(monkeypatch, "sqlite:///x.db") == {}


@pytest.mark.parametrize(
    ("given", "driver"),
    [
        ("mysql", "mysql+pymysql"),
        ("mariadb", "mariadb+pymysql"),
        ("postgres", "postgresql+psycopg"),
        ("postgresql", "postgresql+psycopg"),
        ("mysql+mysqldb", "mysql+mysqldb"),
    ],
)
def test_drivers(given: str, driver: str) -> None:
    url = database_url({"DATABASE_URL": f"{given}://me:p%40ss@host:1234/db?charset=utf8mb4"})
    assert url is not None
    assert url.drivername == driver
    assert (url.password, url.host, url.port, url.database) == ("p@ss", "host", 1234, "db")
    assert url.query == {"charset": "utf8mb4"}


def test_server_keys_take_any_password() -> None:
    url = database_url(SERVER | {"DB_PASSWORD": ODD_PASSWORD})
    assert url is not None
    again = make_url(url.render_as_string(hide_password=False))
    assert (again.password, again.port, again.drivername) == (ODD_PASSWORD, 3306, "mysql+pymysql")


def test_the_app_uses_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for key, value in (SERVER | {"DB_PASSWORD": ODD_PASSWORD, "DB_PORT": "3307"}).items():
        monkeypatch.setenv(key, value)
    app = create_app()
    with app.app_context():
        assert (db.engine.url.password, db.engine.url.port) == (ODD_PASSWORD, 3307)
        assert db.engine.url.host == "db.example"


@pytest.mark.parametrize("missing", SERVER)
def test_some_of_the_server_keys(missing: str) -> None:
    with pytest.raises(ConfigurationError, match=f"but {missing} is not"):
        database_url({key: value for key, value in SERVER.items() if key != missing} | {missing: ""})


def test_a_port_that_is_none() -> None:
    with pytest.raises(ConfigurationError, match="DB_PORT"):
        database_url(SERVER | {"DB_PORT": "x"})


@pytest.mark.parametrize("text", ["nonsense", "mysql://me:secret@host:port/db", "://"])
def test_a_url_that_is_none_is_not_repeated(text: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        database_url({"DATABASE_URL": text})
    assert "DATABASE_URL" in caught.value.message
    assert "secret" not in caught.value.message
    assert caught.value.__cause__ is None


def test_sqlite_in_the_instance_folder_without_configuration(tmp_path: Path) -> None:
    app = create_app()
    assert app.config["SQLALCHEMY_DATABASE_URI"] == "sqlite:///app.db"
    with app.app_context():
        assert db.engine.url.database == str(tmp_path / "instance" / "app.db")
    assert (app.config["FERRY_SEED"], app.config["FERRY_ADAPTERS"]) == ("app.models.testdata:seed", "app.classic")


def test_production_needs_a_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_FERRY_ENVIRONMENT", "production")
    with pytest.raises(ConfigurationError, match="DATABASE_URL"):
        create_app()


def test_what_is_passed_comes_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("DATABASE_URL", "mysql://nobody@nowhere/none")
    app = create_app({"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'x.db'}", "FERRY_SEED": None})
    assert app.config["SQLALCHEMY_DATABASE_URI"].endswith("x.db")
    assert app.config["FERRY_SEED"] is None


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"SQLALCHEMY_DATABASE_URI": "sqlite:///x"}, "development"),
        ({"SQLALCHEMY_DATABASE_URI": "mysql+pymysql://me@127.0.0.1/db"}, "development"),
        ({"SQLALCHEMY_DATABASE_URI": "mysql+pymysql://me@db.example/db"}, "production"),
        ({"SQLALCHEMY_DATABASE_URI": "mysql+pymysql://me@db.example/db", "FERRY_ENVIRONMENT": "staging"}, "staging"),
    ],
)
def test_environment(config: dict[str, str], name: str) -> None:
    assert environment(config) == name


def test_an_unknown_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FLASK_FERRY_ENVIRONMENT", "prod")
    with pytest.raises(ConfigurationError, match="'prod'"):
        create_app()


def test_secret_key(monkeypatch: pytest.MonkeyPatch) -> None:
    development = create_app()
    key = secret_key(development)
    assert key
    assert secret_key(create_app()) == key
    monkeypatch.setenv("SECRET_KEY", "given")
    assert secret_key(create_app()) == "given"
    monkeypatch.delenv("SECRET_KEY")
    assert secret_key(create_app({"FERRY_ENVIRONMENT": "staging"})) is None


def test_making_the_app_writes_nothing(tmp_path: Path) -> None:
    create_app({"SQLALCHEMY_DATABASE_URI": f"sqlite:///{tmp_path / 'x.db'}"})
    assert list(tmp_path.iterdir()) == []


def test_env_files_override_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DB_NAME=secret\nFLASK_FERRY_KEEP=1.10\nDB_PORT=1\n")
    (tmp_path / ".flaskenv").write_text("DB_NAME=public\nFLASK_FERRY_FALLBACK=never\n")
    monkeypatch.setenv("DB_PORT", "3306")
    for key in ("DB_NAME", "FLASK_FERRY_KEEP", "FLASK_FERRY_FALLBACK"):
        monkeypatch.setenv(key, "")  # so that it is taken back after the test
        monkeypatch.delenv(key)
    load_environment(tmp_path)
    assert "DB_NAME" not in os.environ
    monkeypatch.delenv("FLASK_SKIP_DOTENV")
    load_environment(tmp_path)
    found = [os.environ[key] for key in ("DB_NAME", "FLASK_FERRY_KEEP", "FLASK_FERRY_FALLBACK", "DB_PORT")]
    assert found == ["secret", "1.10", "never", "3306"]


def test_foreign_keys_are_on_for_the_app_only(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'x.db'}"
    app = create_app({"SQLALCHEMY_DATABASE_URI": url})
    pragma = sa.text("PRAGMA foreign_keys")
    with app.app_context():
        assert db.session.execute(pragma).scalar() == 1
    with sa.create_engine(url).connect() as other:
        assert other.execute(pragma).scalar() == 0


def test_flask_ends_with_status_2_and_one_clear_message() -> None:
    result = flask("db", "current", DB_ENDPOINT="db.example", DB_USERNAME="me", DB_NAME="x")
    assert result.returncode == 2
    assert "DB_PASSWORD is not" in result.stderr
    assert "Traceback" not in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1


def test_a_missing_driver_is_named() -> None:
    result = flask("db", "current", DATABASE_URL="oracle+nosuchdriver://me:secret@host/db")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "secret" not in result.stderr
