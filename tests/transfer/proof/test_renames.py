"""Definitions under the names that an upgrade gave to tables and columns."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.dialects.model import Definition
from app.transfer.proof.renames import follow, list_renames
from app.transfer.schema.declarations import Declarations
from app.transfer.schema.listen import Heard
from app.transfer.schema.statements import Rename

TABLE = Rename("", "users", "people")
COLUMN = Rename("users", "name", "full_name")
INDEX = Definition("index", "users", "by_name", ("name",), "name")
CHECK = Definition("check", "users", "", ("name",), "name <> 'name'")
COLLATION = Definition("collation", "users", "name", ("name",), "nocase")
KEY = Definition("foreign key", "users", "", ("boss",), "boss references users id")
OTHERS = Definition("foreign key", "posts", "", ("name",), "name references users name")


@pytest.mark.parametrize(
    ("definition", "rename", "change"),
    [
        (INDEX, TABLE, {"table": "people"}),
        (INDEX, COLUMN, {"columns": ("full_name",), "text": "full_name"}),
        (CHECK, COLUMN, {"columns": ("full_name",), "text": "full_name <> 'name'"}),
        (COLLATION, COLUMN, {"name": "full_name", "columns": ("full_name",)}),
        (KEY, TABLE, {"table": "people", "text": "boss references people id"}),
        (KEY, Rename("users", "id", "uid"), {"text": "boss references users uid"}),
        # Of another table only what it says of its parent changes, and not its own column of that name.
        (OTHERS, COLUMN, {"text": "name references users full_name"}),
        (OTHERS, TABLE, {"text": "name references people name"}),
        (replace(INDEX, table="posts"), COLUMN, {}),
        (Definition("view", "", "users"), TABLE, {"name": "people"}),
        (Definition("comment", "users", "users", (), "users of name"), TABLE, {"table": "people", "name": "people"}),
        (
            Definition("comment", "users", "name", ("name",), "a name"),
            COLUMN,
            {"name": "full_name", "columns": ("full_name",)},
        ),
        (Definition("index", "users", "users"), TABLE, {"table": "people"}),
    ],
)
def test_what_a_new_name_makes_of_a_definition(
    definition: Definition, rename: Rename, change: dict[str, object]
) -> None:
    assert follow(definition, [rename]) == replace(definition, **change)  # type: ignore[arg-type]


def test_names_are_followed_one_after_the_other() -> None:
    again = [TABLE, Rename("people", "name", "full_name"), Rename("", "people", "persons")]
    assert follow(INDEX, again) == Definition("index", "persons", "by_name", ("full_name",), "full_name")


def test_what_was_declared_and_nobody_heard_is_a_new_name_too() -> None:
    heard = Heard(renames=[COLUMN])
    moves = {
        "users": ("people",),
        "users.name": ("users.full_name",),
        "users.bio": ("users.about",),
        "posts": ("texts", "drafts"),
        "users.mail": ("mails",),
        "tags": ("Tags",),
    }
    renames = list_renames(heard, Declarations((moves,), {}))
    assert renames == [COLUMN, Rename("users", "bio", "about"), TABLE]
    assert heard.renames == [COLUMN]
