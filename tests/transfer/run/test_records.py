"""How many directories of runs are kept, and what everything takes."""

from __future__ import annotations

from pathlib import Path

from app.transfer.run.evidence_files import NAME
from app.transfer.run.records import measure_disk, prune_records
from tests.transfer.hosts import made_run


def test_the_oldest_of_each_command_go_but_for_rows_set_aside(tmp_path: Path) -> None:
    run = made_run(tmp_path, FERRY_KEEP="1")
    for number in range(15):
        for command in ("db-migrate-data", "db-verify"):
            name = f"20240101T0000{number:02}-{command}"
            run.control.write(name, "load", "begun", {"command": command})
            (run.directory.parent / name).mkdir()
    aside = run.directory.parent / "20240101T000000-db-verify" / NAME
    aside.touch()
    prune_records(run)
    names = {path.name for path in run.directory.parent.iterdir()}
    expected = {f"20240101T0000{number:02}-{c}" for number in range(5, 15) for c in ("db-migrate-data", "db-verify")}
    assert names == {*expected, aside.parent.name, run.id}


def test_what_lies_beside_the_database_is_measured(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    assert {kind: item["count"] for kind, item in measure_disk(run).items()} == {
        "generations": 0,
        "snapshots": 0,
        "records": 0,
    }
    (run.directory / "report.json").write_bytes(b"x" * 7)
    for name in ("data.json", "data.json.20240101T000000.bak", "other.json"):
        (tmp_path / name).write_bytes(b"x" * 5)
    sizes = {kind: (item["count"], item["size_bytes"]) for kind, item in measure_disk(run).items()}
    assert sizes == {"generations": (0, 0), "snapshots": (2, 10), "records": (1, 7)}
