"""``/api/export``: pages by LIMIT and OFFSET without ORDER BY, envelopes exactly as old deployments give them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from flask import Blueprint, abort, current_app, g, request

from . import records
from .records import Raw, Record, query
from .settings import FORK, Settings
from .tokens import admin_only

bp = Blueprint("export", __name__, url_prefix="/api/export")

FIRST_PAGE_ONLY, EVERYTHING = "first_page", "everything"
CHEAP_BATCH_ROWS = 1000


@dataclass(frozen=True)
class Kind:
    """One export type: its table, how a row is shown, and whether it comes in pages."""

    table: str
    show: Callable[[Sequence[Raw]], list[Record]]
    paged: bool = True


KINDS = {
    "sections": Kind("sections", records.sections, paged=False),
    "users": Kind("users", records.users),
    "topics": Kind("topics", records.topics),
    "microblogs": Kind("microblogs", records.microblogs),
    "posts": Kind("posts", records.posts),
    "classrooms": Kind("classrooms", records.classrooms, paged=False),
    "feedback": Kind("feedbacks", records.feedback, paged=False),
    "study": Kind("study", records.study, paged=False),
    "personas": Kind("personas", records.personas),
    "user_personas": Kind("user_personas", records.user_personas),
}
FORK_KINDS = {
    "leaderboard": Kind("leaderboard", records.scores("leaderboard")),
    "elementary_leaderboard": Kind("elementary_leaderboard_events", records.scores("elementary_leaderboard_events")),
    "skill_snapshots": Kind("skill_snapshots", records.skills),
}


@dataclass(frozen=True)
class Paging:
    """A page as it was asked for and as it is served.

    Page 0 and below serve page 1, ``per_page`` 0 and below serves 20; the answer echoes what was asked.
    """

    page: int
    per_page: int

    @classmethod
    def asked(cls) -> Paging:
        """Return what the request asks for."""
        return cls(request.args.get("page", 1, int), request.args.get("per_page", 50, int))

    @property
    def served_page(self) -> int:
        """The page that is served."""
        return 1 if self.page < 1 or "page_ignored" in g else self.page

    @property
    def served_per_page(self) -> int:
        """The size that is served."""
        if g.get("page_ignored") == EVERYTHING:
            return 2**31
        return 20 if self.per_page < 1 else self.per_page

    def describe(self, total: int) -> Record:
        """Return the part of an envelope that is about paging."""
        return {
            "total": total,
            "page": self.page,
            "per_page": self.per_page,
            "has_next": self.served_page * self.served_per_page < total,
            "has_prev": self.served_page > 1,
        }


def settings() -> Settings:
    """Return the settings of the running app."""
    found: Settings = current_app.config["DEPLOYMENT"]
    return found


def show(rows: Sequence[Raw], how: Callable[[Sequence[Raw]], list[Record]]) -> list[Record]:
    """Show rows one at a time, as old deployments do, or in large batches when pages are cheap."""
    step = CHEAP_BATCH_ROWS if settings().cheap else 1
    return [record for start in range(0, len(rows), step) for record in how(rows[start : start + step])]


def rows_of(table: str, paging: Paging) -> list[Raw]:
    """Return the rows of a page; without ORDER BY, so rows written meanwhile shift the rest."""
    size = paging.served_per_page
    return query(f"SELECT * FROM {table} LIMIT ? OFFSET ?", size, (paging.served_page - 1) * size)


def total_of(table: str) -> int:
    """Return the number of rows of a table."""
    return int(query(f"SELECT count(*) AS n FROM {table}")[0]["n"])


def all_of(kind: Kind) -> list[Record]:
    """Return every record of a type."""
    return show(query(f"SELECT * FROM {kind.table}"), kind.show)


def served_kinds() -> dict[str, Kind]:
    """Return the types this deployment exports."""
    return KINDS | FORK_KINDS if settings().style == FORK else KINDS


def page_of(name: str, paging: Paging) -> Record:
    """Return the envelope of one page, or of everything for the types that never come in pages."""
    kind = served_kinds()[name]
    if not kind.paged:
        everything = all_of(kind)
        return {name: everything, "count": len(everything)}
    shown = show(rows_of(kind.table, paging), kind.show)
    return {name: shown, "count": len(shown), **paging.describe(total_of(kind.table))}


@bp.get("/all")
@admin_only
def export_all() -> Record:
    """Give the ten types at once."""
    answer: dict[str, Any] = {name: all_of(kind) for name, kind in KINDS.items()}
    answer["_metadata"] = {
        "exported_at": datetime.now(UTC).replace(tzinfo=None).isoformat(),
        "total_records": sum(len(shown) for shown in answer.values()),
        "tables": list(KINDS),
    }
    return answer


@bp.get("/counts")
@admin_only
def export_counts() -> Record:
    """Give the number of rows of each type; only a fork has this."""
    if settings().style != FORK:
        abort(404)
    return {name: total_of(kind.table) for name, kind in served_kinds().items()}


@bp.get("/<name>")
@admin_only
def export_type(name: str) -> Record:
    """Give one type; Flask's own 404 is HTML, which is what old deployments answer."""
    if name not in served_kinds():
        abort(404)
    return page_of(name, Paging.asked())
