"""Plain names: columns without a leading underscore, tables in the plural.

Revision ID: 0002_plain_names
Revises: 0001_classic
"""

from __future__ import annotations

from alembic import op

from migrations.tools import column_moves, rename_columns

revision = "0002_plain_names"
down_revision = "0001_classic"
branch_labels = None
depends_on = None

TABLES = {"study": "studies", "classroom_student": "classroom_students"}


def _plain(*names: str, **others: str) -> dict[str, str]:
    return {name: name.removeprefix("_") for name in names} | others


COLUMNS = {
    "sections": _plain("_name", "_abbreviation"),
    "users": _plain(
        *("_name", "_uid", "_email", "_sid", "_password", "_role", "_pfp"),
        *("_grade_data", "_ap_exam", "_school", "_game_profile"),
        _class="classes",
    ),
    "personas": _plain("_category", "_alias", "_bio_map", "_empathy_map"),
    "topics": _plain(
        *("_page_key", "_page_path", "_page_title", "_page_description", "_display_name", "_color", "_icon"),
        *("_allow_anonymous", "_moderated", "_max_posts_per_user", "_created_at", "_updated_at"),
        *("_is_active", "_settings"),
    ),
    "microblogs": _plain(
        *("_user_id", "_topic_id", "_content", "_data", "_updated_at"),
        _timestamp="created_at",
    ),
    "posts": _plain(
        *("_user_id", "_parent_id", "_content", "_page_url", "_page_title", "_updated_at"),
        _grade_received="grade",
        _timestamp="created_at",
    ),
    "classrooms": _plain(
        *("_name", "_school_name", "_status", "_created_at"),
        _owner_teacher_id="owner_id",
    ),
    "leaderboard": _plain("_user_id", "_payload", _timestamp="created_at"),
    "elementary_leaderboard_events": _plain("_user_id", "_payload", _timestamp="created_at"),
}
INDEXED = ("leaderboard", "elementary_leaderboard_events")

ferry_moves: dict[str, str | tuple[str, ...]] = {**TABLES}
for _table, _names in COLUMNS.items():
    ferry_moves.update(column_moves(_table, _names))


def upgrade() -> None:
    """Rename in place: no row is written."""
    for old, new in TABLES.items():
        op.rename_table(old, new)
    for table, names in COLUMNS.items():
        rename_columns(table, names)
    for table in INDEXED:
        op.drop_index(f"ix_{table}__timestamp", table_name=table)
        op.create_index(op.f(f"ix_{table}_created_at"), table, ["created_at"])


def downgrade() -> None:
    """Give every column and table its old name."""
    for table in INDEXED:
        op.drop_index(f"ix_{table}_created_at", table_name=table)
    for table, names in COLUMNS.items():
        rename_columns(table, {new: old for old, new in names.items()})
    for table in INDEXED:
        op.create_index(op.f(f"ix_{table}__timestamp"), table, ["_timestamp"])
    for old, new in TABLES.items():
        op.rename_table(new, old)
