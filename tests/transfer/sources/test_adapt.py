"""Conservation: every record gives rows or says why not, every key is used or waived, every reference is met."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app.dialects.model import Column, ForeignKey, LogicalType, Table, Values
from app.errors import DoesNotFit, Misconfigured
from app.transfer.adapters import Accounts, AdapterSet, Find, Record, Rows, adapter
from app.transfer.rows.canonical import json_text
from app.transfer.rows.encode import encode, hash_records
from app.transfer.rows.files import write
from app.transfer.rows.header import Header
from app.transfer.rows.snapshot import SnapshotReader, rows_of
from app.transfer.sources.adapt import Adapted, adapt

USERS = Table(
    "users",
    (
        Column("id", LogicalType.INT),
        Column("uid", LogicalType.TEXT),
        Column("doc", LogicalType.JSON),
        Column("price", LogicalType.DECIMAL, scale=2),
    ),
    ("id",),
)
POSTS = Table(
    "posts",
    (Column("id", LogicalType.INT), Column("user_id", LogicalType.INT)),
    ("id",),
    (),
    (ForeignKey(("user_id",), "users", ("id",)),),
)
PAIRS = Table("pairs", (Column("a", LogicalType.INT), Column("b", LogicalType.INT)), ("a", "b"))
TABLES = {table.name: table for table in (POSTS, PAIRS, USERS)}


@adapter("users", makes=("users", "pairs"))
def users(record: Record, find: Find) -> Rows:
    record.waive("count", "never there", reason="counted by the API")
    if record.get("gone"):
        record.note("is gone")
        return
    yield (
        "users",
        {"id": record["id"], "uid": record["uid"], "doc": record.get("doc"), "price": record.get("price")},
    )
    for pair in record.each("pairs"):
        yield "pairs", {"a": record["id"], "b": pair["b"]}


@adapter("posts", makes=("posts",), after=("users",))
def posts(record: Record, find: Find) -> Rows:
    if "reply" in record:
        find.expect("posts", record["reply"])
    yield "posts", {"id": record["id"], "user_id": find.id("users", record["uid"])}


@adapter("odd", makes=("users",))
def odd(record: Record, find: Find) -> Rows:
    match record["what"]:
        case "undeclared":
            yield "posts", {"id": 1}
        case "unknown table":
            yield "nobody", {"id": 1}
        case "unknown column":
            yield "users", {"id": 1, "colour": "red"}
        case "wrong type":
            yield "users", {"id": "1"}
        case "rest":
            yield "users", {"id": 7, "doc": record.rest()}
        case "types":
            yield "users", {"id": 8, "uid": f"{find.has_type('odd')} {find.has_type('posts')}"}


@adapter("rowless", makes=("users",))
def rowless(record: Record, find: Find) -> Rows:
    if "what" in record:
        record["what"]
    record.waive("alone", reason="r")
    if "list" in record:
        for _ in record.each("list"):
            pass
    yield from ()


def module(*functions: Any, **more: Any) -> AdapterSet:
    made = ModuleType("adapters")
    vars(made).update({"revision": "0001", "natural_keys": {"users": "uid"}}, **more)
    vars(made).update({f"f{number}": function for number, function in enumerate(functions)})
    return AdapterSet.of(made)


ADAPTERS = module(users, posts, odd, rowless)
Run = Callable[..., tuple[Adapted, dict[str, list[Values]]]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Adapt records given by type; returns the account and the rows."""

    def adapted(**records: list[dict[str, Any] | str]) -> tuple[Adapted, dict[str, list[Values]]]:
        source, to = tmp_path / "records.json", tmp_path / "rows.json"
        head = Header("records", "s", "i", "2024-01-01T00:00:00Z", "0001", types=tuple(records), notes=("n",))
        texts = [[item if isinstance(item, str) else json_text(item) for item in group] for group in records.values()]
        write(source, encode(head, zip(records, map(hash_records, texts), strict=True)))
        _, result = adapt(source, to, ADAPTERS, TABLES, tmp_path)
        assert sorted(file.name for file in tmp_path.iterdir() if file.suffix != ".bak") == [
            "records.json",
            "rows.json",
        ]
        with SnapshotReader(to) as reader:
            assert (reader.header.kind, reader.header.revision, reader.header.notes) == ("rows", "0001", ("n",))
            return result, {table.name: [row for row, _, _ in rows] for table, rows in rows_of(reader)}

    return adapted


