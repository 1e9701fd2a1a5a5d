"""The rows written since a cut-over, in a file of the run that goes back: whole, so that a person can put them back."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

from ...dialects.reader import Reader
from ..proof.writes import Written, find_schema_changes, find_writes
from ..rows.files import encode_rows, write
from ..rows.header import now
from ..run.evidence import REPORTED
from ..run.evidence_files import WRITES_SINCE
from ..run.ledger import Entry
from ..run.run import Run
from ..schema.alembic import data_tables, revision_of

FORMAT = "ferry-writes-since"
VERSION = 1


@dataclass
class WritesSince:
    """What was written, counted.

    :ivar tables: rows written per table. :ivar schema: tables and columns made or dropped by hand.
    :ivar file: all of the rows; None where there are none.
    """

    tables: dict[str, int] = field(default_factory=dict)
    schema: list[str] = field(default_factory=list)
    file: Path | None = None

    @property
    def count(self) -> int:
        return sum(self.tables.values())


def keep_writes_since(run: Run, since: Entry, was: Reader, is_now: Reader) -> WritesSince:
    """Write the file, for its owner alone, and name the first rows in the report, their secrets masked.

    :param since: the cut-over that made ``was`` live.
    """
    writes = WritesSince(schema=find_schema_changes(was, is_now))
    counted = _count(run, writes, find_writes(was, is_now, run.directory))
    run.report.differences = []
    first = list(islice(counted, 1))
    if not first and not writes.schema:
        return writes
    path, head = run.directory / WRITES_SINCE, _head(run, since, is_now, writes.schema)
    items = (item.to_json() for item in chain(first, counted))
    write(path, encode_rows(head, items), keep_former=False)
    writes.file = path
    run.report.differences_file = str(path)
    return writes


def _count(run: Run, into: WritesSince, writes: Iterable[Written]) -> Iterator[Written]:
    for item in writes:
        into.tables[item.table.name] = into.tables.get(item.table.name, 0) + 1
        yield item
        if len(run.report.differences) < REPORTED:
            run.report.differences.append(item.difference.to_json())


def _head(run: Run, since: Entry, is_now: Reader, schema: list[str]) -> dict[str, Any]:
    tables = data_tables(is_now.tables())
    return {
        "format": FORMAT,
        "version": VERSION,
        "run": run.id,
        "since_run": since.run_id,
        "since": since.finished_at,
        "revision": revision_of(is_now),
        "written_at": now(),
        "schema_changes": schema,
        "types": {name: {one.name: str(one.type) for one in table.columns} for name, table in tables.items()},
    }
