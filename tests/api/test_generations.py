"""A token ends with the generation of the database that it was issued for, and is never somebody else's."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
import requests
import sqlalchemy as sa
from flask import Flask

from app.api.auth import COOKIE
from app.commands.generation import generation_mark
from app.dialects import dialect_for
from app.extensions import db
from app.models import User
from tests.support.local import Local
from tests.support.places import ServerSite
from tests.support.serving import Server

from .sites import KEY, SERVERS, Deploy, Serve, run, status_with, token_of


def swap_users(site: ServerSite, one: int, other: int) -> None:
    """Let two users of a SQLite file change their numbers."""
    columns = ("uid", "password", "role")
    rows = [site.query(f"SELECT {', '.join(columns)} FROM users WHERE id = ?", key)[0] for key in (one, other)]
    site.execute("UPDATE users SET uid = 'on the way' WHERE id = ?", one)
    for key, row in ((other, rows[0]), (one, rows[1])):
        site.execute(f"UPDATE users SET {' = ?, '.join(columns)} = ? WHERE id = ?", *row, key)


@pytest.mark.parametrize("server", SERVERS)
def test_every_way_to_another_generation_ends_every_token(deploy: Deploy, serve: Serve, server: str) -> None:
    site, source = deploy(server), deploy("sqlite")
    app = serve(site)
    former: list[str] = []

    def ends(*command: str) -> None:
        admin, student = (token_of(app.test_client(), uid) for uid in ("toby", "niko"))
        assert [status_with(app, token, "/ferry/manifest") for token in (admin, student)] == [200, 403]
        run(site, *command)
        former.extend((admin, student))
        for path in ("/api/user", "/api/export/users", "/ferry/export"):
            assert {status_with(app, token, path) for token in former} == {401}, (command, path)
        assert status_with(app, token_of(app.test_client()), "/ferry/manifest") == 200

    run(site, "db-backup")
    ends("db-init", "--yes")
    ends("db-restore", "--yes")
    ends("db-migrate-data", str(source.database), "--rerun", "--yes")
    # What is live again was live before, and the tokens of that time do not come back.
    ends("db-rollback", "--yes")


@pytest.mark.parametrize("server", SERVERS)
def test_a_row_number_that_becomes_an_administrator_s_opens_nothing(deploy: Deploy, serve: Serve, server: str) -> None:
    site, source = deploy(server), deploy("sqlite")
    swap_users(source, 1, 3)
    app = serve(site)
    student = token_of(app.test_client(), "niko")
    run(site, "db-migrate-data", str(source.database), "--yes")
    with app.app_context():
        assert db.session.get_one(User, 3).uid == "toby"
    assert status_with(app, student, "/api/export/users") == 401
    assert status_with(app, student) == 401
    assert status_with(app, token_of(app.test_client(), "niko"), "/api/export/users") == 403
    assert status_with(app, token_of(app.test_client(), "toby"), "/api/export/users") == 200


def test_without_any_cut_over_a_row_number_is_nobody_else_s_either(app: Flask) -> None:
    """Somebody restored the file by hand: the generation mark is the same, or there is none."""
    student = token_of(app.test_client(), "niko")
    with app.app_context():
        for key, uid, role in ((3, "on the way", ""), (1, "niko", "Student"), (3, "toby", "Admin")):
            db.session.execute(sa.update(User).where(User.id == key).values(uid=uid, role=role))
        db.session.commit()
    assert status_with(app, student) == 401


@pytest.mark.parametrize("change", ["uid", "password", "locked", "deleted", "role"])
def test_what_ends_one_token(app: Flask, change: str) -> None:
    niko, toby = (token_of(app.test_client(), uid) for uid in ("niko", "toby"))
    with app.app_context():
        user = db.session.get_one(User, 3)
        match change:
            case "uid":
                user.uid = "niko2"
            case "password":
                user.set_password("123Niko!")  # another salt: a change all the same
            case "locked":
                user.lock()
            case "role":
                user.role = "Admin"
            case "deleted":
                db.session.execute(sa.text("PRAGMA foreign_keys=OFF"))
                db.session.execute(sa.delete(User).where(User.id == 3))
        db.session.commit()
    # A role is read anew in each request.
    assert status_with(app, niko, "/api/export/users") == (200 if change == "role" else 401)
    assert status_with(app, toby) == 200


def test_another_signing_key_ends_every_token(app: Flask) -> None:
    token = token_of(app.test_client())
    app.config["SECRET_KEY"] = "another-key-0123456789abcdefghijklmn"
    assert status_with(app, token) == 401


def test_neither_hash_nor_mark_stands_in_a_token(deploy: Deploy, serve: Serve) -> None:
    import jwt

    site = deploy("sqlite")
    app = serve(site)
    claims = jwt.decode(token_of(app.test_client()), KEY, ["HS256"])
    assert set(claims) == {"sub", "bound", "iat", "exp"}
    mark = dialect_for(site.url).mark(site.url)
    ((password,),) = site.query("SELECT password FROM users WHERE uid = 'toby'")
    assert len(mark) == 8
    assert mark not in repr(claims)
    assert password.rpartition("$")[2] not in repr(claims)


@pytest.mark.parametrize("server", SERVERS)
def test_the_mark_is_seen_over_the_app_s_own_connection(deploy: Deploy, server: str) -> None:
    site = deploy(server)
    engine = sa.create_engine(site.url)
    dialect = dialect_for(site.url, directory=site.directory)
    seen = []
    # One connection of a pool, from before the cut-over to after it.
    with closing(engine.connect()) as connection:
        for _ in range(2):
            seen.append(generation_mark(connection))
            assert seen[-1] == dialect.mark(site.url)
            connection.rollback()
            run(site, "db-init", "--yes")
    engine.dispose()
    assert len({*seen, "", dialect.mark(site.url)}) == 4


def test_a_server_that_goes_on_through_a_cut_over(tmp_path: Path) -> None:
    """Real processes: the app under gunicorn, the commands beside it."""
    here, source = (Local(tmp_path / name) for name in ("here", "source"))
    for site in (here, source):
        site.directory.mkdir()
        site.ok("db-init", "--yes")
    environ = here.env(SECRET_KEY=KEY, FLASK_INSTANCE_PATH=str(here.directory), PYTHONWARNINGS="")
    with Server("app:create_app()", environ, tmp_path / "log") as server, requests.Session() as session:

        def logged_in() -> str:
            given = {"uid": "toby", "password": "123Toby!"}
            answer = session.post(f"{server.url}/api/authenticate", json=given, timeout=10)
            assert answer.headers["Cache-Control"] == "no-store"
            return answer.cookies[COOKIE]

        def status(token: str) -> int:
            asked = {"Authorization": f"Bearer {token}"}
            return requests.get(f"{server.url}/api/export/users", headers=asked, timeout=10).status_code

        first = logged_in()
        assert status(first) == 200
        assert here.flask("db-migrate-data", str(source.database), "--yes").status == 0
        assert status(first) == 401
        second = logged_in()
        assert status(second) == 200
        assert here.flask("db-rollback", "--yes").status == 0
        assert (status(first), status(second), status(logged_in())) == (401, 401, 200)
