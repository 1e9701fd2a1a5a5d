"""Counters of two databases told from each other: which one goes on where another stood, and which one is behind."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from .model import Counter, LateWrite


class KnowsDraws(Protocol):
    """What a swap is to know of numbers that were drawn from sequences without a lock."""

    drawn_beside: Mapping[str, int]
    """Sequences that the new database drew from by itself, or has no more, and what they would have given out before.

    Where the live one gave out a number since, it may be the same: a server that counts draws as no write otherwise
    counts that as a late one.
    """


def refuse_drawn(live: Iterable[Counter], drawn_beside: Mapping[str, int]) -> None:
    """:raises LateWrite: the live database gave out a number that staging may have given out as well."""
    if any(drawn_beside.get(counter.name, counter.next) != counter.next for counter in live):
        raise LateWrite


def find_match(counter: Counter, counters: Sequence[Counter]) -> Counter | None:
    """The counter that gives out what another one gave: of the same column, or of the same name.

    Servers name the counters of columns each in its own way; one that counts the other way is another one.
    """
    for other in counters:
        if counter.table and (other.table, other.column) == (counter.table, counter.column):
            return other if other.ascends == counter.ascends else None
    for other in counters:
        if other.name == counter.name and not (counter.table and other.table):
            return other if other.ascends == counter.ascends else None
    return None


def is_behind(counter: Counter, wanted: Counter) -> bool:
    """Whether a counter would give out again what another one gave out already."""
    if counter.cycles:
        return False
    return counter.next < wanted.next if wanted.ascends else counter.next > wanted.next
