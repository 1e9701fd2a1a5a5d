"""Sections, users, and who is enrolled in which section.

A user comes in two record types. ``users`` is the export: with the password's hash, but without the year of an
enrolment. ``user`` is ``GET /api/user``, which every version has: with the year, and in most without the hash.
Who makes which rows follows from the types that the source gave:

====================  =======================================  ==========================
the source gave       ``users`` makes                          ``user`` makes
====================  =======================================  ==========================
both                  users, user_personas *                   user_sections
only ``users``        users, user_sections, user_personas *
only ``user``                                                  all three
====================  =======================================  ==========================

\\* where the source has personas but no ``user_personas`` records. Rows of sections are made along with those of
user_sections where there are no ``sections`` records.
"""

from __future__ import annotations

from typing import Any

from ..transfer.adapters import Find, Record, Row, Rows, adapter
from .profiles import NESTED_PERSONA, read_personas
from .values import nested

# No password hashes to this: the account is there, with all its rows, and nobody can log in until an
# administrator sets a password. An empty one might let anybody in.
LOCKED = "!"

ENROLMENT_TABLES = ("sections", "user_sections", "user_personas")

# Keys that older versions do not have yet, and the columns they fill.
LATER_KEYS = {
    "sid": "_sid",
    "class": "_class",
    "grade_data": "_grade_data",
    "ap_exam": "_ap_exam",
    "school": "_school",
    "game_profile": "_game_profile",
}

ACCOUNT_KEYS = ("uid", "name", "email", "role", "pfp", "kasm_server_needed", "password", *LATER_KEYS)


@adapter("sections", makes=("sections",))
def sections(record: Record, _find: Find) -> Rows:
    """A course section."""
    yield "sections", _section(record)


@adapter("users", makes=("users", *ENROLMENT_TABLES))
def users(record: Record, find: Find) -> Rows:
    """An account as the export gives it."""
    _waive_access(record)
    yield "users", _account(record)
    if find.has_type("user"):
        for section in nested(record, "sections"):
            find.expect("user_sections", [record["id"], section["id"]])
            section.waive("name", "abbreviation", reason="repeats GET /api/user, which has the year too")
    else:
        yield from _enrolments(record, find)
    yield from read_personas(record, find)


@adapter("user", makes=("users", *ENROLMENT_TABLES), after=("users", "sections"))
def user(record: Record, find: Find) -> Rows:
    """An account as ``GET /api/user`` gives it."""
    _waive_access(record)
    if find.has_type("users"):
        _repeats_export(record, find)
    else:
        yield "users", _account(record)
        yield from read_personas(record, find)
    yield from _enrolments(record, find)


def _waive_access(record: Record) -> None:
    record.waive("access", reason="what the caller may do with the user; not a property of the user")


def _repeats_export(record: Record, find: Find) -> None:
    # Somebody whom only one of the two lists has was added or removed between them: not one state of the source.
    find.expect("users", record["id"])
    record.waive(*ACCOUNT_KEYS, reason="repeats the users record of the export")
    for persona in record.each("personas"):
        persona.waive(*NESTED_PERSONA, reason="repeats the users record of the export")


def _account(record: Record) -> Row:
    missing = [key for key in LATER_KEYS if key not in record]
    if missing:
        record.note(f"the API does not say {', '.join(missing)}: NULL")
    row: dict[str, Any] = {
        "id": record["id"],
        "_name": record["name"],
        "_uid": record["uid"],
        "_email": record["email"],
        "_password": _password(record),
        "_role": record["role"],
        "_pfp": record["pfp"],
        "kasm_server_needed": record["kasm_server_needed"],
    }
    return row | {column: record.get(key) for key, column in LATER_KEYS.items()}


def _password(record: Record) -> Any:
    """The stored hash as it is, or LOCKED."""
    if "password" not in record:
        record.note("the API does not say the password: the account is locked until one is set")
        return LOCKED
    stored = record["password"]
    if stored is None or stored == "":
        record.note("the password is empty: the account is locked until one is set")
        return LOCKED
    return stored


def _enrolments(record: Record, find: Find) -> Rows:
    for section in nested(record, "sections"):
        if find.has_type("sections"):
            find.expect("sections", section["id"])
            section.waive("name", "abbreviation", reason="repeats the sections record")
        else:
            section.note("known from its members only: a section without members is not carried")
            yield "sections", _section(section)
        if "year" not in section:
            section.note("the API does not say the year of the enrolment: NULL")
        row = {"user_id": record["id"], "section_id": section["id"], "year": section.get("year")}
        yield "user_sections", row


def _section(record: Record) -> Row:
    return {"id": record["id"], "_name": record["name"], "_abbreviation": record["abbreviation"]}
