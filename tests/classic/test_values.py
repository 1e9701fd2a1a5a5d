"""Dates and times, and the JSON null."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from app.classic.values import http_date, json_value, nested, timestamp
from app.errors import DoesNotFit
from app.transfer.adapters import JSON_NULL, Accounts, Record

from .records import moment


def record(value: Any) -> Record:
    return Record("things", {"at": value}, Accounts(), "things record 9")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2023-09-01T08:15:30", moment(2023, 9, 1, 8, 15, 30)),
        ("2023-09-01T08:15:30.000250", moment(2023, 9, 1, 8, 15, 30, 250)),
        ("2023-09-01T08:15:30.5", moment(2023, 9, 1, 8, 15, 30, 500000)),
        ("0001-01-01T00:00:00", moment(1, 1, 1)),
        ("9999-12-31T23:59:59.999999", moment(9999, 12, 31, 23, 59, 59, 999999)),
        (None, None),
    ],
)
def test_iso_times_are_exact(text: str | None, expected: datetime | None) -> None:
    assert timestamp(record(text), "at") == expected


@pytest.mark.parametrize(
    "value",
    [
        "",
        "2023-09-01",
        "20230901T081530",
        "2023-W35-5T08:15:30",
        "2023-09-01 08:15:30",
        "2023-09-01T08:15",
        "2023-09-01T08:15:30Z",
        "2023-09-01T08:15:30+00:00",
        "2023-09-01T08:15:30.1234567",
        "2023-09-01T08:15:30,5",
        "2023-02-30T08:15:30",
        "2023-09-01T24:15:30",
        "2023-09-01T08:15:60",
        " 2023-09-01T08:15:30",
        "2023-09-01T08:15:30\n",
        "٢٠٢٣-09-01T08:15:30",
        "Fri, 31 May 2024 13:45:00 GMT",
        1693556130,
        True,
        {},
    ],
)
def test_anything_else_is_refused_naming_the_record(value: Any) -> None:
    with pytest.raises(DoesNotFit, match="things record 9: 'at' is not a date and time"):
        timestamp(record(value), "at")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fri, 31 May 2024 13:45:00 GMT", moment(2024, 5, 31, 13, 45)),
        ("Thu, 29 Feb 2024 00:00:00 GMT", moment(2024, 2, 29)),
        ("Sat, 01 Jan 2000 23:59:59 GMT", moment(2000, 1, 1, 23, 59, 59)),
        (None, None),
    ],
)
def test_http_dates_are_exact(text: str | None, expected: datetime | None) -> None:
    read = http_date(record(text), "at")
    assert read == expected
    assert read is None or read.tzinfo is None


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "Fri, 31 May 2024 13:45:00",
        "Fri, 31 May 2024 13:45:00 +0200",
        "Fri, 31 May 2024 13:45:00 -0000",
        "Fri, 31 May 2024 13:45:00 UTC",
        "Mon, 31 May 2024 13:45:00 GMT",
        "31 May 2024 13:45:00 GMT",
        "Fri, 31 May 24 13:45:00 GMT",
        "Fri, 31 Jun 2024 13:45:00 GMT",
        "Fri, 31 May 2024 25:45:00 GMT",
        "2024-05-31T13:45:00",
        1717163100,
    ],
)
def test_other_http_dates_are_refused(value: Any) -> None:
    with pytest.raises(DoesNotFit, match="things record 9: 'at' is not a date and time"):
        http_date(record(value), "at")


@pytest.mark.parametrize("read", [timestamp, http_date, json_value])
def test_a_missing_key_is_not_null(read: Callable[[Record, str], Any]) -> None:
    with pytest.raises(DoesNotFit, match="things record 9 has no 'when'"):
        read(record(None), "when")


@pytest.mark.parametrize("value", [0, "", [], {}, False, "null"])
def test_json_values_stay_what_they_are(value: Any) -> None:
    assert json_value(record(value), "at") is value


def test_null_in_a_json_column_that_is_not_null_is_the_json_null() -> None:
    assert json_value(record(None), "at") is JSON_NULL


@pytest.mark.parametrize("value", [None, {}, "", 0, "text"])
def test_a_list_that_makes_rows_must_be_a_list(value: Any) -> None:
    with pytest.raises(DoesNotFit, match="things record 9: 'at' is not a list"):
        nested(record(value), "at")
