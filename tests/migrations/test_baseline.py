"""The baseline revision is the classic database."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from tests.support.deployment.models import db as classic

from .database import Database

# From the description of the classic database: types, then ! NOT NULL, * primary key, # unique, @ indexed,
# > the table referred to.
CLASSIC = {
    "sections": "id int*! | _name varchar(255)! | _abbreviation varchar(255)!#",
    "users": "id int*! | _name varchar(255)! | _uid varchar(255)!# | _email varchar(255)! | _sid varchar(255) | "
    "_password varchar(255)! | _role varchar(20)! | _pfp varchar(255) | kasm_server_needed bool | "
    "_grade_data json | _ap_exam json | _class json | _school varchar(255) | _game_profile json",
    "user_sections": "user_id int*!>users | section_id int*!>sections | year int",
    "personas": "id int*! | _category varchar(32)! | _alias varchar(32)!# | _bio_map json! | _empathy_map json",
    "user_personas": "user_id int*!>users | persona_id int*!>personas | weight int! | selected_at datetime",
    "topics": "id int*! | _page_key varchar(100)!# | _page_path varchar(500)! | _page_title varchar(200)! | "
    "_page_description text | _display_name varchar(100) | _color varchar(7) | _icon varchar(50) | "
    "_allow_anonymous bool | _moderated bool | _max_posts_per_user int | _created_at datetime | "
    "_updated_at datetime | _is_active bool | _settings json",
    "microblogs": "id int*! | _user_id int!>users | _topic_id int>topics | _content varchar(280)! | _data json | "
    "_timestamp datetime! | _updated_at datetime",
    "posts": "id int*! | _user_id int!>users | _parent_id int>posts | _content text! | _grade_received varchar(50) | "
    "_page_url varchar(500) | _page_title varchar(200) | _timestamp datetime! | _updated_at datetime",
    "classrooms": "id int*! | _name varchar(255)! | _school_name varchar(255)! | _owner_teacher_id int!>users | "
    "_status varchar(50) | _created_at datetime",
    "classroom_student": "classroom_id int*!>classrooms | student_id int*!>users",
    "feedbacks": "id int*! | title varchar(255)! | body text! | type varchar(64) | github_username varchar(128) | "
    "created_at datetime | github_issue_url varchar(512)",
    "study": "id int*! | user_id int>users | topic varchar(255)! | subtopic varchar(255)! | studied bool | "
    "timestamp varchar(50)!",
    "leaderboard": "id int*! | _user_id int>users | _payload json! | _timestamp datetime!@",
    "elementary_leaderboard_events": "id int*! | _user_id int>users | _payload json! | _timestamp datetime!@",
    "skill_snapshots": "id int*! | user_id int!>users | project_name varchar(64)! | snapshot_date datetime | "
    "coding_ability int! | collaboration int! | problem_solving int! | initiative int!",
}
TYPES = {"INTEGER": "int", "BOOLEAN": "bool"}


@pytest.fixture
def tables(empty: Database) -> dict[str, sa.Table]:
    """The baseline's tables, reflected."""
    metadata = sa.MetaData()
    metadata.reflect(sa.create_engine(f"sqlite:///{empty.path}"))
    return {name: table for name, table in metadata.tables.items() if name != "alembic_version"}


def test_tables_and_columns(tables: dict[str, sa.Table]) -> None:
    assert {name: _described(table) for name, table in tables.items()} == CLASSIC


def test_same_as_create_all(tables: dict[str, sa.Table], tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'classic.db'}")
    classic.metadata.create_all(engine)
    made = sa.MetaData()
    made.reflect(engine)
    assert {name: _described(table) for name, table in made.tables.items()} == CLASSIC
    for name, table in made.tables.items():
        assert {index.name for index in table.indexes} == {index.name for index in tables[name].indexes}


def test_every_constraint_has_a_name(tables: dict[str, sa.Table]) -> None:
    constraints = [constraint for table in tables.values() for constraint in table.constraints]
    assert [constraint for constraint in constraints if not constraint.name] == []


def test_no_foreign_key_has_a_rule(tables: dict[str, sa.Table]) -> None:
    keys = [key for table in tables.values() for key in table.foreign_keys]
    assert {(key.ondelete, key.onupdate) for key in keys} == {(None, None)}


def _described(table: sa.Table) -> str:
    unique = {
        column.name
        for constraint in table.constraints
        if isinstance(constraint, sa.UniqueConstraint)
        for column in constraint.columns
    }
    indexed = {column.name for index in table.indexes for column in index.columns}
    return " | ".join(
        f"{column.name} {TYPES.get(str(column.type), str(column.type).lower())}"
        + "*" * column.primary_key
        + "!" * (not column.nullable)
        + "#" * (column.name in unique)
        + "@" * (column.name in indexed)
        + "".join(f">{key.column.table.name}" for key in column.foreign_keys)
        for column in table.columns
    )
