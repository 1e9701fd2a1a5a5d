"""``python -m tests.chaos --faults 2000 --seed 1 --jobs 2``: see the package."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import click

from .plan import make_chains, make_up, name_left_out
from .run import run_all
from .table import Floor, write

ROUNDS = 3
"""Of further chains, for steps that were hit too seldom; what is not met then fails."""


@click.command()
@click.option("--faults", default=2000, show_default=True, help="How many, about.")
@click.option("--seed", default=1, show_default=True, help="The same seed plans the same.")
@click.option("-n", "--jobs", default=2, show_default=True, help="Chains at once.")
@click.option("--minutes", type=float, help="Begin no further fault after so long.")
@click.option("--to", type=click.Path(path_type=Path), default=Path("build/chaos"), show_default=True)
@click.option("--server", "servers", multiple=True, help="Only this one.")
@click.option("--case", "cases", multiple=True, help="Only this one.")
def main(
    faults: int, seed: int, jobs: int, minutes: float | None, to: Path, servers: tuple[str, ...], cases: tuple[str, ...]
) -> None:
    """Let every command meet every fault at every step, on each server; a second call goes on."""
    chains = [
        chain
        for chain in make_chains(seed, faults)
        if (not servers or chain.server in servers) and (not cases or chain.case in cases)
    ]
    until = time.time() + 60 * minutes if minutes else None
    # A floor that is in proportion: what few faults hit says little.
    floor = Floor(step=3, cut_over=20) if faults >= 2000 else Floor(step=0, cut_over=faults // 100)
    hits = run_all(chains, to / "hits.jsonl", jobs=jobs, until=until, tell=click.echo)
    for _ in range(ROUNDS):
        if not (more := make_up(seed, hits, floor)):
            break
        hits = run_all(more, to / "hits.jsonl", jobs=jobs, until=until, tell=click.echo)
    failures = write(to, hits, seed=seed, floor=floor, left_out=name_left_out())
    click.echo((to / "chaos.md").read_text())
    for text in failures:
        click.echo(f"FAILED: {text}", err=True)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
