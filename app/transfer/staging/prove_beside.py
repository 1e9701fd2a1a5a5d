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
from .lines import Place, are_spelled

Piece = tuple[str, KeyRange | None, Spelled]
Named = TypeVar("Named", str, tuple[str, int])


def prove_beside(
    workers: Workers, place: Place, tables: Mapping[str, Table], lines: Mapping[str, Spelled | None]
) -> dict[str, Callable[[], bool]]:
    """Let workers compare tables.

    :return: of each what waits for the answer; not all that are not equal are different.
    """
    pieces = {
        (name, number): piece
        for name, spelled in lines.items()
        if spelled
        for number, piece in enumerate(_take_apart(name, tables[name], spelled))
    }
    theirs = divide({named: piece[2].size for named, piece in pieces.items()}, workers.most + 1)
    parts: dict[str, list[Future[bool]]] = {}
    for name, number in theirs:
        _, within, spelled = pieces[name, number]
        compare = functools.partial(are_spelled, elsewhere=workers.are_elsewhere)
        with contextlib.suppress(BrokenExecutor, OSError):
            parts.setdefault(name, []).append(workers.submit(compare, place, tables[name], spelled, within))
            del pieces[name, number]
    # What is left of a table of which somebody else has a piece is the run's own.
    left_over = {name: [piece for piece in pieces.values() if piece[0] == name] for name in parts}
    return {
        name: functools.partial(_are_all, workers, place, tables[name], left_over[name], futures)
        for name, futures in parts.items()
        if futures
    }


def _take_apart(name: str, table: Table, lines: Spelled) -> list[Piece]:
    """The ranges of a table, where its key here is that which the lines are divided by; else all of it."""
    if any(table.primary_key == (within.key,) for within, _ in lines.parts[:1]):
        return [(name, within, spelled) for within, spelled in lines.parts]
    return [(name, None, lines)]


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


def _are_all(workers: Workers, place: Place, table: Table, rest: list[Piece], others: list[Future[bool]]) -> bool:
    """Whether all pieces of a table are equal; the run's own are compared while others are at theirs."""
    equal = all(are_spelled(place, table, spelled, within, elsewhere=True) for _, within, spelled in rest)
    # All are waited for: nobody is to read staging when it is renamed.
    answers = [workers.wait_for(part) is True for part in others]
    return equal and all(answers)
