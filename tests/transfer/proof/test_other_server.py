"""What another kind of server has of a source's schema, of definitions alone."""

from __future__ import annotations

import pytest

from app.dialects.model import Column, Definition, LogicalType, Table
from app.transfer.proof.other_server import find_missing

TABLES = {
    "person": Table(
        "person",
        (Column("id", LogicalType.INT), Column("name", LogicalType.TEXT), Column("is_on", LogicalType.BOOL)),
        ("id",),
    )
}


def index(name: str, *columns: str, text: str = "", kind: str = "index") -> Definition:
    return Definition(kind, "person", name, columns, text or " , ".join(columns))


def missing(source: list[Definition], staging: list[Definition]) -> list[str]:
    return [str(item) for item in find_missing(source, staging, TABLES)]


@pytest.mark.parametrize(
    ("there", "here"),
    [
        (index("by_name", "name"), index("ix_1", "name", text="btree ( name )")),
        (index("by_name", "name"), index("one", "name", "is_on", text="btree ( name , is_on )", kind="unique")),
        (index("by_lower", text="lower ( name )"), index("by_lower", text="btree ( lower ( name ) )")),
        (index("by_key", "id"), index("other", "name")),
        (index("one", "id", kind="unique"), index("other", "name")),
        (Definition("check", "person", "", ("is_on",), "is_on in ( 0 , 1 )"), index("other", "name")),
        (Definition("check", "person", "a", ("name",), "name <> ''"), Definition("check", "person", "b", ("name",))),
        (Definition("autoincrement", "person", "id", ("id",), "autoincrement"), index("other", "name")),
        (Definition("collation", "person", "name", ("name",), "utf8mb4_nopad_bin"), index("other", "name")),
        (Definition("comment", "person", "name", ("name",), "x"), Definition("comment", "person", "name", (), "x")),
    ],
    ids=lambda item: f"{item.kind}-{item.name}",
)
def test_what_is_there_in_the_servers_own_way_is_not_missing(there: Definition, here: Definition) -> None:
    assert missing([there], [here]) == []


@pytest.mark.parametrize(
    ("item", "here"),
    [
        (index("by_name", "name"), index("one_on", "name", text="name where is_on")),
        (index("words", "name", text="fulltext name"), index("by_name", "name")),
        (index("by_lower", text="lower ( name )", kind="unique"), index("by_name", "name")),
        (Definition("check", "person", "a", ("name",), "name <> ''"), Definition("check", "person", "b", ("id",))),
        (Definition("foreign key", "person", "fk", ("name",), "name references town ( id )"), index("fk", "name")),
        (Definition("exclude", "person", "apart", ("name",), "exclude ( name with = )"), index("apart", "name")),
        (Definition("collation", "person", "name", ("name",), "nocase"), index("by_name", "name")),
        (Definition("comment", "person", "name", ("name",), "x"), Definition("comment", "person", "name", (), "y")),
        (Definition("row security", "person", "person", (), "enabled"), index("by_name", "name")),
    ],
    ids=lambda item: f"{item.kind}-{item.name}",
)
def test_what_has_no_like_is_missing(item: Definition, here: Definition) -> None:
    assert missing([item], [here]) == [str(item)]


@pytest.mark.parametrize("name", ["person_ibfk_1", "name"])
def test_an_index_that_mysql_made_for_a_foreign_key_is_not_missing(name: str) -> None:
    key = Definition("foreign key", "person", "person_ibfk_1", ("name",), "name references town ( id )")
    assert missing([key, index(name, "name")], [key]) == []
    assert missing([key, index("by_name", "name")], [key]) == ["index by_name on person"]
