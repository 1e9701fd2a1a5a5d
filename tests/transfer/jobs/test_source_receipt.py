"""Every row of a source has an account in the receipt."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from app.dialects.model import Table, TableChecksum
from app.errors import VerificationFailed
from app.transfer.jobs.source_receipt import describe_tables
from app.transfer.run.report import Report
from app.transfer.staging.load import TableLoad


def describe(load: TableLoad, missing: dict[str, str] | None = None) -> Report:
    run: Any = SimpleNamespace(report=Report("a run", "db-migrate-data"))
    staged: Any = SimpleNamespace(
        rows=SimpleNamespace(header=SimpleNamespace(revision="r1")), accounts={load.table.name: load}
    )
    describe_tables(run, staged, missing or {})
    report: Report = run.report
    return report


def test_an_account_of_each_table() -> None:
    load = TableLoad(Table("letter", (), ()), 5, TableChecksum(2, 7), excluded=2, set_aside=1)
    report = describe(load, {"letter": "no endpoint"})
    [receipt] = report.tables
    assert (receipt.rows, receipt.loaded, receipt.waived, receipt.set_aside) == (5, 2, 2, 1)
    assert receipt.note == "no endpoint"
    assert report.waived == [{"what": "table letter", "rows": 2, "reason": "--exclude"}]
    assert report.revisions["source"] == "r1"


def test_a_row_that_is_nowhere_stops_the_run() -> None:
    with pytest.raises(VerificationFailed, match="letter: 5 rows are not 4 loaded"):
        describe(TableLoad(Table("letter", (), ()), 5, TableChecksum(4, 7)))
