"""What holds for every adapter: types, tables, columns, accounting."""

from __future__ import annotations

import importlib
from typing import Any

import pytest

from app.errors import DoesNotFit
from app.transfer.adapters import AdapterSet

from . import records as make
from .engine import ADAPTERS, TABLES, Run, adapt

EXPORTED: dict[str, list[dict[str, Any]]] = {
    "sections": [make.section()],
    "users": [make.exported_user()],
    "topics": [make.topic()],
    "microblogs": [make.microblog()],
    "posts": [make.post()],
    "personas": [make.persona()],
    "user_personas": [make.user_persona()],
    "classrooms": [make.classroom()],
    "feedback": [make.feedback()],
    "study": [make.study()],
}
BESIDES: dict[str, list[dict[str, Any]]] = {
    "user": [make.api_user()],
    "leaderboard": [make.score()],
    "elementary_leaderboard": [make.score()],
    "skill_passport": [make.passport(make.skills())],
    "skill_snapshots": [make.skills()],
}
EVERYTHING = EXPORTED | BESIDES


def test_there_is_an_adapter_for_every_type() -> None:
    assert set(ADAPTERS.adapters) == set(EVERYTHING)


def test_the_revision_is_the_baseline() -> None:
    assert ADAPTERS.revision == "0001_classic"


def test_the_adapters_make_all_fifteen_tables() -> None:
    made = {table for adapter in ADAPTERS.adapters.values() for table in adapter.makes}
    assert made == set(TABLES)
    assert len(TABLES) == 15


def test_what_is_declared_names_classic_columns() -> None:
    for name in ADAPTERS.not_carried:
        table, column = name.split(".")
        assert column in {*TABLES[table][0], *TABLES[table][1]}
    for table, column in ADAPTERS.natural_keys.items():
        assert column in TABLES[table][1]


def test_types_come_after_the_ones_they_ask_about() -> None:
    order = ADAPTERS.in_order(sorted(EVERYTHING, reverse=True))
    for before, after in [
        ("users", "user"),
        ("sections", "user"),
        ("users", "user_personas"),
        ("user", "user_personas"),
        ("personas", "user_personas"),
        ("skill_snapshots", "skill_passport"),
    ]:
        assert order.index(before) < order.index(after)


def test_a_full_source_makes_a_row_of_every_table() -> None:
    # The tiny engine checks each row's columns against the classic table.
    run = Run(EVERYTHING)
    assert {table: len(rows) for table, rows in run.rows.items()} == dict.fromkeys(TABLES, 1) | {"classroom_student": 2}


@pytest.mark.parametrize("record_type", [name for name in EVERYTHING if name != "microblogs"])
def test_an_unknown_key_stops_the_run_by_name(record_type: str) -> None:
    changed = EVERYTHING | {record_type: [EVERYTHING[record_type][0] | {"shoe_size": None}]}
    with pytest.raises(DoesNotFit, match=rf"unaccounted: {record_type}\.shoe_size$"):
        Run(changed)


@pytest.mark.parametrize(
    ("record_type", "record", "name"),
    [
        ("user", make.old_user(sections=[make.section(year=1, colour="red")]), r"user\.sections\.colour"),
        ("users", make.exported_user(personas=[make.nested_persona(mood=1)]), r"users\.personas\.mood"),
        ("posts", make.post(replies=[make.reply(id=20, likes=0)]), r"posts\.replies\.likes"),
        ("skill_passport", make.passport(make.skills(mark=1)), r"skill_passport\.history\.mark"),
    ],
)
def test_an_unknown_key_of_a_nested_record_stops_the_run(record_type: str, record: dict[str, Any], name: str) -> None:
    with pytest.raises(DoesNotFit, match=f"unaccounted: {name}"):
        adapt(record_type, record)


@pytest.mark.parametrize("changed", ["sections", "personas"])
def test_an_unknown_key_of_a_nested_repeat_stops_the_run(changed: str) -> None:
    odd = EVERYTHING["users"][0]
    odd = odd | {changed: [odd[changed][0] | {"odd": 1}]}
    with pytest.raises(DoesNotFit, match=rf"unaccounted: users\.{changed}\.odd"):
        Run(EVERYTHING | {"users": [odd]})


# The keys a record may lack: derived ones, and those of users that not every version has. Any other is needed.
MAY_LACK = {
    "users": {"password", "sid", "class", "grade_data", "ap_exam", "school", "game_profile", "personas"},
    "topics": {"postCount"},
    "posts": {"userUid", "studentName", "replyCount", "replies"},
    "microblogs": {"userName", "userUid", "topicKey", "topicPath", "characterCount"},
    "user_personas": {"userUid", "personaAlias"},
    "classrooms": {"ownerUid", "studentUids"},
    "study": {"userUid"},
}


@pytest.mark.parametrize(
    ("record_type", "key"),
    [(kind, key) for kind, [record] in EXPORTED.items() for key in record if key not in MAY_LACK.get(kind, ())],
)
def test_a_missing_key_stops_the_run_by_name(record_type: str, key: str) -> None:
    record = {name: value for name, value in EXPORTED[record_type][0].items() if name != key}
    with pytest.raises(DoesNotFit, match=f"{record_type} record 1 has no {key!r}"):
        Run(EXPORTED | {record_type: [record]})


def test_the_set_is_found_by_the_name_of_the_module() -> None:
    module = importlib.import_module("app.classic")
    assert AdapterSet.of(module).adapters.keys() == EVERYTHING.keys()
