"""What the receipt says of instants in columns without a zone: the zone of each, and rows of an hour shown twice."""

from __future__ import annotations

from pathlib import Path

from app.dialects.model import Column, LogicalType, Table
from app.transfer.rows.encode import hash_rows, write_snapshot
from app.transfer.rows.header import Header
from app.transfer.rows.scratch import Aside
from app.transfer.rows.snapshot import check_file
from app.transfer.staging.rows_file import RowsFile
from app.transfer.staging.zoned import describe_zones
from tests.transfer.hosts import made_run


def table(kind: LogicalType) -> Table:
    return Table("t", (Column("id", LogicalType.INT), Column("at", kind), Column("plain", LogicalType.TEXT)), ("id",))


INSTANT, LOCAL = table(LogicalType.TIMESTAMPTZ), table(LogicalType.TIMESTAMP)
ROWS = [
    [1, "2024-10-27 00:30:00.000000+00:00", "x"],
    [2, "2024-10-27 01:30:00.000000+00:00", "x"],
    [3, "2024-07-01 12:00:00.000000+00:00", "x"],
    [4, None, None],
]


def notes(directory: Path, zone: str | None, to: Table, *exclude: str) -> tuple[list[str], list[str], list[object]]:
    run = made_run(directory / "site")
    path = directory / "data.json"
    write_snapshot(
        path, Header("rows", "s", "i", "2024-01-01T00:00:00Z", "0001", (INSTANT,)), [("t", hash_rows(INSTANT, ROWS))]
    )
    with Aside() as aside:
        rows = RowsFile(check_file(path), {"t": to}, set(exclude), aside, zone)
        describe_zones(run, rows)
        return run.report.notes, run.report.warnings, [row[1] for row in rows.rows("t")]


def test_the_zone_is_told_and_rows_of_an_hour_shown_twice_are_named(tmp_path: Path) -> None:
    told, warned, loaded = notes(tmp_path, "Europe/Berlin", LOCAL)
    assert told == ["t.at: instants, loaded as they were shown in the time zone Europe/Berlin."]
    [warning] = warned
    assert warning.startswith("t.at: 2 rows in an hour that clocks in Europe/Berlin showed twice")
    assert warning.endswith("key 1, 2.")
    assert loaded == ["2024-10-27 02:30:00.000000"] * 2 + ["2024-07-01 14:00:00.000000", None]


def test_nothing_is_said_where_instants_stay_instants_or_nothing_is_loaded(tmp_path: Path) -> None:
    assert notes(tmp_path, "Europe/Berlin", INSTANT)[:2] == ([], [])
    assert notes(tmp_path, "Europe/Berlin", LOCAL, "t")[:2] == ([], [])
    assert notes(tmp_path, "+02:00", LOCAL)[1] == []
