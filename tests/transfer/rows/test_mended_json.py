"""What cannot be kept is replaced and said; the rest stays as it was spelled."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from app.transfer.rows.mended_json import mend
from app.transfer.rows.strictjson import SPOILED, NotKept, StrictJSONError, elements, envelope, loads, read_one


@pytest.mark.parametrize(
    ("text", "kept", "words"),
    [
        ('{"a": NaN}', {"a": None}, "a is NaN"),
        ('{"a": [0, {"b": -Infinity}]}', {"a": [0, {"b": None}]}, "a[1].b is -Infinity"),
        ('{"a": "x\\ud800y"}', {"a": "x\\ud800y"}, "a has half of a surrogate pair"),
        ('{"\\udfff": 1}', {"\\udfff": 1}, "a key of it has half"),
        ('{"id": 1, "id": 2}', {"id": 2}, "it has the key 'id' twice"),
        ('{"a": {"k": 1, "k": 1}}', {"a": {"k": 1}}, "a has the key 'k' twice"),
        ('{"a": 1e99999999999999999999}', {"a": None}, "whose exponent nothing can hold"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text: str, kept: object, words: str) -> None:
    raw, record, end = mend(text, 0)
    assert end == len(text)
    assert words in record[SPOILED]
    assert {name: value for name, value in record.items() if name != SPOILED} == kept
    assert loads(raw) == record


def test_the_rest_is_as_it_was_spelled() -> None:
    text = '{"bad": NaN, "n": 1.10, "big": 123456789012345678901234567890, "far": 1e999, "t": "\\u00e9\\ud83d\\ude00"}'
    raw, record, _ = mend(text, 0)
    assert '"n": 1.10' in raw
    assert '"big": 123456789012345678901234567890' in raw
    assert record["far"] == Decimal("1e999")
    assert json.loads(raw)["t"] == "é😀"
    assert "\n" not in raw


def test_many_faults_are_counted() -> None:
    _, record, _ = mend("{" + ", ".join(f'"{number}": NaN' for number in range(9)) + "}", 0)
    assert record[SPOILED].endswith("and 4 more")


def test_only_records_that_need_it_are_mended() -> None:
    found = [value for _, value, _ in elements('[{"a": 1}, {"a": NaN}, {"a": 2}]', 0, mend)]
    assert [SPOILED in value for value in found] == [False, True, False]
    records, others = envelope('{"posts": [{"id": NaN}], "total": 1}', [("posts",)], mend)
    assert records[("posts",)][0][1]["id"] is None
    assert others == {"total": 1}


@pytest.mark.parametrize("text", ["NaN", "[NaN]", '"\\ud800"'])
def test_what_is_no_object_is_not_mended(text: str) -> None:
    with pytest.raises(NotKept):
        mend(text, 0)


def test_what_breaks_off_behind_it_may_be_asked_for_again() -> None:
    with pytest.raises(StrictJSONError) as raised:
        list(elements('[{"a": NaN, "b": ', 0, mend))
    assert not isinstance(raised.value, NotKept)


def test_the_mark_is_not_a_sources_to_set() -> None:
    """Else its record would go to a file for a reason that the source made up, or hide a key that nobody reads."""
    for value in ("null", '"wrong: ' + "x" * 5000 + '"'):
        text = f'{{"id": 1, "{SPOILED}": {value}}}'
        with pytest.raises(NotKept, match="not a source's to use"):
            read_one(text)
        _, record = read_one(text, mend)
        assert record[SPOILED] == f"it has the key {SPOILED}, which is not a source's to use"


def test_keys_that_become_one_are_named() -> None:
    _, record = read_one('{"\\ud800": 1, "\\\\ud800": 2}', mend)
    assert "keys that become one" in record[SPOILED]


def test_what_acts_on_a_terminal_is_spelled_out() -> None:
    _, record = read_one('{"\\u001b[2J": NaN}', mend)
    assert "\x1b" not in record[SPOILED]
