"""Names of parts, and what a claim and refused rows mean."""

from __future__ import annotations

import pytest

from app.dialects.once import begin_part, claim_words, end_part
from app.errors import LoadError, PartLoaded


@pytest.mark.parametrize("part", ["1", "a.b-c_9", "x" * 60])
def test_a_name_of_a_part(part: str) -> None:
    assert claim_words(part) == f"'{part}'"


@pytest.mark.parametrize("part", ["", "it's", "a b", "x" * 61, "a\\", "é"])
def test_what_names_no_part(part: str) -> None:
    with pytest.raises(ValueError, match="names no part"):
        claim_words(part)


def test_a_claim_that_adds_nothing() -> None:
    begin_part("1", 1)
    with pytest.raises(PartLoaded, match="part 1 was loaded before"):
        begin_part("1", 0)


def test_refused_rows_of_a_part_alone_are_an_error() -> None:
    end_part("1", [])
    end_part("", ["a row"])
    with pytest.raises(LoadError, match="Of the part 1 1 did not go in"):
        end_part("1", ["a row"])
