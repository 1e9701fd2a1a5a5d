"""Instants as the clock of a zone showed them, and hours that it showed twice."""

from __future__ import annotations

import datetime as dt

import pytest

from app.transfer.rows.zones import is_ambiguous, parse_zone, show_in


@pytest.mark.parametrize(
    ("text", "offset_s"), [("+02:00", 7200), ("-3:30", -12600), ("+00:00", 0), ("UTC", 0), ("Asia/Kolkata", 19800)]
)
def test_a_zone_by_its_offset_or_name(text: str, offset_s: int) -> None:
    zone = parse_zone(text)
    assert zone is not None
    assert dt.datetime(2024, 1, 1, tzinfo=zone).utcoffset() == dt.timedelta(seconds=offset_s)


@pytest.mark.parametrize(
    "text", ["", "Berlin", "+24:00", "+2", "02:00", "+02:60", "../etc/passwd", "/etc/passwd", "Europe", "\0", "x" * 300]
)
def test_any_other_text_is_none(text: str) -> None:
    assert parse_zone(text) is None


def zone(text: str) -> dt.tzinfo:
    found = parse_zone(text)
    assert found is not None
    return found


def test_as_the_clock_showed_it() -> None:
    assert show_in(zone("Europe/Berlin"), "2024-07-01 12:00:00.000001+00:00") == "2024-07-01 14:00:00.000001"
    assert show_in(zone("-02:00"), "0001-01-01 00:00:00.000000+00:00") is None
    assert show_in(zone("+02:00"), "9999-12-31 23:00:00.000000+00:00") is None


@pytest.mark.parametrize(
    ("instant", "twice"),
    [
        ("2024-10-27 00:30:00.000000+00:00", True),
        ("2024-10-27 01:30:00.000000+00:00", True),
        ("2024-10-26 23:59:59.000000+00:00", False),
        ("2024-10-27 02:00:00.000000+00:00", False),
        # Spring leaves an hour out: no instant is shown in it.
        ("2024-03-31 01:00:00.000000+00:00", False),
    ],
)
def test_the_hour_that_autumn_shows_twice(instant: str, twice: bool) -> None:
    assert is_ambiguous(zone("Europe/Berlin"), instant) is twice
    assert not is_ambiguous(zone("+01:00"), instant)


def test_an_instant_that_no_clock_shows_is_not_ambiguous() -> None:
    assert not is_ambiguous(zone("+02:00"), "9999-12-31 23:00:00.000000+00:00")
