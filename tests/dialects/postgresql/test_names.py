"""Names of schemas: which are ours, and what a URL says."""

from __future__ import annotations

import re

import pytest
from sqlalchemy import URL

from app.dialects import dialect_for
from app.dialects.postgresql.names import (
    BESIDE,
    Place,
    app_url,
    first_schema,
    list_schemas,
    named_place,
    parse,
    schema_named,
    with_schema,
)
from app.errors import Protected
from tests.dialects.rooms import Room

from .schemas import ask


def test_names_beside_a_target_are_reversible_and_apart() -> None:
    assert parse("ferry_staging_20261123T154658_abc123_scratch") == (
        "public",
        "ferry_staging_",
        "20261123T154658-abc123-scratch",
    )
    assert parse("app__ferry_gen_0badcafe_old") == ("app", "ferry_gen_", "0badcafe-old")
    assert parse("ferry") == ("public", "", "")
    for name in ("ferry", "ferry_hold", "shop__ferry_control2", "a__b__ferry_staging_X_scratch"):
        assert re.fullmatch(BESIDE, name)
    assert not any(re.fullmatch(BESIDE, name) for name in ("public", "ferryman", "shop__x", "x_ferry"))
    assert parse("a__b__ferry") == ("a__b", "", "")
    assert parse("x__ferry_y__ferry_gen_a_old") == ("x__ferry_y", "ferry_gen_", "a-old")
    assert [parse(name) for name in ("public", "ferryman", "ferry_staging_", "ferry_stage", "x_ferry")] == [None] * 5
    assert parse("ferry_staging_a__ferry_gen_b") == ("public", "ferry_staging_", "a--ferry-gen-b")


@pytest.mark.parametrize(
    ("options", "schema"),
    [
        ("", None),
        ("-c statement_timeout=5s", None),
        ("-csearch_path=app", "app"),
        ("-c search_path=a -csearch_path=b,c", "b"),
        ("--search-path=App,public", "app"),
        ('-c search_path="App"', "App"),
        ('-c search_path=\\"$user\\",\\ public', "public"),
        ('-csearch_path="a""b\\ c"', 'a"b c'),
    ],
)
def test_the_schema_that_a_url_names(options: str, schema: str | None) -> None:
    url = URL.create("postgresql", database="x", query={"options": options} if options else {})
    assert schema_named(url) == schema
    for name in ("ferry_staging_X", 'we"ird \\ name'):
        assert schema_named(with_schema(url, name)) == name
        assert app_url(with_schema(url, "ferry_gen_0badcafe_old")) == url
    assert app_url(url) == url
    assert named_place(url, "shop") == (None if schema else Place("shop", "shop"))
    assert named_place(url, None) is None
    assert first_schema('"$user", public') == "public"
    assert list_schemas('"$user", public,"A ""b"') == ["$user", "public", 'A "b']
    assert list_schemas("") == []


def test_a_schema_that_no_server_cut_off_is_named(room: Room) -> None:
    room.dialect.create(room.target)
    for name in ('we"ird \\ näme', "UPPER lower"):
        quoted = '"' + name.replace('"', '""') + '"'
        room.execute(f"CREATE SCHEMA {quoted}")
        assert ask(room, "SELECT current_schema()", url=with_schema(room.target, name)) == [name]


@pytest.mark.parametrize("schema", ["ferry", "ferry_staging_x", "app__ferry_gen_a_old", "pg_temp", "x" * 16])
def test_a_target_without_room_for_names_is_refused(schema: str) -> None:
    url = with_schema(URL.create("postgresql", host="localhost", database="x"), schema)
    with pytest.raises(Protected, match=schema[:20]):
        dialect_for(url)


def test_a_url_without_a_database_is_refused() -> None:
    with pytest.raises(Protected, match="names no database"):
        dialect_for(URL.create("postgresql", host="localhost"))
