"""The normal form of JSON: equal where the values are, whichever way it is made."""

from __future__ import annotations

import json
import tracemalloc
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transfer.rows.normal_json import normalise_deep, normalise_exactly, normalise_json, normalise_number
from tests.transfer.strategies import JSON_TEXTS, JSON_VALUES


@given(JSON_TEXTS)
def test_normalising_twice_changes_nothing_more(text: str) -> None:
    same = json.dumps(json.loads(text), sort_keys=True, indent=3)
    assert normalise_json(same) == normalise_json(text)


@given(one=JSON_VALUES, other=JSON_VALUES)
def test_documents_are_equal_when_their_values_are(one: Any, other: Any) -> None:
    equal = normalise_json(json.dumps(one)) == normalise_json(json.dumps(other))
    assert equal is (_exact(one) == _exact(other))


def _exact(value: Any) -> Any:
    """By value, but true is not 1."""
    match value:
        case bool() | None | str():
            return (type(value).__name__, value)
        case int() | float():
            return Decimal(repr(value))
        case list():
            return [_exact(item) for item in value]
    return {key: _exact(item) for key, item in value.items()}


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1.0", "1"),
        ("1e0", "10E-1"),
        ("-0", "0"),
        ("1e2", "100"),
        ('{"a":1,"b":2}', '{ "b" : 2, "a" : 1 }'),
        ('"\\u00fc"', '"ü"'),
        ('"\\/"', '"/"'),
    ],
)
def test_spellings_of_one_document(one: str, other: str) -> None:
    assert normalise_json(one) == normalise_json(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("0.1", "0.10000000000000001"),
        ("12345678901234567890", "12345678901234567891"),
        ("1e-400", "0"),
        ('{"a":1,"a":2}', '{"a":2}'),
        ('{"a":1,"a":2}', '{"a":2,"a":1}'),
        ("[1,2]", "[2,1]"),
        ("[]", "{}"),
        ('"1"', "1"),
        ('"true"', "true"),
    ],
)
def test_documents_that_differ(one: str, other: str) -> None:
    assert normalise_json(one) != normalise_json(other)


@pytest.mark.parametrize("depth", [10, 300, 400, 500, 900, 1000])
def test_deep_documents(depth: int) -> None:
    def text(blank: str) -> str:
        return f'[{blank}{{"b":1.0,"a":' * (depth // 2) + f'"[x]{{\\"{blank}"' + f"}}{blank}]" * (depth // 2)

    assert normalise_json(text("")) == normalise_json(text("").replace("1.0", "1e0"))
    assert normalise_json(text("")) != normalise_json(text("").replace("1.0", "2"))


@given(JSON_TEXTS)
def test_every_way_to_the_form_gives_the_same(text: str) -> None:
    assert normalise_deep(text) == normalise_exactly(text) == normalise_json(text)


@pytest.mark.parametrize(
    "text",
    [
        '"\\u0000"',
        '"\\u00001\\u0000"',
        '"\\\\u0000"',
        '{"\\u005cu0000": 1, "a": "\\u005Cu00001"}',
        '["u\\u0030000", 1, "\\\\u0030000"]',
        '["\\"", 1, "\\\\", -0, "\\/"]',
        '{"a": 1, "a": 2}',
        '{"\uffff": 1, "\U0001f600": 2, "z": 3}',
        '["\\ud83d\\ude00", "\\u00e9"]',
    ],
)
def test_texts_that_look_like_marks_of_the_quick_way(text: str) -> None:
    assert normalise_json(text) == normalise_exactly(text)


@given(st.from_regex(r"-?(0|[1-9][0-9]{0,24})(\.[0-9]{1,24})?([eE][+-]?[0-9]{1,20})?", fullmatch=True))
def test_numbers_are_normalised_by_value(text: str) -> None:
    assert normalise_number(text) == normalise_exactly(text)


def test_long_documents_are_not_kept_in_memory() -> None:
    tracemalloc.start()
    try:
        for number in range(300):
            normalise_json(json.dumps([number, "x" * 100_000]))
        assert tracemalloc.get_traced_memory()[0] < 5_000_000
    finally:
        tracemalloc.stop()


def test_a_number_whose_exponent_nothing_can_hold_stays_as_it_is() -> None:
    assert normalise_json('{"b": 1.50, "a": 1e-99999999999999999999}') == '{"a":1e-99999999999999999999,"b":15e-1}'
