"""Carries the chains out, several at once; what was done stands in a file, so that a run goes on where it ended."""

from __future__ import annotations

import json
import multiprocessing
import os
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.support.servers import PREPARED

from .chain import Chain, Hit, carry_out
from .table import HARNESS, OUTCOMES


def run_chain(chain: Chain, file: Path, until: float | None) -> list[Hit]:
    """All hits of a chain, each put into the file; an error of the harness itself is told as a violation.

    :param until: the time after which no further fault begins.
    """
    hits: list[Hit] = []
    with file.open("a", buffering=1) as lines:
        for hit in _carry_out(chain):
            hits.append(hit)
            lines.write(json.dumps({"seed": chain.seed, **hit.to_json()}) + "\n")
            if until and time.time() > until:
                break
    return hits


def _carry_out(chain: Chain) -> Iterator[Hit]:
    try:
        yield from carry_out(chain)
    except Exception:  # noqa: BLE001 # it is told, and fails the whole
        words = [traceback.format_exc()]
        yield Hit(chain.number, chain.server, chain.case, HARNESS, "none", False, violations=words)


def run_all(
    chains: Sequence[Chain], file: Path, *, jobs: int, until: float | None, tell: Callable[[str], None]
) -> list[Hit]:
    """Carry out the chains of which nothing is in the file yet; returns all hits."""
    file.parent.mkdir(parents=True, exist_ok=True)
    before = [*read(file, chains[0].seed)]
    waiting = [chain for chain in chains if chain.number not in {hit.chain for hit in before}]
    hits = [*before]
    with tempfile.TemporaryDirectory(prefix="ferry-prepared-") as prepared:
        Path(prepared).chmod(0o711)
        os.environ[PREPARED] = prepared
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(jobs, mp_context=context, max_tasks_per_child=1) as pool:
            futures = [pool.submit(_begin_in_time, chain, file, until) for chain in waiting]
            for future in as_completed(futures):
                hits += future.result()
                met = sum(hit.outcome in OUTCOMES for hit in hits)
                tell(f"{met} faults, {sum(bool(hit.violations) for hit in hits)} violations")
    return hits


def _begin_in_time(chain: Chain, file: Path, until: float | None) -> list[Hit]:
    return [] if until and time.time() > until else run_chain(chain, file, until)


def read(file: Path, seed: int) -> Iterator[Hit]:
    """The hits of a seed that a file holds."""
    for line in file.read_text().splitlines() if file.exists() else ():
        values = json.loads(line)
        if values.pop("seed") == seed:
            yield Hit(**values)
