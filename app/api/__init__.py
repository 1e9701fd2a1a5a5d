"""The HTTP API: logging in, users, and the classic export that the next deployment can migrate from."""

from __future__ import annotations

import time

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from ..extensions import limiter
from . import export, login, users

bp = Blueprint("api", __name__, url_prefix="/api")
bp.register_blueprint(login.bp)
bp.register_blueprint(users.bp)
bp.register_blueprint(export.bp)


@bp.app_errorhandler(HTTPException)
def as_json(error: HTTPException) -> Response | HTTPException:
    """Answer an error under ``/api`` as JSON, with the status and the headers it has."""
    if error.response is not None or not request.path.startswith(f"{bp.url_prefix}/"):
        return error
    answer = jsonify(message=error.description or error.name)
    answer.status_code = error.code or 500
    for name, value in error.get_headers():
        if name not in ("Content-Type", "Content-Length"):
            answer.headers[name] = value
    return answer


@bp.errorhandler(429)
def too_many(_error: HTTPException) -> Response:
    """Say when to try again."""
    limit = limiter.current_limit
    wait_s = max(1, int(limit.reset_at - time.time()) + 1) if limit else 60
    answer = jsonify(message=f"Too many failed attempts to log in. Try again in {wait_s} seconds.")
    answer.status_code = 429
    answer.headers["Retry-After"] = str(wait_s)
    return answer
