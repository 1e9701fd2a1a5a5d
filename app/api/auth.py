"""Who is calling: signed, expiring tokens in a cookie or an ``Authorization: Bearer`` header.

A token is bound to what it was issued for: the user's uid, his password as it is stored, and the generation of the
database that is live. A row number alone would be somebody else's after a migration. So a cut-over, a rollback, a
restore, ``flask db-init`` and a changed password end every token, at once and in every process: nothing is cached.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any, NoReturn

import jwt
import sqlalchemy as sa
from flask import Response, abort, current_app, jsonify, request

from ..commands.generation import generation_mark
from ..config import environment, secret_key
from ..extensions import db
from ..models import User

COOKIE = "jwt_python_flask"
LIFETIME = timedelta(hours=12)
ALGORITHM = "HS256"
# Of a number that every driver takes.
MOST_DIGITS = 18


def refuse(status: int, message: str, headers: Mapping[str, str] | None = None) -> NoReturn:
    """End the request with a status and a JSON message."""
    answer = jsonify(message=message)
    answer.status_code = status
    answer.headers.update(headers or {})
    if status == 401:
        answer.headers["WWW-Authenticate"] = "Bearer"
    abort(answer)


def never_stored(answer: Response) -> Response:
    """Tell browsers and proxies to keep no copy: the answers hold personal data, hashes or tokens."""
    answer.headers["Cache-Control"] = "no-store"
    return answer


def set_cookie(answer: Response, name: str, value: str, lifetime: timedelta, *, path: str = "/") -> None:
    """Set a cookie that no script reads, no other site sends, and outside development no plain HTTP carries."""
    secure = environment(current_app.config) != "development"
    answer.set_cookie(name, value, max_age=lifetime, path=path, httponly=True, samesite="Lax", secure=secure)


def issue_token(user: User) -> str:
    """Return a token for the user as he is now, valid for LIFETIME."""
    now = datetime.now(UTC)
    claims = {"sub": str(user.id), "bound": _digest_bound_to(user), "iat": now, "exp": now + LIFETIME}
    return jwt.encode(claims, signing_key(), ALGORITHM)


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


def signing_key() -> str:
    """Return the key that signs tokens; end the request with 503 when there is none."""
    key = secret_key(current_app)
    if key is None:
        current_app.logger.error("SECRET_KEY is not set; outside development nobody can log in without it.")
        refuse(503, "This server has no key to sign tokens with.")
    return key


def _caller() -> User | None:
    claims = _claims(_token())
    row = claims["sub"] if claims else ""
    if claims is None or not row.isascii() or not row.isdecimal() or len(row) > MOST_DIGITS:
        return None
    try:
        user = db.session.get(User, int(row))
    except sa.exc.DataError:  # too large for the server's column
        db.session.rollback()
        return None
    if user is None or user.is_locked:
        return None
    return (
        user
        if hmac.compare_digest(str(claims["bound"]).encode(errors="replace"), _digest_bound_to(user).encode())
        else None
    )


def _digest_bound_to(user: User) -> str:
    """What a token is bound to, under the signing key: neither the hash nor the mark can be read from it.

    The mark is asked for after the user was read: when a cut-over comes between, the token is not valid.
    """
    mark = generation_mark(db.session.connection())
    # No token that is signed by the same key begins with a bracket.
    words = json.dumps([user.id, user.uid, user.password, mark])
    return hmac.new(signing_key().encode(), words.encode(), hashlib.sha256).hexdigest()


def _token() -> str | None:
    bearer = request.authorization
    if bearer is not None and bearer.type == "bearer":
        return bearer.token
    return request.cookies.get(COOKIE)


def _claims(token: str | None) -> dict[str, Any] | None:
    if not token:
        return None
    try:
        return jwt.decode(token, signing_key(), [ALGORITHM], options={"require": ["exp", "sub", "bound"]})
    except jwt.InvalidTokenError:
        return None