def refused(run: Run, words: str, **records: list[dict[str, Any] | str]) -> list[str]:
    with pytest.raises(DoesNotFit) as caught:
        run(**records)
    assert any(words in line for line in caught.value.details), caught.value.details
    return caught.value.details


def test_records_become_rows_parents_first(run: Run) -> None:
    result, rows = run(
        posts=[{"id": 5, "uid": "b"}],
        users=[
            {"id": 1, "uid": "a", "doc": {"z": Decimal("1.50"), "a": None}, "price": Decimal("2.5"), "pairs": []},
            {"id": 2, "uid": "b", "count": 3, "pairs": [{"b": 9}, {"b": 8}]},
        ],
    )
    assert rows == {
        "users": [[1, "a", '{"z":1.50,"a":null}', "2.50"], [2, "b", None, None]],
        "pairs": [[2, 9], [2, 8]],
        "posts": [[5, 2]],
    }
    assert list(rows).index("users") < list(rows).index("posts")
    assert result.records == {"users": 2, "posts": 1}
    assert result.accounts.waived == {("users", "count", "counted by the API"): 1}


def test_no_records_at_all(run: Run) -> None:
    assert run(users=[])[1] == {"users": [], "pairs": [], "posts": []}


def test_a_key_that_nobody_accounts_for(run: Run) -> None:
    [line] = refused(run, "users.colour", users=[{"id": 1, "uid": "a", "colour": "red"}])
    assert "users record 1" in line


def test_a_key_of_a_nested_record_that_nobody_accounts_for(run: Run) -> None:
    refused(run, "users.pairs.colour", users=[{"id": 1, "uid": "a", "pairs": [{"b": 1, "colour": "red"}]}])


def test_a_record_without_a_row_says_why(run: Run) -> None:
    assert run(users=[{"gone": True, "count": 1}])[1]["users"] == []
    refused(run, "odd record 1 gives no row", odd=[{"what": "nothing"}])


def test_a_waiver_of_some_keys_is_no_reason_to_give_no_row(run: Run) -> None:
    """The others were read and went nowhere."""
    assert run(rowless=[{"alone": 1}])[1]["users"] == []
    refused(run, "rowless record 2 gives no row", rowless=[{"alone": 1}, {"alone": 1, "what": 1}])


def test_a_nested_list_gives_rows_or_is_empty(run: Run) -> None:
    assert run(rowless=[{"what": 1, "list": []}])[1]["users"] == []
    refused(run, "rowless record 1 gives no row", rowless=[{"what": 1, "list": [{}]}])


def test_a_note_is_counted_with_samples(run: Run) -> None:
    result, rows = run(users=[{"gone": True} for _ in range(12)])
    assert rows["users"] == []
    assert result.accounts.notes == {("users", "is gone"): 12}
    assert len(result.accounts.samples["users", "is gone"]) == 10


def test_a_key_that_a_record_lacks(run: Run) -> None:
    refused(run, "users record 2 has no 'uid'", users=[{"id": 1, "uid": "a"}, {"id": 2}])


def test_a_natural_key_that_finds_nothing(run: Run) -> None:
    refused(run, "posts record 1 refers to 'A' in users", users=[{"id": 1, "uid": "a"}], posts=[{"id": 1, "uid": "A"}])


def test_a_promised_row_that_no_record_gave(run: Run) -> None:
    users_ = [{"id": 1, "uid": "a"}]
    run(users=users_, posts=[{"id": 1, "uid": "a", "reply": 2}, {"id": 2, "uid": "a"}])
    refused(run, "posts record 1 repeats the row [2]", users=users_, posts=[{"id": 1, "uid": "a", "reply": 2}])


