"""Leaderboards and skill histories."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app.errors import DoesNotFit
from app.transfer.adapters import JSON_NULL

from . import records as make
from .engine import Run, adapt
from .records import moment

BOARDS = {"leaderboard": "leaderboard", "elementary_leaderboard": "elementary_leaderboard_events"}


@pytest.mark.parametrize(("record_type", "table"), BOARDS.items())
def test_a_score(record_type: str, table: str) -> None:
    run = adapt(record_type, make.score())
    at = moment(2023, 9, 1, 8, 15, 30, 250)
    assert run.table(table) == [{"id": 61, "_user_id": 7, "_payload": {"score": 12}, "_timestamp": at}]
    assert run.waived() == {f"{record_type}.{key}": 1 for key in ("user", "algoName", "eventName")}


@pytest.mark.parametrize("payload", [0, "text", [], {}, Decimal("1.50"), True])
def test_a_payload_may_be_any_value(payload: Any) -> None:
    [row] = adapt("leaderboard", make.score(payload=payload)).table("leaderboard")
    assert row["_payload"] is payload


def test_a_null_payload_is_the_json_null() -> None:
    [row] = adapt("leaderboard", make.score(payload=None)).table("leaderboard")
    assert row["_payload"] is JSON_NULL


@pytest.mark.parametrize("user_id", [None, 404])
def test_the_player_may_be_gone(user_id: int | None) -> None:
    run = adapt("leaderboard", make.score(userId=user_id, user=None))
    assert [row["_user_id"] for row in run.table("leaderboard")] == [user_id]
    assert run.waived()["leaderboard.user"] == 1


def test_an_unknown_key_of_the_player_stops_the_run() -> None:
    with pytest.raises(DoesNotFit, match="'user' has keys nobody accounts for: level"):
        adapt("leaderboard", make.score(user={"id": 7, "uid": "ada", "name": "Ada", "level": 3}))


def test_a_player_of_another_kind_stops_the_run() -> None:
    with pytest.raises(DoesNotFit, match="'user' is not an object"):
        adapt("leaderboard", make.score(user="ada"))


def test_skill_snapshots_come_under_their_column_names() -> None:
    run = adapt("skill_snapshots", make.skills(snapshot_date=None))
    assert run.table("skill_snapshots") == [make.skills(snapshot_date=None)]
    assert run.waived() == {}


FIRST = make.skills(id=70, snapshot_date="2023-12-01T00:00:00.000001", initiative=1)
NEWEST = make.skills()


def test_every_entry_of_a_passport_is_a_row() -> None:
    run = adapt("skill_passport", make.passport(FIRST, NEWEST, current=NEWEST))
    assert [row["id"] for row in run.table("skill_snapshots")] == [70, 71]
    assert [row["snapshot_date"] for row in run.table("skill_snapshots")] == [
        moment(2023, 12, 1, 0, 0, 0, 1),
        moment(2024, 1, 1),
    ]
    assert run.waived() == {"skill_passport.current_skills": 1}


def test_a_passport_may_be_empty() -> None:
    assert adapt("skill_passport", make.passport()).table("skill_snapshots") == []


@pytest.mark.parametrize(
    "current",
    [
        None,
        {},
        {"coding_ability": 3, "initiative": 5},
        NEWEST,
        make.skills(id=69, initiative=0),
        FIRST,
        {"initiative": 1},
    ],
)
def test_current_skills_repeat_any_entry_of_the_history(current: dict[str, Any] | None) -> None:
    twin = make.skills(id=69, initiative=0)  # of the same instant: servers give either
    run = adapt("skill_passport", make.passport(FIRST, twin, NEWEST, current=current))
    assert len(run.table("skill_snapshots")) == 3


@pytest.mark.parametrize(
    "current",
    [NEWEST | {"initiative": 4}, NEWEST | {"rank": 1}, FIRST | {"initiative": 5}],
)
def test_current_skills_that_are_nowhere_in_the_history_stop_the_run(current: dict[str, Any]) -> None:
    with pytest.raises(DoesNotFit, match="'current_skills' is no entry of its history"):
        adapt("skill_passport", make.passport(FIRST, NEWEST, current=current))


def test_current_skills_without_a_history_stop_the_run() -> None:
    with pytest.raises(DoesNotFit, match="'current_skills' is no entry"):
        adapt("skill_passport", make.passport(current=NEWEST))


def test_a_history_of_somebody_else_stops_the_run() -> None:
    with pytest.raises(DoesNotFit, match="'user_id' is 8, but the user of the passport is 7"):
        adapt("skill_passport", make.passport(make.skills(user_id=8)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"history": None}, "'history' is not a list"),
        ({"history": [1]}, r"history\[0\] is not an object"),
        ({"current_skills": [1]}, "'current_skills' is not an object"),
    ],
)
def test_passports_of_another_kind_stop_the_run(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(DoesNotFit, match=message):
        adapt("skill_passport", make.passport() | changes)


def test_a_passport_repeats_exported_snapshots() -> None:
    both = {"skill_snapshots": [FIRST, NEWEST], "skill_passport": [make.passport(FIRST, NEWEST)]}
    run = Run(both)
    assert len(run.table("skill_snapshots")) == 2
    assert run.waived()["skill_passport.history.initiative"] == 2


def test_a_snapshot_that_the_export_does_not_have_stops_the_run() -> None:
    with pytest.raises(DoesNotFit, match="'skill_snapshots', 71"):
        Run({"skill_snapshots": [FIRST], "skill_passport": [make.passport(FIRST, NEWEST)]})
