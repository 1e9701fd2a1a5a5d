"""``GET /api/user``: everybody, for whoever is logged in; without the hashes."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa
from flask import Blueprint, Response, jsonify, request

from ..extensions import db
from ..models import User
from .auth import require_user
from .paging import page_of
from .records import WITH_USERS, Record, user_records

bp = Blueprint("users", __name__)

MOST_PER_PAGE = 200


@bp.get("/user")
def list_users() -> Response:
    """Give all users as a list, or with ``?page=N&per_page=M`` one page of them."""
    caller = require_user()
    statement = sa.select(User).options(*WITH_USERS).order_by(User.id)
    if request.args.get("page", 0, int) < 1:
        return jsonify(_list(db.session.scalars(statement).all(), caller))
    page = page_of(statement, most=MOST_PER_PAGE)
    return jsonify(users=_list(page.items, caller), pagination=page.described)


def _list(users: Sequence[User], caller: User) -> list[Record]:
    records = user_records(users)
    for user, record in zip(users, records, strict=True):
        for section, enrolment in zip(record["sections"], user.enrolments, strict=True):
            section["year"] = enrolment.year
        record["access"] = ["rw" if caller.is_admin or caller.id == user.id else "ro"]
    return records
