"""The app: users, leaderboards and skill passports beside log-in and export."""

from __future__ import annotations

from pathlib import Path

from flask import Blueprint, Flask, Response, abort, current_app, jsonify, request, send_from_directory

from . import misbehaviour, records
from .export import Paging, rows_of, settings, show, total_of
from .export import bp as export_bp
from .models import db
from .records import Raw, Record, query
from .requestlog import forget_request, log_request
from .settings import DATABASE, OLDER, Settings
from .tokens import admin_only, caller, problem
from .tokens import bp as tokens_bp

users_bp = Blueprint("users", __name__)
extras_bp = Blueprint("extras", __name__)

OLDER_USER_KEYS = ("id", "uid", "name", "email", "role", "pfp", "kasm_server_needed", "sections", "access")
DEFAULT_LIMIT = 200
MOST_USERS_A_PAGE = 200


def create_app(directory: str) -> Flask:
    """Make the app that serves the deployment in ``directory``."""
    home = Path(directory)
    app = Flask(__name__)
    app.config["DEPLOYMENT"] = chosen = Settings.load(home)
    app.config["DEPLOYMENT_DIRECTORY"] = home
    app.config["SQLALCHEMY_DATABASE_URI"] = f"sqlite:///{home / DATABASE}"
    db.init_app(app)
    app.add_url_rule("/", view_func=lambda: "An old deployment.", endpoint="home")
    app.before_request(log_request)
    app.teardown_request(forget_request)
    app.before_request(misbehaviour.before_request)
    app.after_request(misbehaviour.after_request)
    app.register_blueprint(tokens_bp)
    app.register_blueprint(users_bp)
    if chosen.style != OLDER:
        app.register_blueprint(export_bp)
        app.register_blueprint(extras_bp)
    return app


@users_bp.get("/api/user")
def list_users() -> Response:
    """Give all users as a list, or in newer versions a page of them when one is asked for."""
    me = caller()
    if settings().style == OLDER:
        everybody = _listed(query("SELECT * FROM users"), me)
        return jsonify([{key: record[key] for key in OLDER_USER_KEYS} for record in everybody])
    page = request.args.get("page", 0, int)
    if page < 1:
        return jsonify(_listed(query("SELECT * FROM users"), me))
    paging = Paging(page, min(request.args.get("per_page", 50, int), MOST_USERS_A_PAGE))
    described = paging.describe(total_of("users"))
    return jsonify(users=_listed(rows_of("users", paging), me), pagination=described)


@users_bp.get("/api/section")
def list_sections() -> Response:
    """Give all sections, those without members too."""
    if not settings().lists_sections:
        abort(404)
    return jsonify(records.sections(query("SELECT * FROM sections")))


@users_bp.get("/uploads/<uid>/<name>")
def picture(uid: str, name: str) -> Response:
    """Give a file that somebody uploaded."""
    home: Path = current_app.config["DEPLOYMENT_DIRECTORY"]
    return send_from_directory(home / "uploads" / uid, name)


def _listed(rows: list[Raw], me: Raw) -> list[Record]:
    listed = show(rows, lambda some: records.listed_users(some, me))
    if settings().hide_passwords:
        for record in listed:
            del record["password"]
    return listed


@extras_bp.get("/api/dynamic/leaderboard")
def leaderboard() -> Response:
    """Give the newest scores to anybody."""
    return _newest("leaderboard")


@extras_bp.get("/api/events/ELEMENTARY_LEADERBOARD")
def elementary_leaderboard() -> Response:
    """Give the newest scores of the elementary game to anybody."""
    return _newest("elementary_leaderboard_events")


def _newest(table: str) -> Response:
    limit = max(0, request.args.get("limit", DEFAULT_LIMIT, int))
    rows = query(f"SELECT * FROM {table} ORDER BY _timestamp DESC LIMIT ?", limit)
    return jsonify(show(rows, records.scores(table)))


@extras_bp.get("/api/admin/skill-passport/<int:user_id>")
@admin_only
def skill_passport(user_id: int) -> Response:
    """Give a user's skills, oldest first, and a copy of the newest."""
    if not query("SELECT id FROM users WHERE id = ?", user_id):
        abort(problem(404, "User not found", "Not found"))
    history = records.skills(
        query("SELECT * FROM skill_snapshots WHERE user_id = ? ORDER BY snapshot_date, id", user_id)
    )
    return jsonify(user_id=user_id, current_skills=history[-1] if history else None, history=history)
