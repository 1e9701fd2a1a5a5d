"""The runs of a control area, and how each of them ended."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.transfer.run.history import list_runs
from app.transfer.run.ledger import Entry
from tests.transfer.hosts import made_run


@pytest.mark.parametrize(
    ("records", "outcome"),
    [
        ([("backup", "begun"), ("backup", "done")], "done"),
        ([("backup", "begun")], "ended early"),
        ([("snapshot", "begun"), ("extract user", "done")], "ended early"),
        ([("snapshot", "begun"), ("extract user", "done"), ("snapshot", "done")], "done"),
        ([("cut-over", "begun"), ("cut-over", "undone")], "done"),
        ([("backup", "begun"), ("run", "failed")], "failed"),
        ([("backup", "begun"), ("backup", "done"), ("run", "rehearsed")], "rehearsed"),
    ],
)
def test_how_a_run_ended(tmp_path: Path, records: list[tuple[str, str]], outcome: str) -> None:
    run = made_run(tmp_path)
    for step, phase in records:
        detail = {"command": "db-backup"} if phase == "begun" else {"message": "no room"}
        run.control.write(run.id, step, phase, detail)
    [item] = list_runs(run.control, "alembic_version")
    assert (item["run"], item["command"], item["outcome"]) == (run.id, "db-backup", outcome)
    assert item["error"] == ("no room" if outcome == "failed" else None)
    assert (item["cut_over"], item["rows"], item["undone"]) == (False, None, False)


def test_a_run_at_work_and_what_a_cut_over_made_live(tmp_path: Path) -> None:
    one, other = made_run(tmp_path), made_run(tmp_path)
    for run in (one, other):
        run.control.write(run.id, "load", "begun", {"command": "db-migrate-data"})
    mark = "0000000a"
    sums = {"users": [2, "0" * 32], "posts": [3, "0" * 32], "alembic_version": [1, "0" * 32]}
    entry = Entry(
        one.id, "db-migrate-data", "i", "the source", "0001", mark, "", "2024-01-01T00:00:00Z", checksums=sums
    )
    one.control.record(entry)
    assert other.control.take_lease(other.id, "db-migrate-data") is None
    first, second = list_runs(one.control, "alembic_version")
    assert (first["source"], first["revision"], first["rows"], first["cut_over"]) == ("the source", "0001", 5, True)
    assert second["outcome"] == "at work"
    other.control.release_lease(other.id)
    assert list_runs(one.control, "alembic_version")[1]["outcome"] == "ended early"
    back = Entry(other.id, "db-rollback", "i", "s", "0001", "0000000b", mark, "2024-01-02T00:00:00Z", undoes=one.id)
    other.control.record(back)
    assert [item["undone"] for item in list_runs(one.control, "alembic_version")] == [True, False]
