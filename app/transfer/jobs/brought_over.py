"""What the report says of rows that were written meanwhile and brought over."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict

from ...dialects.model import TableChecksum
from ...dialects.wording import count_rows
from ..run.run import Run
from ..staging.short_stop import ShortStop


def describe_brought_over(run: Run, stop: ShortStop, checksums: Mapping[str, TableChecksum]) -> None:
    """Put it into the report, and into the receipts of the tables that have other rows by now.

    :param checksums: of staging, by its tables' names there.
    """
    brought = stop.brought
    run.report.brought_over = [{"table": name, **asdict(one)} for name, one in sorted(brought.items())]
    for receipt in run.report.tables:
        if receipt.table in brought and (staged := stop.name_of(receipt.table)):
            sums = checksums[staged]
            receipt.rows = receipt.loaded = sums.rows
            receipt.checksum = str(sums) if stop.is_same(receipt.table) else ""
            receipt.rows_at_head = sums.rows if receipt.rows_at_head is not None else None
    rows, waiting = (sum(getattr(one, name) for one in brought.values()) for name in ("rows", "while_waiting"))
    were = "was" if rows == 1 else "were"
    run.note(
        f"The live database was written meanwhile; {count_rows(rows)} {were} brought over, "
        f"{waiting} of them with writers waiting."
    )
