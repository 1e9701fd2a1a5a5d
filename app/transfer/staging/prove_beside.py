"""Tables that processes compare with their lines in the snapshot while the run compares others."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Mapping
from concurrent.futures import BrokenExecutor, Future

from ...dialects.model import Table
from ..rows.spelled import Spelled
from ..run.workers import Workers
from .lines import Place, are_spelled


def prove_beside(
    workers: Workers, place: Place, tables: Mapping[str, Table], lines: Mapping[str, Spelled | None]
) -> dict[str, Callable[[], bool]]:
    """Let workers compare tables.

    :return: of each what waits for the answer; not all that are not equal are different.
    """
    known = {name: spelled for name, spelled in lines.items() if spelled}
    waiting: dict[str, Callable[[], bool]] = {}
    for name in divide({name: spelled.size for name, spelled in known.items()}, workers.most + 1):
        with contextlib.suppress(BrokenExecutor, OSError):
            compare = functools.partial(are_spelled, elsewhere=workers.are_elsewhere)
            part = workers.submit(compare, place, tables[name], known[name])
            waiting[name] = functools.partial(_is_so, workers, part)
    return waiting


def divide(sizes: Mapping[str, int], hands: int) -> list[str]:
    """The names that are not the first one's where all are to end at once: the largest first, to whoever has least."""
    loads = [0] * hands
    theirs: list[str] = []
    for name in sorted(sizes, key=lambda name: (-sizes[name], name)):
        # Of those that have equally little, the last: the largest is not for the first.
        hand = min(reversed(range(hands)), key=lambda hand: loads[hand])
        loads[hand] += sizes[name]
        if hand:
            theirs.append(name)
    return theirs


def _is_so(workers: Workers, part: Future[bool]) -> bool:
    answer = workers.wait_for(part)
    return answer is True
