"""Tables, or ranges of their keys, that others compare with their lines in the snapshot while the run does so, too."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Future
from typing import TypeVar

from ...dialects.model import KeyRange, Table
from ..rows.spelled import Spelled
from ..run.workers import Workers
from .lines import Place, Ranges, are_spelled, fit

LARGEST = 64 << 20
"""Of lines that are given away together: neighbours, which one session reads."""
EACH = 4
"""Pieces of everybody, at least, where there are so many ranges: some are quicker than others."""
Named = TypeVar("Named", str, tuple[str, int])


def prove_beside(
    workers: Workers, place: Place, tables: Mapping[str, Table], lines: Mapping[str, Spelled | None]
) -> dict[str, Callable[[], bool]]:
    """Let workers compare tables.

    :return: of each what waits for the answer; not all that are not equal are different.
    """
    hands = workers.most + 1
    size = min(LARGEST, sum(spelled.size for spelled in lines.values() if spelled) // (hands * EACH))
    pieces = {
        (name, number): piece
        for name, table in tables.items()
        if (spelled := lines.get(name))
        for number, piece in enumerate(_take_apart(table, spelled, size))
    }
    sizes = {named: sum(spelled.size for _, spelled in piece) for named, piece in pieces.items()}
    parts: dict[str, list[Future[bool]]] = {}
    for name, number in _in_order(divide(sizes, hands), list(pieces), workers):
        compare = functools.partial(are_spelled, elsewhere=workers.are_elsewhere)
        with contextlib.suppress(BrokenExecutor, OSError):
            part = workers.submit(compare, place, tables[name], pieces[name, number], size=sizes[name, number])
            parts.setdefault(name, []).append(part)
            del pieces[name, number]
    # What is left of a table of which somebody else has a piece is the run's own.
    left_over = {name: [one for named, piece in pieces.items() if named[0] == name for one in piece] for name in parts}
    return {
        name: functools.partial(_are_all, workers, place, tables[name], left_over[name], futures)
        for name, futures in parts.items()
        if futures
    }


def _in_order(theirs: list[Named], all_names: list[Named], workers: Workers) -> list[Named]:
    """Of a cluster, which may be busy with other work, those first whose answers are waited for first."""
    return sorted(theirs, key=all_names.index) if workers.are_elsewhere else theirs


def _take_apart(table: Table, lines: Spelled, size: int) -> list[Ranges]:
    """The ranges of a table, where its key here is that which the lines are divided by; else all of it.

    :param size: of neighbours that stay together, in bytes.
    """
    if not any(table.primary_key == (within.key,) for within, _ in lines.parts[:1]):
        return [[(None, lines)]]
    pieces: list[list[tuple[KeyRange | None, Spelled]]] = []
    room = 0
    for within, spelled in lines.parts:
        room -= spelled.size
        if room < 0 or not pieces:
            pieces.append([])
            room = size - spelled.size
        pieces[-1].append((within, spelled))
    return list(pieces)


def divide(sizes: Mapping[Named, int], hands: int) -> list[Named]:
    """The names that are not the first one's where all are to end at once: the largest first, to whoever has least."""
    loads = [0] * hands
    theirs: list[Named] = []
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        # Of those that have equally little, the last: the largest is not for the first.
        hand = min(reversed(range(hands)), key=lambda hand: loads[hand])
        loads[hand] += sizes[name]
        if hand:
            theirs.append(name)
    return theirs


def _are_all(workers: Workers, place: Place, table: Table, rest: Ranges, others: list[Future[bool]]) -> bool:
    """Whether all pieces of a table are equal; the run's own are compared in one read while others are at theirs."""
    equal = not rest or fit(place.open(), place.url, table, rest)
    # All are waited for: nobody is to read staging when it is renamed.
    answers = [workers.wait_for(part) is True for part in others]
    return equal and all(answers)
