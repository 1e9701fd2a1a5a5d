"""Canonical values: the one form of each, and nothing that is not of it."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.values import is_json, tag, to_date, to_decimal, to_time, to_timestamp, untag
from tests.transfer.strategies import TEXT

DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, min_value=Decimal("-1e50"), max_value=Decimal("1e50"))


@given(st.integers() | st.floats(allow_nan=False) | TEXT | st.binary())
def test_a_tagged_value_comes_back_of_its_type(value: Any) -> None:
    back = untag(tag(value))
    assert (type(back), repr(back)) == (type(value), repr(value))


@pytest.mark.parametrize("value", [None, [1], object(), Decimal(1)])
def test_what_no_driver_gives_is_refused(value: Any) -> None:
    with pytest.raises(TypeError, match=type(value).__name__):
        tag(value)


@pytest.mark.parametrize("tagged", [{}, {"$what": "1"}, {"x": "1"}])
def test_what_is_not_tagged_is_refused(tagged: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="not a tagged value"):
        untag(tagged)


@given(value=DECIMALS, scale=st.none() | st.integers(0, 9))
def test_a_decimal_keeps_its_value_and_has_one_form(value: Decimal, scale: int | None) -> None:
    text = to_decimal(value, scale)
    assert Decimal(text) == value
    assert "E" not in text.upper()
    assert to_decimal(Decimal(text), scale) == text
    assert to_decimal(value * Decimal("1.0"), scale) == text or len(value.as_tuple().digits) > 27
    assert len(text.partition(".")[2]) >= (scale or 0)


@pytest.mark.parametrize(
    ("value", "scale", "text"),
    [
        ("0", None, "0"),
        ("-0", 2, "0.00"),
        ("-0.00", None, "0"),
        ("100", None, "100"),
        ("1E+5", 2, "100000.00"),
        ("1.5000", 2, "1.50"),
        ("1.5000", None, "1.5"),
        ("1.2345", 2, "1.2345"),
        ("-0.001", 2, "-0.001"),
        ("12345678901234567890.123456789012345678901234567890123", 2, None),
    ],
)
def test_decimals(value: str, scale: int | None, text: str | None) -> None:
    assert to_decimal(Decimal(value), scale) == (text or value)


@given(st.datetimes())
def test_timestamps(value: Any) -> None:
    form = value.isoformat(sep=" ", timespec="microseconds")
    assert to_timestamp(form) == form
    assert to_timestamp(form[:19]) == form[:19] + ".000000"
    assert to_date(form[:10]) == form[:10]
    assert to_time(form[11:]) == form[11:]
    assert to_time(form[11:19]) == form[11:19] + ".000000"


@pytest.mark.parametrize("digits", range(1, 7))
def test_a_fraction_of_noughts_is_none_however_many(digits: int) -> None:
    noughts = "0" * digits
    assert to_timestamp(f"2024-03-01 10:00:00.{noughts}") == "2024-03-01 10:00:00.000000"
    assert to_time(f"10:00:00.{noughts}") == "10:00:00.000000"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "2024-03-01",
        "2024-03-01T10:00:00",
        "2024-03-01 10:00",
        "2024-03-01 10:00:00.5",
        "2024-03-01 10:00:00.5000000",
        "2024-03-01 10:00:00.050",
        "2024-03-01 10:00:00.0000000",
        "2024-03-01 10:00:00.",
        "2024-03-01 10:00:00,000000",
        "2024-03-01 10:00+00",
        "2024-03-01 10:00:00.0+0000",
        "2024-03-01 10:00:00+00:00",
        "2024-03-01 100000.1",
        "2024-W09-5 10:00:00",
        "2024-02-30 10:00:00",
        "2024-03-01 24:00:00",
        "2024-03-01 23:59:60",
        "0000-00-00 00:00:00",
        "2024-03-01 10:00:00\n",
        "२०२४-03-01 10:00:00",
    ],
)
def test_other_texts_are_no_timestamps(text: str) -> None:
    assert to_timestamp(text) is None


@pytest.mark.parametrize("text", ["", "2024-W09-5", "20240301", "2024-3-01", "2024-02-30", "2024-03-01 ", "0000-01-01"])
def test_other_texts_are_no_dates(text: str) -> None:
    assert to_date(text) is None


@pytest.mark.parametrize("text", ["", "10:00", "10:00+00", "23:59:59,000000", "24:00:00", "10:00:00Z", "1:00:0000"])
def test_other_texts_are_no_times(text: str) -> None:
    assert to_time(text) is None


@pytest.mark.parametrize("text", ["null", "0", "-1.5e3", '""', "[]", '{"a": 1, "a": 2}', " [1] ", "7" * 30])
def test_json(text: str) -> None:
    assert is_json(text)


@pytest.mark.parametrize(
    "text", ["", "NaN", "Infinity", "1e999", "'a'", "{a: 1}", "[1,]", "[1] 2", '"\\ud800"', "01", "\ufeff1"]
)
def test_what_is_not_json(text: str) -> None:
    assert not is_json(text)
