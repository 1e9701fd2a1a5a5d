"""Sections, users, enrolments: which record type makes which rows."""

from __future__ import annotations

from typing import Any

import pytest

from app.classic.accounts import LOCKED
from app.errors import DoesNotFit

from . import records as make
from .engine import Run, adapt

ENROLLED = {"user_id": 7, "section_id": 3, "year": 2023}


def without(record: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in keys}


def both(**changes: Any) -> Run:
    """A newer deployment: the export and ``GET /api/user``."""
    types: dict[str, Any] = {
        "sections": [make.section()],
        "users": [make.exported_user()],
        "user": [make.api_user()],
        "personas": [make.persona()],
        "user_personas": [make.user_persona()],
    }
    return Run({name: records for name, records in (types | changes).items() if records is not None})


def test_a_user_of_the_export() -> None:
    assert both().table("users") == [
        {
            "id": 7,
            "_name": "Ada Amberwood",
            "_uid": "ada",
            "_email": "ada@example.org",
            "_sid": "s-7",
            "_password": make.HASH,
            "_role": "Student",
            "_pfp": "ada.png",
            "kasm_server_needed": False,
            "_grade_data": {"2023": {"score": 91}},
            "_ap_exam": {},
            "_class": ["CSA"],
            "_school": None,
            "_game_profile": None,
        }
    ]


@pytest.mark.parametrize("text", ["", "x" * 255, "שלום עולם", "👩‍🚀", " a /?&# b "])
def test_odd_texts_stay_what_they_are(text: str) -> None:
    [row] = both(
        users=[make.exported_user(uid=text, name=text)],
        user=[make.api_user(uid=text, name=text)],
        user_personas=[make.user_persona(userUid=text)],
    ).table("users")
    assert (row["_uid"], row["_name"]) == (text, text)


@pytest.mark.parametrize("value", [0, 1.5, "text", [], [1], False, {}, None])
def test_json_columns_of_users_take_any_value(value: Any) -> None:
    keys = ("grade_data", "ap_exam", "class", "game_profile")
    [row] = adapt("users", make.exported_user(**dict.fromkeys(keys, value))).table("users")
    assert [row["_" + key] for key in keys] == [value] * 4


def test_uids_that_differ_by_case_only_are_two_users() -> None:
    run = Run(
        {
            "users": [make.exported_user(id=1, uid="ILSE"), make.exported_user(id=2, uid="ilse")],
            "sections": [make.section()],
            "personas": [make.persona()],
            "user_personas": [make.user_persona(userUid="ilse"), make.user_persona(userUid="ILSE", weight=1)],
        }
    )
    assert [(row["user_id"], row["weight"]) for row in run.table("user_personas")] == [(2, 4), (1, 1)]


class TestBoth:
    """``users`` makes the accounts, ``user`` the enrolments."""

    def test_the_year_comes_from_user(self) -> None:
        assert both().table("user_sections") == [ENROLLED]

    def test_a_year_may_be_null(self) -> None:
        run = both(user=[make.api_user(sections=[make.section(year=None)])])
        assert run.table("user_sections") == [ENROLLED | {"year": None}]
        assert run.notes() == []

    def test_the_rest_of_user_is_waived_by_name(self) -> None:
        waived = both().waived()
        for key in ("uid", "name", "email", "sid", "role", "pfp", "class", "kasm_server_needed", "access"):
            assert waived[f"user.{key}"] == 1
        assert waived["users.sections.name"] == waived["user.personas.persona_id"] == 1
        assert waived["user.sections.abbreviation"] == 1

    def test_a_hash_in_user_is_a_repeat_too(self) -> None:
        assert both(user=[make.api_user(password=make.HASH)]).waived()["user.password"] == 1

    def test_no_account_is_locked(self) -> None:
        assert both().notes() == []

    def test_a_user_whom_the_export_does_not_have_stops_the_run(self) -> None:
        with pytest.raises(DoesNotFit, match="'users', 8"):
            both(user=[make.api_user(), make.api_user(id=8, uid="bram")])

    def test_an_enrolment_that_user_does_not_have_stops_the_run(self) -> None:
        with pytest.raises(DoesNotFit, match=r"'user_sections', \(7, 3\)"):
            both(user=[make.api_user(sections=[])])

    def test_a_section_that_the_export_does_not_have_stops_the_run(self) -> None:
        with pytest.raises(DoesNotFit, match="'sections', 4"):
            both(user=[make.api_user(sections=[make.section(id=4, year=2024)])])


