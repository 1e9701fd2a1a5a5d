"""What MySQL's own JSON would change is named, whatever somebody wrote into it."""

from __future__ import annotations

import pytest

from app.dialects.mysql.native_json import find_change


@pytest.mark.parametrize(
    "text",
    ["null", "0.1", "-9223372036854775808", "18446744073709551615", "1.5e300", '{"a": 1, "b": {"a": 1}}', "[" * 99_999],
)
def test_what_it_holds(text: str) -> None:
    assert find_change(text) == ""


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("18446744073709551616", "18446744073709551616"),
        ("-9223372036854775809", "-9223372036854775809"),
        ("0.12345678901234567", "0.12345678901234567"),
        ("[1e400]", "1e400"),
        ('{"a": 1e-99999999999999999999999}', "1e-99999999999999999999999"),
        ('{"a": 1, "a": 2}', "two equal keys"),
    ],
)
def test_what_it_changes(text: str, words: str) -> None:
    assert words in find_change(text)
