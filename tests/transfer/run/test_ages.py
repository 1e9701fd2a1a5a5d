"""How old a snapshot may be that stands in for a source."""

from __future__ import annotations

import pytest

from app.transfer.run.ages import parse_fallback


@pytest.mark.parametrize(
    ("text", "age_s", "allowed", "only"),
    [
        ("never", None, False, False),
        ("only", None, True, True),
        ("0s", 0, True, False),
        ("90m", 5400, True, False),
        ("12h", 43200, True, False),
        ("7d", 604800, True, False),
        ("2w", 1209600, True, False),
    ],
)
def test_fallback(text: str, age_s: int | None, allowed: bool, only: bool) -> None:
    found = parse_fallback(text)
    assert (found.age_s, found.allowed, found.only) == (age_s, allowed, only)
