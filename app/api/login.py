"""``POST /api/authenticate``: limited, and silent about which uids exist."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from flask import Blueprint, Response, jsonify, request
from werkzeug.security import check_password_hash

from ..extensions import db
from ..models import User
from .attempts import Account, Attempt
from .auth import COOKIE, LIFETIME, issue_token, refuse, set_cookie

bp = Blueprint("login", __name__)

MAX_BODY_BYTES = 16 * 1024
# Of a password that nobody knows: checked when the uid is unknown, so that the answer takes as long.
DUMMY_HASH = (
    "scrypt:32768:8:1$EPGBiG8R2mt0y3Xk$bf856cbc640c3461da6439ac30681dbeff134b7076e6549d19c7aa19ffb7e4d5"
    "f9c1a62163ca0a6ba2847b1b68619fbd90eb051216b2adea731369e5e4a25349"
)


@bp.post("/authenticate")
def authenticate() -> Response:
    """Check uid and password; answer with the user and the token as a cookie."""
    given = _credentials()
    if not given:
        refuse(400, "Send a JSON object with uid and password.")
    uid, password = given.get("uid"), given.get("password")
    account = _account(uid)
    attempt = Attempt(account)
    user = _user_with(account, uid, password)
    if user is None:
        refuse(401, "Invalid user id or password.")
    shown = {"uid": user.uid, "name": user.name, "role": user.role, "class": user.classes or []}
    answer = jsonify(message=f"Authentication for {user.uid} successful", user=shown)
    set_cookie(answer, COOKIE, issue_token(user), LIFETIME)
    attempt.succeed(account, answer)
    return answer


def _credentials() -> dict[str, Any]:
    request.max_content_length = MAX_BODY_BYTES
    try:
        body = request.get_json(silent=True)
    except RecursionError:  # nested too deeply for the parser
        return {}
    return body if isinstance(body, dict) else {}


def _account(uid: Any) -> Account:
    """Return the account that the server finds under a uid; where there is none, one that nobody can open.

    A collation may find it under another spelling, which is counted as its own but does not open it. Two columns
    only, so that an attempt refused for its number takes as long for a uid that exists as for any other.
    """
    if not _is_text(uid):
        return Account(uid if isinstance(uid, str) else "")
    row = db.session.execute(sa.select(User.uid, User.password).where(User.uid == uid)).first()
    return Account(*row) if row else Account(uid)


def _user_with(account: Account, uid: Any, password: Any) -> User | None:
    """Return the user whom uid and password name; takes one check of a hash, whatever the answer."""
    if not _is_text(uid) or not _is_text(password):
        return None
    user = db.session.scalar(sa.select(User).where(User.uid == account.uid)) if account.uid == uid else None
    if user is None or user.is_locked:
        check_password_hash(DUMMY_HASH, password)
        return None
    return user if user.has_password(password) else None


def _is_text(value: Any) -> bool:
    """Whether it is a text that every driver takes: no NUL, no half of a surrogate pair."""
    return isinstance(value, str) and not any(
        character == "\0" or "\ud800" <= character <= "\udfff" for character in value
    )
