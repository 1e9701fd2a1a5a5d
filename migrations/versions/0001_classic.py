"""The classic database, as old deployments have it.

Revision ID: 0001_classic
Revises:
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from migrations.tools import moment, string, text

revision = "0001_classic"
down_revision = None
branch_labels = None
depends_on = None

TABLES = (
    "skill_snapshots",
    "elementary_leaderboard_events",
    "leaderboard",
    "study",
    "feedbacks",
    "classroom_student",
    "classrooms",
    "posts",
    "microblogs",
    "topics",
    "user_personas",
    "personas",
    "user_sections",
    "users",
    "sections",
)


def upgrade() -> None:
    """Create the fifteen tables, parents first."""
    _people()
    _personas()
    _writing()
    _classrooms()
    _records()


def downgrade() -> None:
    """Drop them, children first."""
    for table in TABLES:
        op.drop_table(table)


def _people() -> None:
    op.create_table(
        "sections",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("_name", string(255), nullable=False),
        sa.Column("_abbreviation", string(255), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sections")),
        sa.UniqueConstraint("_abbreviation", name=op.f("uq_sections__abbreviation")),
    )
    op.create_table(
        "users",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("_name", string(255), nullable=False),
        sa.Column("_uid", string(255), nullable=False),
        sa.Column("_email", string(255), nullable=False),
        sa.Column("_sid", string(255), nullable=True),
        sa.Column("_password", string(255), nullable=False),
        sa.Column("_role", string(20), nullable=False),
        sa.Column("_pfp", string(255), nullable=True),
        sa.Column("kasm_server_needed", sa.Boolean(), nullable=True),
        sa.Column("_grade_data", sa.JSON(), nullable=True),
        sa.Column("_ap_exam", sa.JSON(), nullable=True),
        sa.Column("_class", sa.JSON(), nullable=True),
        sa.Column("_school", string(255), nullable=True),
        sa.Column("_game_profile", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_users")),
        sa.UniqueConstraint("_uid", name=op.f("uq_users__uid")),
    )
    op.create_table(
        "user_sections",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("section_id", sa.Integer(), nullable=False),
        sa.Column("year", sa.Integer(), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "section_id", name=op.f("pk_user_sections")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_sections_user_id_users")),
        sa.ForeignKeyConstraint(["section_id"], ["sections.id"], name=op.f("fk_user_sections_section_id_sections")),
    )


def _personas() -> None:
    op.create_table(
        "personas",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("_category", string(32), nullable=False),
        sa.Column("_alias", string(32), nullable=False),
        sa.Column("_bio_map", sa.JSON(), nullable=False),
        sa.Column("_empathy_map", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_personas")),
        sa.UniqueConstraint("_alias", name=op.f("uq_personas__alias")),
    )
    op.create_table(
        "user_personas",
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("persona_id", sa.Integer(), nullable=False),
        sa.Column("weight", sa.Integer(), nullable=False),
        sa.Column("selected_at", moment(), nullable=True),
        sa.PrimaryKeyConstraint("user_id", "persona_id", name=op.f("pk_user_personas")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_user_personas_user_id_users")),
        sa.ForeignKeyConstraint(["persona_id"], ["personas.id"], name=op.f("fk_user_personas_persona_id_personas")),
    )


def _writing() -> None:
    op.create_table(
        "topics",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("_page_key", string(100), nullable=False),
        sa.Column("_page_path", string(500), nullable=False),
        sa.Column("_page_title", string(200), nullable=False),
        sa.Column("_page_description", text(), nullable=True),
        sa.Column("_display_name", string(100), nullable=True),
        sa.Column("_color", string(7), nullable=True),
        sa.Column("_icon", string(50), nullable=True),
        sa.Column("_allow_anonymous", sa.Boolean(), nullable=True),
        sa.Column("_moderated", sa.Boolean(), nullable=True),
        sa.Column("_max_posts_per_user", sa.Integer(), nullable=True),
        sa.Column("_created_at", moment(), nullable=True),
        sa.Column("_updated_at", moment(), nullable=True),
        sa.Column("_is_active", sa.Boolean(), nullable=True),
        sa.Column("_settings", sa.JSON(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_topics")),
        sa.UniqueConstraint("_page_key", name=op.f("uq_topics__page_key")),
    )
    op.create_table(
        "microblogs",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("_user_id", sa.Integer(), nullable=False),
        sa.Column("_topic_id", sa.Integer(), nullable=True),
        sa.Column("_content", string(280), nullable=False),
        sa.Column("_data", sa.JSON(), nullable=True),
        sa.Column("_timestamp", moment(), nullable=False),
        sa.Column("_updated_at", moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_microblogs")),
        sa.ForeignKeyConstraint(["_user_id"], ["users.id"], name=op.f("fk_microblogs__user_id_users")),
        sa.ForeignKeyConstraint(["_topic_id"], ["topics.id"], name=op.f("fk_microblogs__topic_id_topics")),
    )
    op.create_table(
        "posts",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("_user_id", sa.Integer(), nullable=False),
        sa.Column("_parent_id", sa.Integer(), nullable=True),
        sa.Column("_content", text(), nullable=False),
        sa.Column("_grade_received", string(50), nullable=True),
        sa.Column("_page_url", string(500), nullable=True),
        sa.Column("_page_title", string(200), nullable=True),
        sa.Column("_timestamp", moment(), nullable=False),
        sa.Column("_updated_at", moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_posts")),
        sa.ForeignKeyConstraint(["_user_id"], ["users.id"], name=op.f("fk_posts__user_id_users")),
        sa.ForeignKeyConstraint(["_parent_id"], ["posts.id"], name=op.f("fk_posts__parent_id_posts")),
    )


def _classrooms() -> None:
    op.create_table(
        "classrooms",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("_name", string(255), nullable=False),
        sa.Column("_school_name", string(255), nullable=False),
        sa.Column("_owner_teacher_id", sa.Integer(), nullable=False),
        sa.Column("_status", string(50), nullable=True),
        sa.Column("_created_at", moment(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_classrooms")),
        sa.ForeignKeyConstraint(
            ["_owner_teacher_id"], ["users.id"], name=op.f("fk_classrooms__owner_teacher_id_users")
        ),
    )
    op.create_table(
        "classroom_student",
        sa.Column("classroom_id", sa.Integer(), nullable=False),
        sa.Column("student_id", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("classroom_id", "student_id", name=op.f("pk_classroom_student")),
        sa.ForeignKeyConstraint(
            ["classroom_id"], ["classrooms.id"], name=op.f("fk_classroom_student_classroom_id_classrooms")
        ),
        sa.ForeignKeyConstraint(["student_id"], ["users.id"], name=op.f("fk_classroom_student_student_id_users")),
    )


def _records() -> None:
    op.create_table(
        "feedbacks",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("title", string(255), nullable=False),
        sa.Column("body", text(), nullable=False),
        sa.Column("type", string(64), nullable=True),
        sa.Column("github_username", string(128), nullable=True),
        sa.Column("created_at", moment(), nullable=True),
        sa.Column("github_issue_url", string(512), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_feedbacks")),
    )
    op.create_table(
        "study",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=True),
        sa.Column("topic", string(255), nullable=False),
        sa.Column("subtopic", string(255), nullable=False),
        sa.Column("studied", sa.Boolean(), nullable=True),
        sa.Column("timestamp", string(50), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_study_user_id_users")),
    )
    for table in ("leaderboard", "elementary_leaderboard_events"):
        _leaderboard(table)
    op.create_table(
        "skill_snapshots",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("user_id", sa.Integer(), nullable=False),
        sa.Column("project_name", string(64), nullable=False),
        sa.Column("snapshot_date", moment(), nullable=True),
        sa.Column("coding_ability", sa.Integer(), nullable=False),
        sa.Column("collaboration", sa.Integer(), nullable=False),
        sa.Column("problem_solving", sa.Integer(), nullable=False),
        sa.Column("initiative", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_skill_snapshots")),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name=op.f("fk_skill_snapshots_user_id_users")),
    )


def _leaderboard(table: str) -> None:
    op.create_table(
        table,
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("_user_id", sa.Integer(), nullable=True),
        sa.Column("_payload", sa.JSON(), nullable=False),
        sa.Column("_timestamp", moment(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f(f"pk_{table}")),
        sa.ForeignKeyConstraint(["_user_id"], ["users.id"], name=op.f(f"fk_{table}__user_id_users")),
    )
    op.create_index(op.f(f"ix_{table}__timestamp"), table, ["_timestamp"])
