"""Who helps a run; whole runs with a cluster are in tests/scenarios/runs/test_dask.py."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

from app.transfer.run.cluster_address import ClusterAddress
from app.transfer.run.workers import Workers, describe_rows
from app.transfer.staging.helpers import call_cluster, note_unused


def run_with(executor: ClusterAddress | None, loaders: int, notes: list[str]) -> Any:
    return SimpleNamespace(
        settings=SimpleNamespace(executor=executor),
        dialect=SimpleNamespace(name="SQLite", capabilities=SimpleNamespace(loaders=loaders)),
        note=notes.append,
    )


def test_none_is_named() -> None:
    assert call_cluster(run_with(None, 64, [])) is None


def test_a_file_is_written_by_this_machine_alone() -> None:
    notes: list[str] = []
    assert call_cluster(run_with(ClusterAddress("127.0.0.1", 8786), 1, notes)) is None
    assert notes == ["dask://127.0.0.1:8786 is not used: SQLite is written by one process of this machine at a time."]


def test_a_cluster_that_can_load_nothing() -> None:
    notes: list[str] = []
    run = run_with(ClusterAddress("127.0.0.1", 8786), 0, notes)
    note_unused(run, Workers(1))
    assert notes == []
    note_unused(run, SimpleNamespace(are_elsewhere=True))  # type: ignore[arg-type] # all that is looked at
    assert notes[0].startswith("dask://127.0.0.1:8786 loads nothing: the live schema has an extension")


def test_who_loaded_how_many() -> None:
    words = describe_rows("Loaded", {"": 1, "one, process 7": 1200, "two, process 8": 300})
    assert words == (
        "Loaded on the cluster: one, process 7: 1200 rows; two, process 8: 300 rows; the run itself: 1 row."
    )
