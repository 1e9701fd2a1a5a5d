"""Who is calling: signed, expiring tokens in a cookie or an ``Authorization: Bearer`` header."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import jwt
from flask import abort, current_app, jsonify, request

from ..config import secret_key
from ..extensions import db
from ..models import User

COOKIE = "jwt_python_flask"
LIFETIME = timedelta(hours=12)
ALGORITHM = "HS256"


def refuse(status: int, message: str) -> NoReturn:
    """End the request with a status and a JSON message."""
    answer = jsonify(message=message)
    answer.status_code = status
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    abort(answer)


def issue_token(user: User) -> str:
    """Return a token that names the user, valid for LIFETIME."""
    now = datetime.now(UTC)
    return jwt.encode({"sub": str(user.id), "iat": now, "exp": now + LIFETIME}, _key(), ALGORITHM)


def require_user() -> User:
    """Return the calling user; end the request with 401 when there is none."""
    user = _caller()
    if user is None:
        refuse(401, "Log in first: the token is missing, wrong or expired.")
    return user


def require_admin() -> None:
    """End the request with 401 for nobody, with 403 for somebody who is not an administrator."""
    if not require_user().is_admin:
        refuse(403, "Administrators only.")


def _caller() -> User | None:
    claims = _claims(_token())
    if claims is None:
        return None
    user = db.session.get(User, int(claims["sub"]))
    return None if user is None or user.is_locked else user


def _token() -> str | None:
    bearer = request.authorization
    if bearer is not None and bearer.type == "bearer":
        return bearer.token
    return request.cookies.get(COOKIE)


def _claims(token: str | None) -> dict[str, Any] | None:
    if not token:
        return None
    try:
        return jwt.decode(token, _key(), [ALGORITHM], options={"require": ["exp", "sub"]})
    except jwt.InvalidTokenError:
        return None


def _key() -> str:
    key = secret_key(current_app)
    if key is None:
        current_app.logger.error("SECRET_KEY is not set; outside development nobody can log in without it.")
        refuse(503, "This server has no key to sign tokens with.")
    return key
