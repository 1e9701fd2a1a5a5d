"""Strict parsing: what Python's parser reads rightly is read alike, and nothing else is read at all."""

from __future__ import annotations

import json
import math
from bisect import bisect_left
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transfer.rows.strictjson import StrictJSONError, elements, envelope, loads, members, value_at, whole_list

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
NUMBERS = st.integers(-(10**30), 10**30) | st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=12,
)
STYLES: Any = st.fixed_dictionaries(
    {"indent": st.sampled_from([None, 1, "\t"]), "ensure_ascii": st.booleans(), "sort_keys": st.booleans()}
)


def told(value: Any) -> Any:
    """A value as a text that tells 1, 1.0 and true apart; a long integer may be an int or a Decimal."""
    match value:
        case dict():
            return repr(sorted((key, told(item)) for key, item in value.items()))
        case list():
            return repr([told(item) for item in value])
        case Decimal() if value.as_tuple().exponent == 0:
            return repr(int(value))
    return repr(value)


def oracle(text: str) -> Any:
    """What Python's own parser reads, exactly."""
    return told(json.loads(text, parse_float=Decimal))


@given(VALUES, STYLES)
def test_what_python_writes_is_read_alike(value: Any, style: dict[str, Any]) -> None:
    text = json.dumps(value, **style)
    assert told(loads(text)) == oracle(text)


@given(st.lists(VALUES), STYLES)
def test_the_elements_of_a_list(values: list[Any], style: dict[str, Any]) -> None:
    text = json.dumps(values, **style)
    found = list(elements(text, 0))
    assert told([value for _, value, _ in found]) == oracle(text)
    assert [(raw, value) for raw, value, _ in found] == list(whole_list(text))
    for raw, value, end in found:
        assert "\n" not in raw
        assert told(loads(raw)) == told(value)
        assert text[:end].endswith(raw[-1])


@given(st.dictionaries(TEXT, VALUES), STYLES)
def test_the_members_of_an_object(values: dict[str, Any], style: dict[str, Any]) -> None:
    text = json.dumps(values, **style)
    assert told({key: value_at(text, at) for key, at in members(text).items()}) == oracle(text)


@given(st.text('[]{},:"\\u0123456789dDeE+-. \t\r\ntrufalsn\u00a0', max_size=30))
def test_nothing_is_read_that_python_refuses(text: str) -> None:
    try:
        found = loads(text)
    except StrictJSONError:
        return
    assert told(found) == oracle(text)


@given(VALUES, st.data())
def test_no_part_of_a_text_is_taken_for_the_whole(value: Any, data: st.DataObject) -> None:
    text = json.dumps([value])
    cut = data.draw(st.integers(0, len(text) - 1))
    for read in (loads, lambda part: list(whole_list(part)), lambda part: list(elements(part, 0))):
        with pytest.raises(StrictJSONError):
            read(text[:cut])


@given(st.dictionaries(TEXT, VALUES, min_size=1), st.data())
def test_no_part_of_an_object_is_taken_for_the_whole(value: dict[str, Any], data: st.DataObject) -> None:
    text = json.dumps(value)
    cut = data.draw(st.integers(0, len(text) - 1))
    with pytest.raises(StrictJSONError):
        members(text[:cut])


@pytest.mark.parametrize(
    ("digits", "value"),
    [
        ("0", 0),
        ("-0", 0),
        ("9223372036854775807", 2**63 - 1),
        ("18446744073709551615", 2**64 - 1),
        ("18446744073709551616", Decimal(2**64)),
        ("-9223372036854775808", -(2**63)),
        ("-9223372036854775809", Decimal(-(2**63) - 1)),
        ("0.1", Decimal("0.1")),
        ("1.10", Decimal("1.10")),
        ("1e400", Decimal("1e400")),
        ("0.12345678901234567890123", Decimal("0.12345678901234567890123")),
        ("1" * 5000, Decimal("1" * 5000)),
    ],
)
def test_numbers_are_exact(digits: str, value: Any) -> None:
    found = loads(digits)
    assert (found, type(found)) == (value, type(value))
    # The digits too: 1.10 is not 1.1.
    assert str(found) == str(value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("NaN", "NaN"),
        ('{"a": [1, Infinity]}', "Infinity"),
        ('{"a": -Infinity}', "-Infinity"),
        ('{"a": 1, "b": 2, "a": 1}', "twice in one object: 'a'"),
        ('[{"x": {"": 1, "": 2}}]', "twice in one object: ''"),
        (r'{"a": 1, "\u0061": 2}', "twice in one object: 'a'"),
        (r'"\ud83d"', "surrogate"),
        (r'{"\udc00": 1}', "surrogate"),
        (r'["\ude00\ud83d"]', "surrogate"),
        ("", "not JSON at line 1, column 1"),
        ('{\n"a": 1\n!}', "not JSON at line 3, column 1"),
        ("[1,]", "not JSON"),
        ("01", "behind"),
        ("1 2", "behind"),
        ("\ufeff1", "not JSON"),
        ("'a'", "not JSON"),
        ('"a\tb"', "not JSON"),
        ("[" * 200_000, "nested too deeply"),
        ('{"a":' * 200_000, "nested too deeply"),
        ("1e99999999999999999999", "exponent"),
        ("1\u00a0", "behind"),
    ],
    ids=range(21),
)
def test_what_is_refused(text: str, said: str) -> None:
    with pytest.raises(StrictJSONError, match=said):
        loads(text)


