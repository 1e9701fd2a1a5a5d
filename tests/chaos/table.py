"""The table of hits: command, server, step and fault, and what became of each; as JSON and as Markdown."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .chain import CUT_OVER, Hit
from .commands import SERVERS
from .faults import FAULTS

OUTCOMES = ("old", "new")
HARNESS = "harness"
"""The step of an error that is none of the product's."""


@dataclass(frozen=True)
class Floor:
    """So many hits are asked for.

    :ivar step: of each step of each command, on each server by itself: many on one say nothing of another.
    :ivar cut_over: of all cut-overs on each server.
    """

    step: int
    cut_over: int


def count_steps(hits: Sequence[Hit]) -> dict[tuple[str, str, str], int]:
    """Server, command and step: how often a fault met it."""
    met = Counter((hit.server, hit.command, hit.step) for hit in hits if hit.outcome in OUTCOMES)
    return {key: met[key] for key in sorted({(hit.server, hit.command, hit.step) for hit in hits}) if key[2] != HARNESS}


def find_below(hits: Sequence[Hit], floor: Floor) -> list[str]:
    """What was hit too seldom to say anything."""
    met = [hit for hit in hits if hit.outcome in OUTCOMES]
    below = [
        f"{' '.join(key)}: {count} hits of {floor.step}"
        for key, count in count_steps(hits).items()
        if count < floor.step
    ]
    cut_overs = Counter(hit.server for hit in met if hit.step == CUT_OVER)
    servers = sorted({hit.server for hit in hits})
    below += [
        f"{server} cut-over: {cut_overs[server]} hits of {floor.cut_over}"
        for server in servers
        if cut_overs[server] < floor.cut_over
    ]
    return below


def write(directory: Path, hits: Sequence[Hit], *, seed: int, floor: Floor, left_out: Sequence[str]) -> list[str]:
    """Write ``chaos.json`` and ``chaos.md``; returns what makes the whole thing fail."""
    violations = [
        f"{hit.server} {hit.command} {hit.step} {hit.fault}: {text}" for hit in hits for text in hit.violations
    ]
    below = find_below(hits, floor)
    directory.mkdir(parents=True, exist_ok=True)
    whole = {
        "seed": seed,
        "floor": {"step": floor.step, "cut_over": floor.cut_over},
        "left_out": [*left_out],
        "below_floor": below,
        "violations": violations,
        "hits": [hit.to_json() for hit in hits],
    }
    (directory / "chaos.json").write_text(json.dumps(whole, indent=1) + "\n")
    (directory / "chaos.md").write_text(describe(hits, seed, left_out))
    return [*violations, *below]


def describe(hits: Sequence[Hit], seed: int, left_out: Sequence[str] = ()) -> str:
    """The tables in Markdown: by command and by fault, then by step."""
    met = [hit for hit in hits if hit.outcome in OUTCOMES]
    violations = sum(bool(hit.violations) for hit in hits)
    lines = [f"Seed {seed}: {len(met):,} faults met, {violations} violations.", ""]
    lines += [*_by_command(met), "", *_by_fault(met), "", *_by_step(met)]
    if left_out:
        lines += ["", f"Left out here: {'; '.join(left_out)}."]
    return "\n".join(lines) + "\n"


def _by_command(hits: Sequence[Hit]) -> Iterable[str]:
    """A line for each command: on each server what was live after a fault, in all its steps and in its cut-over."""
    yield f"| command | steps | {' | '.join(f'{server} | in its cut-over' for server in SERVERS)} |"
    yield f"|---|---|{'---|---|' * len(SERVERS)}"
    for command in sorted({hit.command for hit in hits}):
        of_command = [hit for hit in hits if hit.command == command]
        cells = []
        for server in SERVERS:
            of_server = [hit for hit in of_command if hit.server == server]
            cells.append(_cell(Counter(hit.outcome for hit in of_server)))
            cells.append(_cell(Counter(hit.outcome for hit in of_server if hit.step == CUT_OVER)))
        yield f"| `{command}` | {len({hit.step for hit in of_command})} | {' | '.join(cells)} |"


def _by_step(hits: Sequence[Hit]) -> Iterable[str]:
    """A line for each command and step: hits on each server, and how many found the old and the new database live."""
    yield f"| command | step | {' | '.join(SERVERS)} |"
    yield f"|---|---|{'---|' * len(SERVERS)}"
    cells: dict[tuple[str, str], dict[str, Counter[str]]] = defaultdict(lambda: defaultdict(Counter))
    for hit in hits:
        cells[hit.command, hit.step][hit.server][hit.outcome] += 1
    for command, step in sorted(cells):
        yield f"| {command} | {step} | {' | '.join(_cell(cells[command, step][server]) for server in SERVERS)} |"


def _by_fault(hits: Sequence[Hit]) -> Iterable[str]:
    yield f"| fault | {' | '.join(SERVERS)} | while others wrote |"
    yield f"|---|{'---|' * len(SERVERS)}---|"
    for fault in FAULTS:
        of_fault = [hit for hit in hits if hit.fault == fault.name]
        counts = [Counter(hit.outcome for hit in of_fault if hit.server == server) for server in SERVERS]
        yield f"| {fault.name} | {' | '.join(map(_cell, counts))} | {sum(hit.busy for hit in of_fault)} |"


def _cell(counts: Counter[str]) -> str:
    return f"{counts['old']} old, {counts['new']} new" if counts else ""