class TestExportOnly:
    """``data.json`` in the shape of an object: the year is nowhere."""

    def test_enrolments_come_without_a_year_and_say_so(self) -> None:
        run = both(user=None)
        assert run.table("user_sections") == [ENROLLED | {"year": None}]
        assert run.notes() == ["the API does not say the year of the enrolment: NULL"]

    def test_a_year_is_taken_where_there_is_one(self) -> None:
        run = both(user=None, users=[make.exported_user(sections=[make.section(year=2023)])])
        assert run.table("user_sections") == [ENROLLED]

    def test_sections_come_from_the_users_where_nothing_else_gives_them(self) -> None:
        run = both(user=None, sections=None)
        assert run.table("sections") == [{"id": 3, "_name": "Computer Science", "_abbreviation": "CSA"}]

    def test_nested_personas_make_rows_where_nothing_else_does(self) -> None:
        run = both(user_personas=None)
        assert [row["weight"] for row in run.table("user_personas")] == [4]


class TestUserOnly:
    """Older deployments, and ``data.json`` in the shape of a list."""

    def test_all_rows_come_from_user(self) -> None:
        run = adapt("user", make.old_user(), make.old_user(id=8, uid="bram"))
        assert [row["_uid"] for row in run.table("users")] == ["ada", "bram"]
        assert run.table("sections") == [{"id": 3, "_name": "Computer Science", "_abbreviation": "CSA"}]
        assert run.table("user_sections") == [ENROLLED, ENROLLED | {"user_id": 8}]

    def test_what_older_versions_do_not_say_is_null_and_noted(self) -> None:
        run = adapt("user", make.old_user())
        [row] = run.table("users")
        assert {row[column] for column in ("_sid", "_class", "_grade_data", "_ap_exam", "_school")} == {None}
        assert run.notes() == [
            "the API does not say sid, class, grade_data, ap_exam, school, game_profile: NULL",
            "the API does not say the password: the account is locked until one is set",
            "the API does not say the personas of the user: no rows of user_personas",
            "known from its members only: a section without members is not carried",
        ]

    def test_accounts_are_locked(self) -> None:
        assert [row["_password"] for row in adapt("user", make.old_user()).table("users")] == [LOCKED]

    def test_a_hash_is_kept_where_there_is_one(self) -> None:
        [row] = adapt("user", make.api_user(password=make.HASH)).table("users")
        assert row["_password"] == make.HASH

    def test_personas_make_rows_where_the_source_has_them(self) -> None:
        run = Run({"user": [make.api_user()], "personas": [make.persona()]})
        [row] = run.table("user_personas")
        assert (row["user_id"], row["persona_id"], row["weight"]) == (7, 2, 4)
        assert row["selected_at"].microsecond == 250

    def test_personas_are_waived_where_there_is_nothing_to_refer_to(self) -> None:
        run = adapt("user", make.api_user())
        assert run.table("user_personas") == []
        assert run.waived()["user.personas.weight"] == 1

    def test_personas_that_are_not_said_are_noted(self) -> None:
        run = Run({"user": [make.old_user()], "personas": [make.persona()]})
        assert "the API does not say the personas of the user: no rows of user_personas" in run.notes()

    def test_a_persona_of_somebody_else_stops_the_run(self) -> None:
        odd = make.api_user(personas=[make.nested_persona(user_id=8)])
        with pytest.raises(DoesNotFit, match="'user_id' is 8, but the id of the user is 7"):
            Run({"user": [odd], "personas": [make.persona()]})

    def test_a_section_that_differs_between_users_stops_the_run(self) -> None:
        with pytest.raises(DoesNotFit, match="two different rows of sections"):
            adapt("user", make.old_user(), make.old_user(id=8, sections=[make.section(name="Other", year=1)]))

    def test_a_user_without_the_list_of_sections_stops_the_run(self) -> None:
        with pytest.raises(DoesNotFit, match="has no 'sections'"):
            adapt("user", without(make.old_user(), "sections"))


class TestPasswords:
    @pytest.mark.parametrize("stored", ["pbkdf2:sha256:260000$a$b", "pbkdf2:sha512:1$a$b", make.HASH, "plain"])
    def test_what_is_stored_is_kept_as_it_is(self, stored: str) -> None:
        [row] = adapt("users", make.exported_user(password=stored)).table("users")
        assert row["_password"] == stored

    @pytest.mark.parametrize("stored", [None, ""])
    def test_an_empty_one_locks_the_account(self, stored: str | None) -> None:
        run = adapt("users", make.exported_user(password=stored))
        assert [row["_password"] for row in run.table("users")] == [LOCKED]
        assert "the password is empty: the account is locked until one is set" in run.notes()

    def test_a_missing_one_locks_the_account(self) -> None:
        run = both(users=[without(make.exported_user(), "password")])
        assert [row["_password"] for row in run.table("users")] == [LOCKED]
        assert run.notes() == ["the API does not say the password: the account is locked until one is set"]
        assert run.accounts.samples["users", run.notes()[0]] == ["users record 1"]

    @pytest.mark.parametrize("attempt", ["", LOCKED, "password"])
    def test_nobody_can_log_in_to_a_locked_account(self, attempt: str) -> None:
        from werkzeug.security import check_password_hash

        assert not check_password_hash(LOCKED, attempt)
