"""``POST /api/authenticate`` and the checks of a token."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from functools import wraps
from typing import Any, ParamSpec, TypeVar

from flask import Blueprint, Response, abort, current_app, g, jsonify, make_response, request
from itsdangerous import BadData, URLSafeTimedSerializer
from werkzeug.security import check_password_hash

from .records import Raw, loaded_or, query
from .settings import FORK, OLDER, Settings

bp = Blueprint("tokens", __name__)
P = ParamSpec("P")
T = TypeVar("T")


def _settings() -> Settings:
    found: Settings = current_app.config["DEPLOYMENT"]
    return found


def _signer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(_settings().secret, salt="token")


def problem(status: int, message: str, error: str) -> Response:
    """Return an error as old deployments put it."""
    return make_response(jsonify(message=message, error=error, data=None), status)


@bp.post("/api/authenticate")
def authenticate() -> Response:
    """Log in. Bodies that are no JSON object end as 500, as they do in old deployments."""
    try:
        body = _json_body()
    except ValueError as wrong:
        return problem(500, "Something went wrong", str(wrong))
    if not body:
        return problem(400, "Please provide user details", "Bad request")
    uid, password = body.get("uid"), body.get("password")
    if not isinstance(uid, str) or not isinstance(password, str):
        return problem(401, "uid or password is missing", "Unauthorized")
    user = find_user(uid)
    if user is None or not check_password_hash(user["_password"], password):
        return problem(401, f"Invalid user id or password for {uid}", "Unauthorized")
    return _welcome(user)


def _json_body() -> dict[str, Any]:
    """Return the body of a login.

    :raises ValueError: there is none, it is no JSON, or it is sent as something else.
    """
    if not request.is_json:
        raise ValueError("415 Unsupported Media Type")
    body = request.get_json(silent=True)
    if body is None or (body and not isinstance(body, dict)):
        raise ValueError("400 Bad Request")
    return body or {}


def find_user(uid: str) -> Raw | None:
    """Return the row of a user; upper and lower case differ."""
    return next(iter(query("SELECT * FROM users WHERE _uid = ?", uid)), None)


def _welcome(user: Raw) -> Response:
    # The nonce makes two tokens of one second differ, so each can expire by itself.
    token = _signer().dumps({"_uid": user["_uid"], "nonce": secrets.token_hex(8)})
    message = f"Authentication for {user['_uid']} successful"
    if _settings().style == OLDER:
        response = make_response(message)
        response.mimetype = "text/html"
    else:
        classes = loaded_or(user["_class"], [])
        shown = {"uid": user["_uid"], "name": user["_name"], "role": user["_role"], "class": classes}
        body: dict[str, Any] = {"message": message, "user": {"id": user["id"], **shown}}
        response = jsonify(body | ({"token": token} if _settings().style == FORK else {}))
    _set_cookie(response, token)
    return response


def _set_cookie(response: Response, token: str) -> None:
    settings = _settings()
    if settings.production_cookie:
        attributes: dict[str, Any] = {"domain": "old.example", "secure": True, "samesite": "None"}
    else:
        attributes = {"samesite": "Lax"}
    if settings.send_cookie:
        response.set_cookie(settings.cookie_name, token, max_age=3600, path="/", httponly=True, **attributes)


def sent_token() -> str | None:
    """Return the token that came with the request; only a fork takes a Bearer one."""
    bearer = request.headers.get("Authorization", "")
    if _settings().style == FORK and bearer.startswith("Bearer "):
        return bearer.removeprefix("Bearer ")
    return request.cookies.get(_settings().cookie_name)


def caller() -> Raw:
    """Return the row of the user who asks; ends the request when there is no good token."""
    token = sent_token()
    if not token:
        abort(problem(401, "Authentication token is missing", "Unauthorized"))
    try:
        claims = _signer().loads(token, max_age=_settings().token_lifetime_s)
        user = find_user(claims["_uid"])
    except (BadData, KeyError, TypeError):
        user = None
    if user is None:
        abort(bad_token())
    return user


def bad_token() -> Response:
    """Return the answer to a token that is wrong or too old: 401, in older versions 500."""
    if _settings().style == OLDER or g.get("bad_token_is_500"):
        return problem(500, "Something went wrong", "Signature verification failed")
    return problem(401, "Token is invalid", "Unauthorized")


def admin_only(view: Callable[P, T]) -> Callable[P, T]:
    """Answer 401 without a token and 403 to anybody who is not an admin."""

    @wraps(view)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> T:
        if caller()["_role"] != "Admin":
            abort(problem(403, "Insufficient permissions", "Forbidden"))
        return view(*args, **kwargs)

    return guarded
