"""The records of an old deployment become the rows they were made of, in every shape that it answers."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.classic.accounts import LOCKED
from app.transfer.adapters import JSON_NULL
from tests.support.deployment import records as shown
from tests.support.deployment.api import OLDER_USER_KEYS, create_app
from tests.support.deployment.data import Shape, make_database
from tests.support.deployment.export import FORK_KINDS, KINDS, all_of
from tests.support.deployment.models import db
from tests.support.deployment.settings import DATABASE, Settings

from .engine import TABLES, Records, Run

JSON_NOT_NULL = {"_bio_map", "_payload"}
# What the API answers in place of NULL and JSON null (not_carried).
JSON_INSTEAD_OF_NULL: dict[str, Any] = {"_grade_data": {}, "_ap_exam": {}, "_class": [], "_data": {}}
BASE_KEYS = {
    *("id", "userId", "userName", "userUid", "content", "topicId", "topicKey", "topicPath"),
    *("timestamp", "updatedAt", "characterCount"),
}


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    directory: Path = tmp_path_factory.mktemp("deployment")
    Settings().save(directory)
    make_database(directory / DATABASE, Shape(users=60, posts=200))
    with create_app(str(directory)).app_context():
        yield
        db.session.remove()
        db.engine.dispose()


def received(records: Any) -> Any:
    """What is left after the way over HTTP; numbers with a fraction are exact."""
    return json.loads(json.dumps(records), parse_float=Decimal)


def api_users() -> list[dict[str, Any]]:
    admin = shown.query("SELECT * FROM users WHERE _role = 'Admin' LIMIT 1")[0]
    return shown.listed_users(shown.query("SELECT * FROM users"), admin)


def passports() -> list[dict[str, Any]]:
    answers = []
    for row in shown.query("SELECT id FROM users"):
        sql = "SELECT * FROM skill_snapshots WHERE user_id = ? ORDER BY snapshot_date, id"
        history = shown.skills(shown.query(sql, row["id"]))
        newest = history[-1] if history else None
        answers.append({"user_id": row["id"], "current_skills": newest, "history": history})
    return answers


def newer() -> Records:
    boards = {name: all_of(FORK_KINDS[name]) for name in ("leaderboard", "elementary_leaderboard")}
    exported = {name: all_of(kind) for name, kind in KINDS.items()}
    everybody = [{key: user[key] for key in user if key != "password"} for user in api_users()]
    return exported | boards | {"user": everybody, "skill_passport": passports()}


def fork() -> Records:
    return {name: all_of(kind) for name, kind in (KINDS | FORK_KINDS).items()} | {"user": api_users()}


def stored(table: str) -> dict[Any, dict[str, Any]]:
    """The rows of the old database, as the adapters are to make them."""
    columns = db.metadata.tables[table].columns
    rows = shown.query(f"SELECT * FROM {table}")
    made = [{name: as_made(columns[name], value) for name, value in row.items()} for row in rows]
    primary = TABLES[table][0]
    return {row[primary[0]] if len(primary) == 1 else tuple(row[key] for key in primary): row for row in made}


def as_made(column: Any, value: Any) -> Any:
    if str(column.type) == "JSON":
        return json_as_made(column.name, value)
    if value is None:
        return None
    if str(column.type) == "DATETIME":
        moment = datetime.fromisoformat(value)
        return moment.replace(microsecond=0) if column.table.name == "feedbacks" else moment
    return bool(value) if str(column.type) == "BOOLEAN" else value


def json_as_made(name: str, value: Any) -> Any:
    parsed = received(json.loads(value) if isinstance(value, str) else value)
    if name == "_data" and isinstance(parsed, dict):
        return {key: item for key, item in parsed.items() if key not in BASE_KEYS}
    if name == "_data" or (parsed is None and name in JSON_INSTEAD_OF_NULL):
        return JSON_INSTEAD_OF_NULL[name]
    return JSON_NULL if parsed is None and name in JSON_NOT_NULL else parsed


@pytest.mark.usefixtures("deployment")
@pytest.mark.parametrize("source", [newer, fork])
def test_all_rows_of_all_tables_come_back(source: Callable[[], Records]) -> None:
    run = Run(received(source()))
    for table in TABLES:
        assert stored(table), f"{table} is empty and proves nothing"
        assert run.rows.get(table, {}) == stored(table), table


@pytest.mark.usefixtures("deployment")
def test_an_object_by_type_gives_all_but_the_year() -> None:
    run = Run(received({name: all_of(kind) for name, kind in KINDS.items()}))
    for table in run.rows.keys() - {"user_sections"}:
        assert run.rows[table] == stored(table), table
    years = {key: row | {"year": None} for key, row in stored("user_sections").items()}
    assert run.rows["user_sections"] == years


@pytest.mark.usefixtures("deployment")
def test_a_list_of_users_gives_the_accounts_locked() -> None:
    users = [{key: user[key] for key in OLDER_USER_KEYS} for user in api_users()]
    run = Run(received({"user": users}))
    later = dict.fromkeys(("_sid", "_grade_data", "_ap_exam", "_class", "_school", "_game_profile"))
    locked = {key: row | {"_password": LOCKED} | later for key, row in stored("users").items()}
    assert run.rows["users"] == locked
    assert run.rows["user_sections"] == stored("user_sections")
    inhabited = {section for _, section in stored("user_sections")}
    assert run.rows["sections"] == {key: row for key, row in stored("sections").items() if key in inhabited}
