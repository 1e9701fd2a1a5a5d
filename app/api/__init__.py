"""The HTTP API: logging in, users, and the classic export that the next deployment can migrate from."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify, request
from werkzeug.exceptions import HTTPException

from . import export, login, users
from .auth import never_stored

bp = Blueprint("api", __name__, url_prefix="/api")
bp.after_request(never_stored)
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