def test_equal_rows_are_repeats_and_others_are_conflicts(run: Run) -> None:
    result, rows = run(
        users=[{"id": 1, "uid": "a", "doc": {"x": 1, "y": 2}}, {"id": 1, "uid": "a", "doc": {"y": 2, "x": 1}}]
    )
    assert len(rows["users"]) == 1
    assert result.row_repeats == {"users": 1}
    refused(run, "another row of users with the key [1]", users=[{"id": 1, "uid": "a"}, {"id": 1, "uid": "b"}])


@pytest.mark.parametrize(
    ("what", "words"),
    [
        ("undeclared", "'posts'"),
        ("unknown table", "'nobody'"),
        ("unknown column", "users has no column colour"),
        ("wrong type", "users.id is of type int, not str"),
    ],
)
def test_rows_that_nobody_has(run: Run, what: str, words: str) -> None:
    refused(run, words, odd=[{"what": what}])


def test_what_an_adapter_may_ask(run: Run) -> None:
    _, rows = run(odd=[{"what": "rest", "x": 1, "y": [2]}, {"what": "types"}])
    assert rows["users"] == [[7, None, '{"x":1,"y":[2]}', None], [8, "True False", None, None]]


@pytest.mark.parametrize("text", ["5", "null", "[]", '"x"'])
def test_a_record_that_is_no_object(run: Run, text: str) -> None:
    refused(run, "users record 1 is not an object", users=[text])


@pytest.mark.parametrize("pairs", [5, "x", {"b": 1}])
def test_a_nested_list_that_is_none(run: Run, pairs: Any) -> None:
    refused(run, "'pairs' is not a list", users=[{"id": 1, "uid": "a", "pairs": pairs}])


def test_a_nested_record_that_is_no_object(run: Run) -> None:
    refused(run, "users record 1, pairs[1] is not an object", users=[{"id": 1, "uid": "a", "pairs": [{"b": 1}, 5]}])


def test_problems_are_named_together_and_counting_ends(run: Run) -> None:
    assert len(refused(run, "users.x", users=[{"id": n, "uid": str(n), "x": 1} for n in range(5)])) == 5
    assert len(refused(run, "users.x", users=[{"id": n, "uid": str(n), "x": 1} for n in range(90)])) == 20


# The set of adapters


def test_types_come_behind_those_they_wait_for() -> None:
    assert ADAPTERS.in_order(["posts", "users"]) == ["users", "posts"]
    assert ADAPTERS.in_order(["posts"]) == ["posts"]


def test_a_type_without_an_adapter() -> None:
    with pytest.raises(DoesNotFit, match="'badges'"):
        ADAPTERS.in_order(["users", "badges"])


def test_adapters_that_wait_for_one_another() -> None:
    def made(name: str, after: str) -> Any:
        @adapter(name, makes=(), after=(after,))
        def function(record: Record, find: Find) -> Rows:
            yield from ()

        return function

    with pytest.raises(Misconfigured, match="a, b wait for one another"):
        module(made("a", "b"), made("b", "a")).in_order(["a", "b"])


def test_two_adapters_of_one_type() -> None:
    @adapter("users", makes=())
    def again(record: Record, find: Find) -> Rows:
        yield from ()

    with pytest.raises(Misconfigured, match="two adapters take 'users'"):
        module(users, again)


def test_a_module_without_a_revision() -> None:
    with pytest.raises(Misconfigured, match="does not say whose rows"):
        module(users, revision=None)


# A record remembers what was read


def test_what_counts_as_read() -> None:
    record = Record("t", {"a": 1, "b": 2, "c": 3, "d": 4}, Accounts(), "t record 1")
    assert "a" in record
    assert list(record) == ["a", "b", "c", "d"]
    assert record.find_unaccounted() == ["t.a", "t.b", "t.c", "t.d"]
    assert (record["a"], record.get("b"), record.get("z", 9)) == (1, 2, 9)
    record.waive("c", reason="r")
    assert record.find_unaccounted() == ["t.d"]
    assert record.rest() == {"d": 4}
    assert record.find_unaccounted() == []
