"""One record as an adapter sees it: what was read, waived and noted is counted, and the rest is told."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from app.errors import DoesNotFit
from app.transfer.adapters import Accounts, Record


def record(values: dict[str, Any], accounts: Accounts | None = None) -> Record:
    return Record("user", values, accounts or Accounts(), "user 3")


def test_what_is_read_is_accounted_for_and_asking_is_not_reading() -> None:
    one = record({"id": 1, "name": None, "score": Decimal("1.10"), "more": 5})
    assert ("more" in one, "none" in one, len(one), list(one)) == (True, False, 4, ["id", "name", "score", "more"])
    assert (one["id"], one.get("name", "x"), one.get("none", "x"), one["score"]) == (1, None, "x", Decimal("1.10"))
    assert one.find_unaccounted() == ["user.more"]
    assert one.rest() == {"more": 5}
    assert (one.rest(), one.find_unaccounted()) == ({}, [])
    with pytest.raises(DoesNotFit, match="user 3 has no 'none'"):
        one["none"]


def test_nested_records_are_accounted_for_as_well() -> None:
    one = record({"sections": [{"id": 1, "colour": "red"}, {"id": 2}], "none": None})
    sections = list(one.each("sections"))
    assert ([s["id"] for s in sections], sections[0].name) == ([1, 2], "user 3, sections[0]")
    assert list(one.each("none")) == []
    assert one.find_unaccounted() == ["user.sections.colour"]


@pytest.mark.parametrize(
    ("value", "words"), [({"a": 1}, "is not a list"), ("x", "is not a list"), ([5], r"\[0\] is not")]
)
def test_a_nested_list_that_is_none(value: Any, words: str) -> None:
    with pytest.raises(DoesNotFit, match=words):
        list(record({"sections": value}).each("sections"))


def test_a_waiver_counts_keys_that_are_there_once() -> None:
    accounts = Accounts()
    for one in (record({"a": 1, "b": 2}, accounts), record({"a": 1}, accounts)):
        one.waive("a", "none", reason="unused")
        one.waive("a", reason="again")
    assert accounts.waived == {("user", "a", "unused"): 2}
    one = record({"a": 1, "b": 2})
    one.waive("a", reason="x")
    assert not one.may_be_rowless
    one.waive("b", reason="x")
    assert one.may_be_rowless


def test_a_note_is_counted_with_at_most_ten_samples() -> None:
    accounts = Accounts()
    for _ in range(12):
        one = record({}, accounts)
        one.note("gone")
        assert one.may_be_rowless
    assert accounts.notes == {("user", "gone"): 12}
    assert accounts.samples == {("user", "gone"): ["user 3"] * 10}
