"""A tiny engine: runs the adapters over records in memory, as strict as the real one, and remembers all."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app import classic
from app.errors import DoesNotFit
from app.transfer.adapters import Accounts, AdapterSet, Record

ADAPTERS = AdapterSet.of(classic)

Records = Mapping[str, list[dict[str, Any]]]

# The fifteen classic tables, written down a second time on purpose: columns, the primary key first.
TABLES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "sections": (("id",), ("_name", "_abbreviation")),
    "users": (
        ("id",),
        (
            *("_name", "_uid", "_email", "_sid", "_password", "_role", "_pfp", "kasm_server_needed"),
            *("_grade_data", "_ap_exam", "_class", "_school", "_game_profile"),
        ),
    ),
    "user_sections": (("user_id", "section_id"), ("year",)),
    "personas": (("id",), ("_category", "_alias", "_bio_map", "_empathy_map")),
    "user_personas": (("user_id", "persona_id"), ("weight", "selected_at")),
    "topics": (
        ("id",),
        (
            *("_page_key", "_page_path", "_page_title", "_page_description", "_display_name", "_color"),
            *("_icon", "_allow_anonymous", "_moderated", "_max_posts_per_user", "_created_at", "_updated_at"),
            *("_is_active", "_settings"),
        ),
    ),
    "microblogs": (
        ("id",),
        ("_user_id", "_topic_id", "_content", "_data", "_timestamp", "_updated_at"),
    ),
    "posts": (
        ("id",),
        (
            *("_user_id", "_parent_id", "_content", "_grade_received", "_page_url", "_page_title"),
            *("_timestamp", "_updated_at"),
        ),
    ),
    "classrooms": (("id",), ("_name", "_school_name", "_owner_teacher_id", "_status", "_created_at")),
    "classroom_student": (("classroom_id", "student_id"), ()),
    "feedbacks": (
        ("id",),
        ("title", "body", "type", "github_username", "created_at", "github_issue_url"),
    ),
    "study": (("id",), ("user_id", "topic", "subtopic", "studied", "timestamp")),
    "leaderboard": (("id",), ("_user_id", "_payload", "_timestamp")),
    "elementary_leaderboard_events": (("id",), ("_user_id", "_payload", "_timestamp")),
    "skill_snapshots": (
        ("id",),
        (
            *("user_id", "project_name", "snapshot_date", "coding_ability", "collaboration"),
            *("problem_solving", "initiative"),
        ),
    ),
}


class Run:
    """Implements ``Find``; ``rows`` maps table -> primary key -> row."""

    def __init__(self, records: Records) -> None:
        self.records = records
        self.accounts = Accounts()
        self.rows: dict[str, dict[Any, Mapping[str, Any]]] = {}
        self.expected: list[tuple[str, Any]] = []
        for record_type in ADAPTERS.in_order(list(records)):
            self._adapt(record_type)
        missing = [(table, key) for table, key in self.expected if key not in self.rows.get(table, {})]
        if missing:
            raise DoesNotFit(f"expected, but made by no record: {missing}")

    def id(self, table: str, natural_key: str) -> int:
        column = ADAPTERS.natural_keys[table]
        for key, row in self.rows.get(table, {}).items():
            if row[column] == natural_key:
                return int(key)
        raise DoesNotFit(f"no row of {table} has {natural_key!r}")

    def has_type(self, record_type: str) -> bool:
        return record_type in self.records

    def expect(self, table: str, primary_key: Any) -> None:
        self.expected.append((table, tuple(primary_key) if isinstance(primary_key, list) else primary_key))

    def table(self, name: str) -> list[Mapping[str, Any]]:
        return list(self.rows.get(name, {}).values())

    def waived(self) -> dict[str, int]:
        """How often each key was waived, as ``type.key``."""
        return {f"{kind}.{key}": count for (kind, key, _), count in self.accounts.waived.items()}

    def notes(self) -> list[str]:
        return [text for _, text in self.accounts.notes]

    def _adapt(self, record_type: str) -> None:
        declared = ADAPTERS.adapters[record_type]
        for number, values in enumerate(self.records[record_type], 1):
            record = Record(record_type, values, self.accounts, f"{record_type} record {number}")
            for table, row in declared.function(record, self):
                assert table in declared.makes
                self._keep(table, row)
            if record.find_unaccounted():
                raise DoesNotFit(f"unaccounted: {', '.join(record.find_unaccounted())}")

    def _keep(self, table: str, row: Mapping[str, Any]) -> None:
        primary, others = TABLES[table]
        assert set(row) == {*primary, *others}, table
        key = row[primary[0]] if len(primary) == 1 else tuple(row[column] for column in primary)
        if self.rows.setdefault(table, {}).setdefault(key, row) != row:
            raise DoesNotFit(f"two different rows of {table} have the key {key}")


def adapt(record_type: str, *values: dict[str, Any]) -> Run:
    """Run over records of a single type."""
    return Run({record_type: list(values)})
