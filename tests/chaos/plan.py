"""Which chains there are for so many faults: each server, each case, each fault, by one seed."""

from __future__ import annotations

import random
from collections.abc import Iterator

from .chain import Chain
from .commands import CASES
from .faults import FAULTS, Fault

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
        kinds = tuple(fault.name for fault in FAULTS if fault.name in names and is_possible(fault, server))
        for case in CASES:
            rest = round(count * share * WEIGHTS[case.name] / whole)
            while kinds and rest > 0:
                size = min(LONGEST[server], rest)
                yield Chain(0, seed, server, case.name, kinds, size)
                rest -= size


def is_possible(fault: Fault, server: str) -> bool:
    """Whether a fault can be had here, on that server."""
    return server in fault.servers and not fault.needs()


def name_left_out() -> list[str]:
    """The faults that cannot be had here, each with what it needs."""
    return [f"{fault.name}: needs {fault.needs()}" for fault in FAULTS if fault.needs()]
