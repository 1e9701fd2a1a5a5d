"""Personas and the natural keys of user_personas."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import DoesNotFit
from app.transfer.adapters import JSON_NULL

from . import records as make
from .engine import Run, adapt
from .records import moment


def chosen(*records: dict[str, Any]) -> Run:
    return Run(
        {
            "user_personas": list(records),
            "personas": [make.persona(), make.persona(id=9, alias="Owl")],
            "users": [make.exported_user(), make.exported_user(id=8, uid="")],
        }
    )


@pytest.mark.parametrize("value", [0, "text", [], {}, {"a": None}])
def test_maps_take_any_value(value: Any) -> None:
    [row] = adapt("personas", make.persona(bio_map=value, empathy_map=value)).table("personas")
    assert (row["_bio_map"], row["_empathy_map"]) == (value, value)


def test_null_maps() -> None:
    [row] = adapt("personas", make.persona(bio_map=None, empathy_map=None)).table("personas")
    assert row["_bio_map"] is JSON_NULL  # NOT NULL: it can only have been a JSON null
    assert row["_empathy_map"] is None


def test_natural_keys_become_ids() -> None:
    run = chosen(make.user_persona(), make.user_persona(userUid="", personaAlias="Owl", selectedAt=None))
    assert run.table("user_personas") == [
        {"user_id": 7, "persona_id": 2, "weight": 4, "selected_at": moment(2023, 9, 1, 8, 15, 30, 250)},
        {"user_id": 8, "persona_id": 9, "weight": 4, "selected_at": None},
    ]


def test_the_nested_personas_of_the_users_are_repeats() -> None:
    run = chosen(make.user_persona())
    assert len(run.table("user_personas")) == 1
    assert run.waived()["users.personas.persona_alias"] == 2


@pytest.mark.parametrize("changes", [{"userUid": "nobody"}, {"personaAlias": "OWL"}])
def test_an_unknown_natural_key_stops_the_run(changes: dict[str, str]) -> None:
    with pytest.raises(DoesNotFit, match=r"no row of \w+ has .(nobody|OWL)"):
        chosen(make.user_persona(**changes))


def test_a_row_left_behind_by_a_deleted_user_is_waived_and_noted() -> None:
    left = make.user_persona()
    del left["userUid"]
    run = chosen(left, make.user_persona())
    assert len(run.table("user_personas")) == 1
    assert run.waived()["user_personas.weight"] == 1
    assert any(note.startswith("not carried: its user or persona is gone") for note in run.notes())
