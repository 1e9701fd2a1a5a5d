"""The reference app on a database with the test data."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from werkzeug.security import generate_password_hash

from app import create_app
from app.api import login as login_module
from app.extensions import db, limiter
from tests.support.places import ServerSite, new_name

from .sites import CHEAP, Deploy, Serve, deploy_site, seed_cheaply, serve_site


@pytest.fixture(autouse=True)
def _no_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No variable of the developer's shell, no file of the checkout."""
    for name in os.environ:
        if name.startswith(("FLASK_", "DB_", "DATABASE_", "SECRET_KEY")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("FLASK_SKIP_DOTENV", "1")
    monkeypatch.setenv("FLASK_INSTANCE_PATH", str(tmp_path / "instance"))


@pytest.fixture
def cheap_dummy(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is checked where there is no account takes as little time as the hashes of :func:`seed_cheaply`."""
    monkeypatch.setattr(login_module, "DUMMY_HASH", generate_password_hash("nobody knows", CHEAP))


@pytest.fixture(scope="session")
def seeded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A database with the test data."""
    path = tmp_path_factory.mktemp("seeded") / "app.db"
    with create_app({"SQLALCHEMY_DATABASE_URI": f"sqlite:///{path}"}).app_context():
        db.create_all()
        seed_cheaply()
    return path


@pytest.fixture
def app(seeded: Path, tmp_path: Path) -> Iterator[Flask]:
    """The app on a copy of it."""
    path = shutil.copy(seeded, tmp_path / "app.db")
    app = create_app({"SQLALCHEMY_DATABASE_URI": f"sqlite:///{path}"})
    limiter.reset()
    yield app
    limiter.reset()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    """Somebody who is not logged in."""
    return app.test_client()


@pytest.fixture
def login(app: Flask) -> Callable[[str], FlaskClient]:
    """Return a function that gives a client with that user's cookie."""

    def logged_in(uid: str) -> FlaskClient:
        client = app.test_client()
        answer = client.post("/api/authenticate", json={"uid": uid, "password": f"123{uid.title()}!"})
        assert answer.status_code == 200, answer.text
        return client

    return logged_in


@pytest.fixture
def deploy(tmp_path: Path, request: pytest.FixtureRequest) -> Deploy:
    """A deployed app on a server, with the test data: its database was cut over once."""

    def deployed(server: str) -> ServerSite:
        directory = tmp_path / f"deployed-{len(list(tmp_path.iterdir()))}"
        directory.mkdir()
        return deploy_site(directory, None if server == "sqlite" else request.getfixturevalue(server).url(new_name()))

    return deployed


@pytest.fixture
def serve() -> Iterator[Serve]:
    """Gives the app in this process, on a site's database."""
    apps: list[Flask] = []

    def served(site: ServerSite) -> Flask:
        apps.append(serve_site(site))
        return apps[-1]

    yield served
    for app in apps:
        with app.app_context():
            db.engine.dispose()
