"""A deployment that serves the export protocol, started once, and apps that migrate from it."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient

from app import create_app
from app.extensions import limiter
from tests.support.deployment.data import Shape, make_database
from tests.support.local import Local
from tests.support.serving import Server

SHAPE = Shape(users=120, posts=400, microblogs=60, study=20, leaderboard=20, elementary=20)
USERS = {"toby": "123Toby!", "niko": "123Niko!"}
SECRET_KEY = "only-for-these-tests-0123456789abcdef"


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a deployment at head: classic data, migrated, and the users of the seed who can log in."""
    directory = tmp_path_factory.mktemp("served")
    make_database(directory / "classic.db", SHAPE)
    Local(directory).ok("db-migrate-data", str(directory / "classic.db"), "--yes")
    seeded = Local(tmp_path_factory.mktemp("seeded"))
    seeded.ok("db-init")
    site = Local(directory)
    for uid in USERS:
        ((password, role),) = seeded.query("SELECT password, role FROM users WHERE uid = ?", uid)
        site.write("DELETE FROM users WHERE uid = ? AND id NOT IN (SELECT user_id FROM posts)", uid)
        site.write(
            "INSERT INTO users (uid, name, email, password, role) SELECT ?, ?, 'x@example.test', ?, ? "
            "WHERE NOT EXISTS (SELECT 1 FROM users WHERE uid = ?)",
            *(uid, uid, password, role, uid),
        )
        site.write("UPDATE users SET password = ?, role = ? WHERE uid = ?", password, role, uid)
    return directory


@pytest.fixture(scope="session")
def _server(tmp_path_factory: pytest.TempPathFactory, served: Path) -> Iterator[Server]:
    log = tmp_path_factory.mktemp("log") / "server.log"
    environ = Local(served).env(SECRET_KEY=SECRET_KEY, FLASK_INSTANCE_PATH=str(served), PYTHONWARNINGS="")
    with Server("app:create_app()", environ, log) as server:
        yield server


@pytest.fixture
def server(_server: Server) -> Server:
    """The deployment as a real server."""
    return _server


@pytest.fixture
def target(tmp_path: Path, server: Server) -> Local:
    """A newer app without a database, whose source is the deployment."""
    directory = tmp_path / "site"
    directory.mkdir()
    return Local(directory, environ=source(server.url))


def source(url: str, uid: str = "toby", password: str = USERS["toby"]) -> dict[str, str]:
    return {
        "FLASK_FERRY_SOURCE": url,
        "FLASK_FERRY_SOURCE_UID": uid,
        "FLASK_FERRY_SOURCE_PASSWORD": password,
    }


@pytest.fixture
def app(served: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Flask:
    """The deployment's app in this process, on a copy of its database."""
    shutil.copyfile(served / "app.db", tmp_path / "app.db")
    for name, value in Local(tmp_path).overrides().items():
        if value is None:
            monkeypatch.delenv(name, raising=False)
        else:
            monkeypatch.setenv(name, value)
    limiter.reset()
    return create_app({"SECRET_KEY": SECRET_KEY})


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Somebody who is not logged in."""
    return app.test_client()


@pytest.fixture
def logged_in(app: Flask) -> Callable[[str], FlaskClient]:
    """A client with that user's cookie."""

    def log_in(uid: str) -> FlaskClient:
        client = app.test_client()
        answer = client.post("/api/authenticate", json={"uid": uid, "password": USERS[uid]})
        assert answer.status_code == 200, answer.text
        return client

    return log_in


@pytest.fixture
def admin(logged_in: Callable[[str], FlaskClient]) -> FlaskClient:
    return logged_in("toby")
