"""The fifteen tables of the classic database, by which an app's revision that has them is recognised."""

from __future__ import annotations

from collections.abc import Mapping

_SCORE = ("id", "_user_id", "_payload", "_timestamp")

tables: Mapping[str, tuple[str, ...]] = {
    "sections": ("id", "_name", "_abbreviation"),
    "users": (
        *("id", "_name", "_uid", "_email", "_sid", "_password", "_role", "_pfp", "kasm_server_needed"),
        *("_grade_data", "_ap_exam", "_class", "_school", "_game_profile"),
    ),
    "user_sections": ("user_id", "section_id", "year"),
    "personas": ("id", "_category", "_alias", "_bio_map", "_empathy_map"),
    "user_personas": ("user_id", "persona_id", "weight", "selected_at"),
    "topics": (
        *("id", "_page_key", "_page_path", "_page_title", "_page_description", "_display_name", "_color", "_icon"),
        *("_allow_anonymous", "_moderated", "_max_posts_per_user", "_created_at", "_updated_at", "_is_active"),
        "_settings",
    ),
    "microblogs": ("id", "_user_id", "_topic_id", "_content", "_data", "_timestamp", "_updated_at"),
    "posts": (
        *("id", "_user_id", "_parent_id", "_content", "_grade_received", "_page_url", "_page_title", "_timestamp"),
        "_updated_at",
    ),
    "classrooms": ("id", "_name", "_school_name", "_owner_teacher_id", "_status", "_created_at"),
    "classroom_student": ("classroom_id", "student_id"),
    "feedbacks": ("id", "title", "body", "type", "github_username", "created_at", "github_issue_url"),
    "study": ("id", "user_id", "topic", "subtopic", "studied", "timestamp"),
    "leaderboard": _SCORE,
    "elementary_leaderboard_events": _SCORE,
    "skill_snapshots": (
        *("id", "user_id", "project_name", "snapshot_date", "coding_ability", "collaboration", "problem_solving"),
        "initiative",
    ),
}
