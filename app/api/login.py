"""``POST /api/authenticate``: rate-limited, and silent about which uids exist."""

from __future__ import annotations

import hashlib
from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, current_app, jsonify, request
from flask_limiter.util import get_remote_address
from werkzeug.security import check_password_hash

from ..config import environment
from ..extensions import db, limiter
from ..models import User
from .auth import COOKIE, LIFETIME, issue_token, refuse

bp = Blueprint("login", __name__)

ATTEMPTS = "10 per minute; 100 per hour"
MAX_BODY_BYTES = 16 * 1024
# Of a password that nobody knows: checked when the uid is unknown, so that the answer takes as long.
DUMMY_HASH = (
    "scrypt:32768:8:1$EPGBiG8R2mt0y3Xk$bf856cbc640c3461da6439ac30681dbeff134b7076e6549d19c7aa19ffb7e4d5"
    "f9c1a62163ca0a6ba2847b1b68619fbd90eb051216b2adea731369e5e4a25349"
)


def _attempt() -> str:
    """Count attempts per address and uid: one guesser behind a proxy locks out nobody else."""
    uid = _credentials().get("uid")
    return f"{get_remote_address()} {hashlib.sha256(repr(uid).encode()).hexdigest()}"


@bp.post("/authenticate")
@limiter.limit(ATTEMPTS, key_func=_attempt, deduct_when=lambda answer: answer.status_code == 401)
def authenticate() -> Response:
    """Check uid and password; answer with the user and the token as a cookie."""
    given = _credentials()
    if not given:
        refuse(400, "Send a JSON object with uid and password.")
    user = _user_with(given.get("uid"), given.get("password"))
    if user is None:
        refuse(401, "Invalid user id or password.")
    shown = {"uid": user.uid, "name": user.name, "role": user.role, "class": user.classes or []}
    answer = jsonify(message=f"Authentication for {user.uid} successful", user=shown)
    answer.set_cookie(
        COOKIE,
        issue_token(user),
        max_age=LIFETIME,
        httponly=True,
        samesite="Lax",
        secure=environment(current_app.config) != "development",
    )
    return answer


def _credentials() -> dict[str, Any]:
    request.max_content_length = MAX_BODY_BYTES
    body = request.get_json(silent=True)
    return body if isinstance(body, dict) else {}


def _user_with(uid: Any, password: Any) -> User | None:
    """Return the user whom uid and password name; takes one check of a hash, whatever the answer."""
    if not _is_text(uid) or not _is_text(password):
        return None
    user = db.session.scalar(sa.select(User).where(User.uid == uid))
    if user is None or user.is_locked:
        check_password_hash(DUMMY_HASH, password)
        return None
    return user if user.has_password(password) else None


def _is_text(value: Any) -> bool:
    """Whether it is a text that every driver takes: no NUL, no half of a surrogate pair."""
    return isinstance(value, str) and not any(
        character == "\0" or "\ud800" <= character <= "\udfff" for character in value
    )
