"""The generation mark at the end of a schema's comment; whatever else the comment says stays."""

from __future__ import annotations

import pytest

from app.dialects.postgresql.mark import live_mark, made_in, mark_in, with_made, with_mark
from app.dialects.postgresql.names import Place
from tests.dialects.rooms import Room


@pytest.mark.parametrize("comment", [None, "", "of the shop", "ends in [ferry]", "[ferry 0badcafe] inside", "a\nb "])
def test_a_mark_is_put_changed_and_taken_away(comment: str | None) -> None:
    assert mark_in(comment) == ""
    marked = with_mark(comment, "0badcafe")
    assert mark_in(marked) == "0badcafe"
    again = with_mark(marked, "0000000a")
    assert (mark_in(again), again and again.count("0badcafe")) == ("0000000a", (comment or "").count("0badcafe"))
    assert (with_mark(again, "") or "") == (comment or "")
    assert with_mark(comment, "") == (comment or None)


@pytest.mark.parametrize("comment", [None, "of the shop", "ours [ferry 0badcafe]", "[ferry 0badcafe]"])
def test_what_was_made_for_a_schema_is_beside_the_mark(comment: str | None) -> None:
    made = with_made(comment, ["citext", 'an "odd" ] name'])
    assert made_in(made) == ["citext", 'an "odd" ] name']
    assert mark_in(made) == mark_in(comment)
    assert made_in(with_mark(made, "0000000a")) == made_in(made)
    assert mark_in(with_mark(made, "0000000a")) == "0000000a"
    assert made_in(with_made(made, ["hstore"])) == ["hstore"]
    assert with_made(made, []) == comment
    assert made_in(comment) == []


def test_of_the_schema_that_a_session_is_in_or_one_that_is_named(room: Room) -> None:
    room.dialect.create(room.target)
    for schema, mark in (("public", "0000000a"), ("shop", "0badcafe")):
        room.execute(f"CREATE SCHEMA IF NOT EXISTS {schema}")
        room.execute(f"COMMENT ON SCHEMA {schema} IS 'ours [ferry {mark}]'")
    with room.connect() as connection:
        assert live_mark(connection, None) == "0000000a"
        assert live_mark(connection, Place("shop", "shop")) == "0badcafe"
        assert live_mark(connection, Place("none", "none")) == ""


@pytest.mark.parametrize("comment", ["[ferry 0badcafe] ", "[ferry 0BADCAFE]", "[ferry 0badcaf]", "[ferry 0badcafe]]"])
def test_what_is_no_mark(comment: str) -> None:
    assert mark_in(comment) == ""
