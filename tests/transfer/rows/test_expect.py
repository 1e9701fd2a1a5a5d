"""Narrow questions to what somebody else wrote: a value of that kind, or an error that says its place and no value."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from app.transfer.rows import expect
from app.transfer.rows.expect import Unexpected

Ask = Callable[[Any, str], Any]
GOOD: list[tuple[Ask, list[Any]]] = [
    (expect.an_object, [{}, {"a": 1}]),
    (expect.a_list, [[], [1]]),
    (expect.a_text, ["", "x"]),
    (expect.a_text_or_null, [None, "x"]),
    (expect.a_flag, [True, False]),
    (expect.a_count, [0, 2**63 - 1]),
    (expect.a_count_or_null, [None, 0]),
    (expect.an_instant, ["2026-01-31T23:59:59Z", "2026-01-31T23:59:59+02:00"]),
    (expect.rows_and_digest, [[0, "0" * 32]]),
    (lambda value, place: expect.a_digest(value, place, 4), ["0aF9".lower()]),
    (lambda value, place: expect.one_of(value, place, ("a", "b")), ["a", "b"]),
    (lambda value, place: expect.a_whole_number(value, place, -1, 1), [-1, 0, 1]),
]
BAD: list[tuple[Ask, list[Any]]] = [
    (expect.an_object, [None, [], "x"]),
    (expect.a_list, [None, {}, "x", (1,)]),
    (expect.a_text, [None, 1, b"x"]),
    (expect.a_text_or_null, [0, False]),
    (expect.a_flag, [0, 1, None, "true"]),
    (expect.a_count, [-1, 2**63, 1.0, True, "1", None]),
    (expect.a_count_or_null, [-1, False]),
    (expect.an_instant, ["2026-01-31", "2026-01-31T23:59:59", "now", "9" * 50, 5]),
    (expect.rows_and_digest, [[0], [0, "0" * 31], [-1, "0" * 32], {}, [0, "0" * 32, 1]]),
    (expect.texts, ["x", [1], ["a", None]]),
    (expect.a_number_as_text, ["", "1.0", " 1", "1\n", "9" * 41, "٣", 1, "-"]),
    (lambda value, place: expect.a_digest(value, place, 4), ["0AF9", "0af", "0af9a", "0xf9", "0af\n", 0]),
    (lambda value, place: expect.one_of(value, place, ("a", "b")), ["c", None, "ab"]),
    (lambda value, place: expect.a_whole_number(value, place, -1, 1), [2, -2, True, 0.0]),
    (expect.distinct, [("a", "a"), ("a", "")]),
]


@pytest.mark.parametrize(("ask", "values"), GOOD)
def test_a_value_of_the_kind_comes_back_as_it_is(ask: Ask, values: list[Any]) -> None:
    for value in values:
        assert repr(ask(value, "here")) == repr(value)


@pytest.mark.parametrize(("ask", "values"), BAD)
def test_any_other_is_an_error_that_names_its_place(ask: Ask, values: list[Any]) -> None:
    for value in values:
        with pytest.raises(Unexpected, match=r"^here(\[\d\])? is not ") as caught:
            ask(value, "here")
        assert repr(value) not in str(caught.value) or len(repr(value)) < 4, value


def test_what_comes_back_in_another_form() -> None:
    assert expect.texts(["a", ""], "x") == ("a", "")
    assert expect.distinct((), "x") == ()
    assert expect.a_number_as_text("-" + "9" * 40, "x") == -(10**40) + 1
    with pytest.raises(Unexpected, match=r"^x\[1\] is not a text$"):
        expect.texts(["a", 1], "x")