def test_a_whole_surrogate_pair_is_a_character() -> None:
    assert loads(r'"\ud83d\ude00"') == "😀"


def test_the_place_is_named() -> None:
    text = '{"users": [\n  {"id": 1},\n  {"id": NaN}\n]}'
    with pytest.raises(StrictJSONError, match="NaN is not JSON in the value that begins at line 3, column 3"):
        members(text)
    with pytest.raises(StrictJSONError, match="line 2, column 2"):
        list(elements('[{},\n {"a": 1, "a": 2}]', 0))
    with pytest.raises(StrictJSONError, match=r"surrogate.* line 2, column 1"):
        list(elements('[1,\n"\\ud800"]', 0))


@pytest.mark.parametrize("text", ['{"a": 1}x', '{"a": [1] "b": 2}', '{"a": 1, "a": 2}', '{"a" 1}', "{1: 2}", "[]", "1"])
def test_members_of_what_is_no_object(text: str) -> None:
    with pytest.raises(StrictJSONError):
        members(text)


@given(st.dictionaries(TEXT, VALUES), st.lists(VALUES), TEXT, STYLES)
def test_an_envelope(others: dict[str, Any], values: list[Any], key: str, style: dict[str, Any]) -> None:
    others.pop(key, None)
    text = json.dumps({**others, key: values}, **style)
    found, rest = envelope(text, [(key,)])
    assert found == {(key,): [(raw, value) for raw, value, _ in elements(text, members(text)[key])]}
    assert told([value for _, value in found[(key,)]]) == told(loads(text)[key])
    assert told(rest) == told({name: value for name, value in loads(text).items() if name != key})


@pytest.mark.parametrize(
    ("text", "found"),
    [('{"a": 1}', {}), ('{"a": [], "b": []}', {("a",): []}), ('{"b": {"a": [1]}}', {}), ("{}", {}), ('{"a": {}}', {})],
)
def test_an_envelope_without_records(text: str, found: Any) -> None:
    assert envelope(text, [("a",)])[0] == found


def test_envelopes_in_an_envelope() -> None:
    text = '{"d": {"a": {"l": [1, 2]}, "total": 2}, "l": [3], "m": {"l": 4}, "d.a": []}'
    lists, rest = envelope(text, [("d", "a", "l"), ("l",), ("m", "l"), ("x", "y")])
    assert lists == {("d", "a", "l"): [("1", 1), ("2", 2)], ("l",): [("3", 3)]}
    assert rest == {"d": {"a": {}, "total": 2}, "m": {"l": 4}, "d.a": []}
    for broken in ('{"d": {"l": [1]}', '{"d": {"l": [1], "l": []}}', '{"d": {"l": [1]} "m": 1}', '{"d": {"l": [1],}}'):
        with pytest.raises(StrictJSONError):
            envelope(broken, [("d", "l")])


@pytest.mark.parametrize(
    "text", ['{"a": [1}', '{"a": [1]} x', '{"a": [1], "a": []}', '{"a": [NaN]}', "[]", '{"a": [1]']
)
def test_an_envelope_that_is_none(text: str) -> None:
    with pytest.raises(StrictJSONError):
        envelope(text, [("a",)])


@pytest.mark.parametrize("text", ["[1] 2", "[1]]", "{}", '"a"', "", "[1 2]", "[,]"])
def test_a_whole_list_that_is_none(text: str) -> None:
    with pytest.raises(StrictJSONError):
        list(whole_list(text))


def test_a_line_break_within_an_element_is_blank_space() -> None:
    [(raw, value)] = whole_list('[{"a":\r\n [1,\n2], "b": "c\\nd"}]')
    assert raw == '{"a":   [1, 2], "b": "c\\nd"}'
    assert value == {"a": [1, 2], "b": "c\nd"}
    assert not math.isnan(value["a"][0])


def test_as_deep_as_the_parser_goes_and_the_encoder_does_not() -> None:
    """Found by tests/fuzz: whether there is half of a surrogate pair is looked at a little deeper on the stack."""
    # As deep as that is, each Python has its own limit: 3.11 some 1,000 levels, 3.13 some 10,000, 3.14 what its stack
    # holds.
    first = bisect_left(range(1_000_000), True, lo=900, key=lambda depth: not _is_parsed(depth))
    refusals = set()
    for depth in range(first - 90, first + 10):
        text = "[" * depth + r'"\ud83d\ude00"' + "]" * depth
        for read in (loads, lambda text: [*whole_list(f"[{text}]")], lambda text: members(f'{{"a": {text}}}')):
            try:
                read(text)
            except StrictJSONError as error:
                refusals.add(str(error).partition(" in ")[0])
    assert refusals == {"nested too deeply"}


def _is_parsed(depth: int) -> bool:
    try:
        json.loads("[" * depth + "]" * depth)
    except RecursionError:
        return False
    return True
