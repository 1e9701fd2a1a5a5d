"""Whether a database holds nothing but what ``flask db-init`` put there."""

from __future__ import annotations

from ..proof.checksums import fingerprint
from ..run.run import Run
from ..run.target import Target

INIT = "db-init"


def is_as_seeded(run: Run, target: Target) -> bool:
    """Whether the database holds exactly what the last db-init left; no row is read where their numbers differ."""
    last = target.in_force
    if last is None or last.command != INIT:
        return False
    sums = last.table_checksums
    if any(name not in sums or sums[name].rows != rows for name, rows in target.rows.items()):
        return False
    with run.dialect.reader(run.target) as reader:
        return fingerprint(reader) == sums
