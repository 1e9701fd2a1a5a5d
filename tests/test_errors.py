"""Errors: each has a status of the contract, and another text makes another error."""

from __future__ import annotations

import pytest

from app import errors
from app.errors import MEANINGS, ExitStatus, FerryError

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, FerryError)]


def test_each_status_has_a_meaning_and_each_error_a_status() -> None:
    assert set(MEANINGS) == set(ExitStatus)
    assert {kind.exit_status for kind in KINDS} == set(ExitStatus) - {ExitStatus.DONE}
    assert sorted(ExitStatus) == [0, 1, 2, 3, 11, 12, 20, 21, 22, 23, 25, 130]


@pytest.mark.parametrize("kind", KINDS)
def test_another_text_makes_another_error_of_the_kind(kind: type[FerryError]) -> None:
    error = kind("what", hint="then", details=["one"])
    other = error.with_hint("else")
    third = other.with_details("more", ["two"])
    assert [type(one) for one in (other, third)] == [kind, kind]
    assert (error.message, str(error), error.hint, error.details) == ("what", "what", "then", ["one"])
    assert (str(other), other.hint, other.details) == ("what", "else", ["one"])
    assert (third.message, str(third), third.hint, third.details) == ("more", "more", "else", ["two"])
