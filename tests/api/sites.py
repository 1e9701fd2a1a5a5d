"""The reference app on a database of each server, for clients that come with cookies and an address."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import sqlalchemy as sa
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import URL
from werkzeug.security import generate_password_hash
from werkzeug.test import TestResponse

from app import create_app
from app.api.auth import COOKIE
from app.extensions import db, limiter
from app.models import User
from app.models.testdata import seed
from tests.support.places import ServerSite

GOOD = {"uid": "toby", "password": "123Toby!"}


Login = Callable[[str], FlaskClient]


KEYS = {
    "sections": "id name abbreviation",
    "users": "id uid name email sid role pfp class kasm_server_needed grade_data ap_exam password school "
    "game_profile sections personas",
    "topics": "id pagePath pageKey pageTitle pageDescription displayName color icon allowAnonymous moderated "
    "maxPostsPerUser isActive settings createdAt updatedAt postCount",
    "microblogs": "id userId userName userUid content topicId topicKey topicPath timestamp updatedAt "
    "characterCount replies reactions hashtags",
    "posts": "id userId userUid studentName content gradeReceived pageUrl pageTitle timestamp updatedAt parentId "
    "replyCount replies",
    "classrooms": "id name school_name owner_teacher_id ownerUid status created_at students studentUids",
    "feedback": "id title body type github_username github_issue_url created_at",
    "study": "id user_id userUid topic subtopic studied timestamp",
    "personas": "id alias category bio_map empathy_map",
    "user_personas": "userUid personaAlias weight selectedAt",
}

KEY = "only-for-these-tests-0123456789abcdef"
SERVERS = ("sqlite", "mariadb", "postgresql")
Deploy = Callable[[str], ServerSite]
Serve = Callable[[ServerSite], Flask]


@dataclass(frozen=True)
class Guesser:
    """Somebody who tries passwords, each time as a client without cookies."""

    app: Flask
    address: str = "192.0.2.1"

    def guess(self, uid: object, password: object = "guess") -> int:
        """Try once; the status of the answer."""
        client = self.app.test_client()
        return log_in(client, uid, password, self.address).status_code

    def guesses(self, *uids: object) -> list[int]:
        return [self.guess(uid) for uid in uids]


CHEAP = "pbkdf2:sha256:1"


def seed_cheaply() -> None:
    """The test data, with hashes of the same passwords that take no time to check: there are thousands of guesses."""
    seed()
    for user in db.session.scalars(sa.select(User).where(User.password.startswith("scrypt"))):
        user.password = generate_password_hash(f"123{user.uid.title()}!", CHEAP)
    db.session.commit()


def log_in(client: FlaskClient, uid: object, password: object, address: str = "192.0.2.9") -> TestResponse:
    return client.post(
        "/api/authenticate", json={"uid": uid, "password": password}, environ_base={"REMOTE_ADDR": address}
    )


def token_of(client: FlaskClient, uid: str = "toby", password: str = "") -> str:
    """Log in and return the token."""
    # The fixed windows go on; how often somebody may fail is not what is tested here.
    limiter.reset()
    answer = log_in(client, uid, password or f"123{uid.title()}!")
    assert answer.status_code == 200, answer.text
    cookie = client.get_cookie(COOKIE)
    assert cookie
    return cookie.value


def status_with(app: Flask, token: str, path: str = "/api/user") -> int:
    """How a request with a token and nothing else is answered."""
    return app.test_client().get(path, headers={"Authorization": f"Bearer {token}"}).status_code


def run(site: ServerSite, *arguments: str) -> None:
    done = site.flask(*arguments)
    assert done.status == 0, done.stderr + done.stdout


def deploy_site(directory: Path, url: URL | None = None) -> ServerSite:
    """Deploy the app with its test data, on SQLite where no URL is given; its database was cut over once."""
    site = ServerSite(directory, url=url or URL.create("sqlite", database=str(directory / "app.db")))
    run(site, "db-init", "--yes")
    return site


def serve_site(site: ServerSite) -> Flask:
    """The app in this process, on a site's database; whoever asks for it disposes of its engine."""
    return create_app({"SQLALCHEMY_DATABASE_URI": site.url, "SECRET_KEY": KEY})
