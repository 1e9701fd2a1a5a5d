"""Replacements: the same for equal values, different for unequal ones, never longer than there is room."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import strategies as st

from app.dialects.model import Column, ForeignKey, LogicalType, Table, Values
from app.errors import DoesNotFit, Misconfigured
from app.transfer import profiles
from app.transfer.anonymise import engine
from app.transfer.anonymise.engine import Bound, Chosen
from app.transfer.profiles import (
    Keyed,
    Profile,
    Replacement,
    constant,
    document,
    email,
    emptied,
    keep,
    name,
    no_login,
    text,
    uid,
    without_query,
)
from tests.support.pages import take
from tests.support.site import ROOT

KEYED = Keyed(b"k" * 32)


# Documents

LEAVES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
JSON = st.recursive(LEAVES, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12)


# At work on rows


def column(name: str, kind: LogicalType, **more: Any) -> Column:
    return Column(name, kind, **more)


def rows_of(table: Table, rules: Mapping[str, Replacement], rows: list[Values], exclude: tuple[str, ...] = ()) -> Bound:
    bound = Bound(Chosen("p", Profile({})), {table.name: dict(rules)}, KEYED, frozenset(exclude))
    bound.made = list(bound.rows(table, rows))  # type: ignore[attr-defined]
    return bound


def changed(kind: LogicalType, rule: Replacement, *values: Any, nullable: bool = True) -> list[Any]:
    table = Table("t", (column("c", kind, nullable=nullable),))
    return [row[0] for row in rows_of(table, {"c": rule}, [[value] for value in values]).made]  # type: ignore[attr-defined]


def test_null_stays_null_and_an_empty_text_stays_empty() -> None:
    for rule in (uid(), email(), name(), text(), keep(), without_query(), keep(matching="x")):
        assert changed(LogicalType.TEXT, rule, None, "") == [None, ""]
    assert changed(LogicalType.TEXT, no_login(), None, "", "hash") == [None, "!", "!"]
    assert changed(LogicalType.TEXT, constant("c"), None, "", "x") == [None, "c", "c"]


def test_emptied() -> None:
    assert changed(LogicalType.BYTES, emptied(), "eA==", None) == [None, None]
    assert changed(LogicalType.BYTES, emptied(), "eA==", nullable=False) == [""]
    assert changed(LogicalType.TEXT, emptied(), "x", nullable=False) == [""]
    assert changed(LogicalType.JSON, emptied(), '{"a": 1}', nullable=False) == ["null"]


def test_documents_are_json_again() -> None:
    found = changed(
        LogicalType.JSON,
        document({"n": keep()}, rest=text()),
        '{"n": 1.50, "big": 123456789012345678901234567890, "w": "secret"}',
        '{"n": 123456789012345678901234567890}',
        "null",
        {"$text": "{not json"},
        {"$int": "5"},
        "[" * 5000 + "]" * 5000,
    )
    assert found[0].startswith('{"n":1.50,"big":0,"w":"')
    assert "secret" not in found[0]
    assert found[1:] == ['{"n":123456789012345678901234567890}', "null", "null", "0", "null"]
    assert changed(LogicalType.TEXT, document({"a": keep()}), '{"a": 1, "b": "x"}', "no json") == ['{"a":1}', "null"]


def test_what_sqlite_holds_in_place_of_a_text_is_replaced_too() -> None:
    (number, same, blob) = changed(LogicalType.TEXT, uid(), {"$int": "5"}, "5", {"$bytes": "eA=="})
    assert number == same != blob
    assert changed(LogicalType.ANY, uid(), {"$text": "5"}) == [{"$text": same}]


def test_a_text_where_a_number_is_declared_is_refused_without_being_said() -> None:
    table = Table("t", (column("id", LogicalType.INT), column("born", LogicalType.DATE)))
    with pytest.raises(DoesNotFit, match=r"t\.born is of type date, and holds a text in row 2") as raised:
        rows_of(table, {}, [[1, None], [{"$int": "99999999999999999999"}, {"$text": "Ada's birthday"}]])
    assert "Ada" not in raised.value.message
    kept = rows_of(table, {"born": keep()}, [[1, {"$text": "May"}]])
    assert kept.made == [[1, {"$text": "May"}]]  # type: ignore[attr-defined]


def test_values_are_counted_and_excluded_rows_are_too() -> None:
    table = Table("t", (column("a", LogicalType.TEXT), column("b", LogicalType.TEXT)))
    bound = rows_of(table, {"a": uid(), "b": keep()}, [["x", "y"], [None, "z"]])
    assert bound.receipt([table]) == {
        "profile": "p",
        "replaced": [{"column": "t.a", "by": "uid", "values": 1}],
        "kept": ["t.b"],
    }
    out = rows_of(table, {}, [["x", "y"]], exclude=("t",))
    assert (out.made, out.excluded) == ([], {"t": 1})  # type: ignore[attr-defined]


# What does not fit is said by name


class _Schema:
    def lineage(self) -> list[str]:
        return ["r1", "r2", "r3"]


class _Run:
    schema = _Schema()

    class settings:  # noqa: N801 # as the attribute of a run
        profiles = "module"


def problems(declared: Any, tables: list[Table], revision: str = "r2", exclude: tuple[str, ...] = ()) -> list[str]:
    chosen = Chosen("p", Profile(declared))
    try:
        engine.check_profile(_Run(), chosen, {table.name: table for table in tables}, revision, exclude)  # type: ignore[arg-type]
    except Misconfigured as error:
        return error.details or [error.message]
    return []


def test_every_column_of_text_bytes_json_or_any_type_is_covered() -> None:
    kinds = list(LogicalType)
    table = Table("t", tuple(column(str(kind), kind) for kind in kinds))
    assert problems({"r1": {"t": {}}}, [table]) == [
        f"t.{kind} ({kind}) is neither replaced nor kept" for kind in kinds if kind in ("text", "bytes", "json", "any")
    ]
    assert problems({"r1": {"t": {k: keep() for k in ("text", "bytes", "json", "any")}}}, [table]) == []
    assert problems({"r1": {}}, [table], exclude=("t",)) == []


def test_what_is_declared_is_there() -> None:
    table = Table("t", (column("a", LogicalType.TEXT),))
    assert problems({"r1": {"t": {"a": keep(), "b": keep()}, "u": {"c": keep()}}}, [table]) == [
        "t.b is declared and not there",
        "u.c is declared and not there",
    ]


def test_a_declaration_counts_until_the_next() -> None:
    table = Table("t", (column("a", LogicalType.TEXT),))
    declared = {"r2": {"t": {"a": keep()}}, "r3": {"t": {"b": keep()}}}
    assert problems(declared, [table], "r2") == []
    assert problems(declared, [table], "r3")[0] == "t.b is declared and not there"
    assert "says nothing of revision r1" in problems(declared, [table], "r1")[0]


def test_keys_and_references_stay_what_they_are() -> None:
    people = Table("people", (column("uid", LogicalType.TEXT, length=20),), ("uid",))
    pets = Table(
        "pets", (column("owner", LogicalType.TEXT, length=12),), (), (), (ForeignKey(("owner",), "people", ("uid",)),)
    )
    found = problems({"r1": {"people": {"uid": text()}, "pets": {"owner": uid("x")}}}, [people, pets])
    assert found == [
        "people.uid is part of a key, and 'text' may give equal values",
        "pets.owner: 'uid' needs 13 characters, and it has 12",
        "pets.owner refers to people.uid, which is replaced otherwise",
    ]
    same = uid("people", characters=12)
    assert problems({"r1": {"people": {"uid": same}, "pets": {"owner": same}}}, [people, pets]) == []


@pytest.mark.parametrize(
    ("kind", "rule", "words"),
    [
        (LogicalType.INT, uid(), "'uid' is for texts"),
        (LogicalType.JSON, text(), "'text' is for texts"),
        (LogicalType.BYTES, document(), "it holds no JSON"),
        (LogicalType.INT, constant("x"), "the constant is not of type int"),
        (LogicalType.TEXT, constant(None), "use emptied"),
        (LogicalType.TEXT, constant("12345"), "more than 4 characters"),
        (LogicalType.INT, emptied(), "it cannot be NULL"),
    ],
)
def test_a_replacement_fits_its_column(kind: LogicalType, rule: Replacement, words: str) -> None:
    table = Table("t", (column("a", kind, nullable=False, length=4 if kind == "text" else None),))
    (problem,) = problems({"r1": {"t": {"a": rule}}}, [table])
    assert words in problem


def test_json_is_json() -> None:
    (made,) = changed(LogicalType.JSON, document(rest=text()), '{"é": "ü"}')
    assert json.loads(made) == {"é": text().text("ü", KEYED)}


@pytest.mark.executes("docs/anonymise.md", "SHOP = {")
def test_the_example_of_the_page() -> None:
    [block] = take("docs/anonymise.md", "SHOP = {")
    module: dict[str, Any] = {}
    exec(block.replace("flask_ferry.", "app."), module)
    length = {"length": 255}
    kinds = {"settings": LogicalType.JSON, "photo": LogicalType.BYTES}
    tables = [
        Table(
            table,
            tuple(column(key, kinds.get(key, LogicalType.TEXT), **length) for key in columns),
            (),
            (("login",),) if table == "customers" else (),
            (ForeignKey(("ordered_by",), "customers", ("login",)),) if table == "orders" else (),
        )
        for table, columns in module["SHOP"].items()
    ]
    assert problems({"r1": module["SHOP"]}, tables) == []
    page = (ROOT / "docs" / "anonymise.md").read_text(encoding="utf-8")
    named = set(re.findall(r"^\| `(\w+)\(", page, re.MULTILINE)) | {"keep"}
    offered = {key for key, value in vars(profiles).items() if inspect.isfunction(value) and key[0] != "_"}
    assert named == offered - {"dataclass", "field"}
