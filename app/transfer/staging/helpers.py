"""Who helps a run with its rows: processes of this machine, or the workers of a cluster."""

from __future__ import annotations

from ..run.run import Run
from ..run.workers import Workers
from .lines import Place, reach


def call_cluster(run: Run) -> Workers | None:
    """The workers that ``FERRY_EXECUTOR`` names; None where it names none, or nobody but the run may load this target.

    :raises Misconfigured, ClusterLost: see :meth:`..run.cluster.Cluster.begin`.
    """
    address = run.settings.executor
    if address is None:
        return None
    if run.dialect.capabilities.loaders <= 1:
        run.note(f"{address} is not used: {run.dialect.name} is written by one process of this machine at a time.")
        return None
    from ..run.cluster import Cluster

    cluster = Cluster(address, reach, Place.of(run), note=run.note)
    cluster.begin()
    return cluster


def note_unused(run: Run, workers: Workers) -> None:
    """Note that a cluster loads nothing, where that is known only of a staging that was built."""
    if workers.are_elsewhere:
        run.note(
            f"{run.settings.executor} loads nothing: the live schema has an extension, which is lent to one session of "
            f"{run.dialect.name} at a time."
        )
