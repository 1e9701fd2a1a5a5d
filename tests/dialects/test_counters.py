"""Which counter goes on where another one stood, and whether it would give anything out again."""

from __future__ import annotations

import pytest

from app.dialects.counters import find_match, is_behind
from app.dialects.model import Counter

KEY = Counter("users.id", 8, "users", "id")


@pytest.mark.parametrize(
    ("counters", "match"),
    [
        ([], None),
        # A column's counter is the column's, whatever each server calls it.
        ([Counter("users.id", 1, "posts", "id"), Counter("users_id_seq", 1, "users", "id")], "users_id_seq"),
        ([Counter("users.id", 1, "users", "number")], None),
        # One that fills no column may have become the column's, or the other way round: then the name counts.
        ([Counter("users.id", 1)], "users.id"),
        ([Counter("users_id_seq", -1, "users", "id", step=-1), Counter("users.id", 1)], None),
    ],
)
def test_the_counter_of_the_same_column_or_name(counters: list[Counter], match: str | None) -> None:
    found = find_match(KEY, counters)
    assert (found and found.name) == match


def test_a_sequence_of_no_column_is_found_by_its_name() -> None:
    invoices = Counter("invoices", 5)
    assert find_match(invoices, [Counter("invoice", 1), Counter("invoices", 2, "bills", "number")]) is not None
    assert find_match(invoices, [Counter("invoices", -2, step=-1)]) is None


@pytest.mark.parametrize(
    ("counter", "wanted", "behind"),
    [
        (Counter("a", 7), Counter("a", 8), True),
        (Counter("a", 8), Counter("a", 8), False),
        (Counter("a", 9), Counter("a", 8), False),
        (Counter("a", -7, step=-1), Counter("a", -8, step=-1), True),
        (Counter("a", -9, step=-1), Counter("a", -8, step=-1), False),
        (Counter("a", 1, cycles=True), Counter("a", 8), False),
    ],
)
def test_what_would_be_given_out_again(counter: Counter, wanted: Counter, behind: bool) -> None:
    assert is_behind(counter, wanted) is behind
