"""Which chains there are for so many faults: each server, each case, each fault, by one seed."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence

from .chain import Chain, Hit
from .commands import CASES, case_of
from .faults import FAULTS, Fault
from .table import Floor, count_steps

SHARES = {"sqlite": 0.70, "mariadb": 0.16, "postgresql": 0.14}
"""Of all faults: a fault on SQLite takes half a second, one on a server several."""
WEIGHTS = {"source": 2.0, "self": 2.0, "keep": 1.0, "init": 1.0, "restore": 1.5, "backup": 0.5}
GROUPS = (
    (0.65, ("kill -9", "kill -9 of the server", "full disk", "read-only directory", "again")),
    (0.25, ("connection cut", "asleep past the lease")),
    (0.10, ("clock jump",)),
)
"""Faults of one chain: those that need a slower way to the server, or another interpreter, are apart."""
LONGEST = {"sqlite": 25, "mariadb": 12, "postgresql": 12}
"""Faults of a chain: to begin one takes as long as some faults."""


def make_chains(seed: int, count: int) -> list[Chain]:
    """Chains of about so many faults together, shuffled: what is ended early has some of each kind."""
    chains = [chain for server in SHARES for chain in _of_server(seed, server, count * SHARES[server])]
    random.Random(seed).shuffle(chains)
    return [
        Chain(number, seed, chain.server, chain.case, chain.faults, chain.count)
        for number, chain in enumerate(chains, 1)
    ]


def _of_server(seed: int, server: str, count: float) -> Iterator[Chain]:
    whole = sum(WEIGHTS.values())
    for share, names in GROUPS:
        kinds = _kinds(names, server)
        for case in CASES:
            rest = round(count * share * WEIGHTS[case.name] / whole)
            while kinds and rest > 0:
                size = min(LONGEST[server], rest)
                yield Chain(0, seed, server, case.name, kinds, size)
                rest -= size


def make_up(seed: int, hits: Sequence[Hit], floor: Floor) -> list[Chain]:
    """Chains for the steps that were hit too seldom, each with as many faults as its steps lack."""
    lacking: dict[tuple[str, str], Counter[tuple[str, str]]] = defaultdict(Counter)
    for (server, command, step), count in count_steps(hits).items():
        if count < floor.step:
            lacking[server, case_of(command)][command, step] = floor.step - count
    names = GROUPS[0][1] + GROUPS[1][1]
    return [
        Chain(number, seed, server, case, _kinds(names, server), _length(lacks), tuple(lacks))
        for number, ((server, case), lacks) in enumerate(lacking.items(), 1 + max(hit.chain for hit in hits))
    ]


def _length(lacks: Counter[tuple[str, str]]) -> int:
    """Commands of a case come in turn, so that each has as many faults as the one that lacks most."""
    commands = Counter[str]()
    for (command, _), count in lacks.items():
        commands[command] += count
    return max(commands.values()) * 2


def _kinds(names: Collection[str], server: str) -> tuple[str, ...]:
    return tuple(fault.name for fault in FAULTS if fault.name in names and is_possible(fault, server))


def is_possible(fault: Fault, server: str) -> bool:
    """Whether a fault can be had here, on that server."""
    return server in fault.servers and not fault.needs()


def name_left_out() -> list[str]:
    """The faults that cannot be had here, each with what it needs."""
    return [f"{fault.name}: needs {fault.needs()}" for fault in FAULTS if fault.needs()]
