"""What the receipt says of instants that are loaded into columns without a zone."""

from __future__ import annotations

from collections import defaultdict

from ...dialects.wording import count_rows
from ..proof.compare import SHOWN
from ..rows.zones import is_ambiguous, parse_zone
from ..run.run import Run
from .load import describe_key
from .rows_file import RowsFile


def describe_zones(run: Run, rows: RowsFile) -> None:
    """Note the zone of each column, and warn of rows whose hour a clock showed twice."""
    zone = parse_zone(rows.zone or "")
    if zone is None:
        return
    for column in rows.shown_columns:
        run.note(f"{column}: instants, loaded as they were shown in the time zone {rows.zone}.")
    counts: dict[str, int] = defaultdict(int)
    keys: dict[str, list[str]] = defaultdict(list)
    for column, instant, table, row in rows.instants():
        if is_ambiguous(zone, instant):
            counts[column] += 1
            if len(keys[column]) < SHOWN:
                keys[column].append(describe_key(table, row))
    for column, count in counts.items():
        run.warn(
            f"{column}: {count_rows(count)} in an hour that clocks in {rows.zone} showed twice; which of the two "
            f"it was cannot be told any more; key {', '.join(keys[column])}."
        )
