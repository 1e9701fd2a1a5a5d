"""Tokens: the cookie, the header, and all that is refused."""

from __future__ import annotations

import stat
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest
from flask import Flask
from flask.testing import FlaskClient

from app.api.auth import COOKIE, LIFETIME
from app.config import secret_key

from .sites import GOOD


def test_the_cookie(client: FlaskClient) -> None:
    cookie = client.post("/api/authenticate", json=GOOD).headers["Set-Cookie"]
    parts = cookie.split("; ")
    assert parts[0].startswith(f"{COOKIE}=ey")
    assert {"HttpOnly", "Path=/", "SameSite=Lax", f"Max-Age={int(LIFETIME.total_seconds())}"} <= {*parts}
    assert "Secure" not in parts


def test_the_cookie_is_secure_outside_development(app: Flask, client: FlaskClient) -> None:
    app.config.update(FERRY_ENVIRONMENT="staging", SECRET_KEY="k" * 32)
    cookie = client.post("/api/authenticate", json=GOOD).headers["Set-Cookie"]
    assert "Secure" in cookie.split("; ")


def test_the_key_is_kept_for_its_owner_only(app: Flask, client: FlaskClient) -> None:
    client.post("/api/authenticate", json=GOOD)
    path = Path(app.instance_path) / "secret_key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert path.read_text() == app.config["SECRET_KEY"]
    assert [child.name for child in path.parent.iterdir()] == ["secret_key"]


def test_bearer(app: Flask, client: FlaskClient) -> None:
    token = client.post("/api/authenticate", json=GOOD).headers["Set-Cookie"].split("=", 1)[1].split(";")[0]
    fresh = app.test_client()
    assert fresh.get("/api/user", headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert fresh.get("/api/user", headers={"Authorization": f"Bearer {token}x"}).status_code == 401
    assert fresh.get("/api/user", headers={"Authorization": f"Basic {token}"}).status_code == 401


@pytest.mark.parametrize(
    "claims",
    [
        {"sub": "1", "exp": datetime.now(UTC) - timedelta(seconds=1)},
        {"sub": "1"},
        {"exp": datetime.now(UTC) + LIFETIME},
        {"sub": "999", "exp": datetime.now(UTC) + LIFETIME},
        {"sub": "5", "exp": datetime.now(UTC) + LIFETIME},
    ],
    ids=["expired", "for ever", "nobody", "gone", "locked"],
)
def test_tokens_that_are_refused(app: Flask, client: FlaskClient, claims: dict[str, Any]) -> None:
    token = jwt.encode(claims, secret_key(app) or "", "HS256")
    answer = client.get("/api/user", headers={"Authorization": f"Bearer {token}"})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"] == "Bearer"


def test_a_token_of_another_key_or_none_is_refused(client: FlaskClient) -> None:
    claims = {"sub": "1", "exp": datetime.now(UTC) + LIFETIME}
    for token in (jwt.encode(claims, "k" * 32, "HS256"), jwt.encode(claims, None, "none"), "", "ü"):
        assert client.get("/api/user", headers={"Authorization": f"Bearer {token}"}).status_code == 401
