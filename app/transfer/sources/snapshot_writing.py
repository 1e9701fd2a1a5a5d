"""A source's snapshot: where it is written, and what its header says."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ...dialects.model import KeyRange, Table, Values
from ...dialects.reader import Reader
from ...dialects.wording import count_rows
from ...errors import FerryError
from ..rows.double_encoded import DoubleEncoded
from ..rows.encode import HashedLine, TakeLines, Written, hash_rows, write_snapshot
from ..rows.header import Header
from ..rows.snapshot import is_anonymised
from ..run.run import Run
from .base import RowChange, SourceOptions, Taken
from .lent_rows import LentRows

Progress = Callable[[str, int, int | None], None]
WITHOUT = "Please report this, and run the command without FERRY_EXECUTOR."


def write_taken(run: Run, path: Path, header: Header, sections: Iterator[tuple[str, Iterator[HashedLine]]]) -> Taken:
    """Write the snapshot of a source; the former one is kept."""
    with writable(path):
        file = write_snapshot(path, header, sections)
    return describe_taken(run, file)


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """:raises FerryError: the snapshot cannot be written."""
    try:
        yield
    except OSError as error:
        raise FerryError(
            f"The snapshot {path} cannot be written: {error.strerror}.",
            hint="Make room or fix the permissions, or set FERRY_SNAPSHOT to another path.",
        ) from error


def describe_taken(run: Run, file: Written) -> Taken:
    """A snapshot that was just written."""
    former = file.former
    if former:
        run.note(f"The former snapshot is kept as {former}.")
        if file.header.profile is not None and not is_anonymised(former):
            run.warn(f"{former} is not anonymised: remove it if nobody is to keep what it holds.")
    return Taken(file.path, file.header, file.footer, file.identity, file.sha256, former=former)


def unlike(former: Mapping[str, object], sums: Mapping[str, object]) -> list[str]:
    return sorted(name for name in former if former[name] != sums.get(name))


def count_sections(snapshot: Taken) -> dict[str, int]:
    """Rows per table, or records per type."""
    return {name: checksum.rows for name, checksum in snapshot.footer.checksums.items()}


def leave_out(run: Run, snapshot: Taken, options: SourceOptions) -> Taken:
    """Count the rows of excluded tables that the revision does not have: nothing behind this would name them."""
    revision = snapshot.header.revision
    excluded = set(options.exclude) & set(snapshot.footer.checksums)
    if snapshot.header.kind == "rows" and excluded and revision is not None:
        run.schema.require(revision, snapshot.header.source)
        extra = excluded - set(run.schema.tables_at(run.scratch, revision))
        snapshot.extra = {name: snapshot.footer.checksums[name].rows for name in sorted(extra)}
    return snapshot


def write_rows(
    reader: Reader,
    path: Path,
    header: Header,
    progress: Progress,
    change: RowChange | None = None,
    double: DoubleEncoded | None = None,
    bring: Callable[[Reader], None] | None = None,
    also: TakeLines | None = None,
    lent: LentRows | None = None,
) -> Written:
    """Write all rows of one read into a snapshot.

    :param change: what is done to a table's rows before they are written.
    :param double: counts texts that look encoded twice.
    :param bring: brings what the rows name and no snapshot has, of the same instant.
    :param also: is given the lines as well.
    :param lent: whoever else reads what this read sees; their rows nothing is done to.
    """
    if bring:
        bring(reader)
    header = replace(header, counters=tuple(reader.counters()))
    double, lent = double or DoubleEncoded(), None if change else lent
    sections = (
        (table.name, _lent_lines(reader, table, progress, double, lent, ranges))
        if lent and (ranges := lent.divide(reader, table))
        else (table.name, _lines(reader, table, progress, change, double))
        for table in header.tables
    )
    return write_snapshot(path, header, sections, also=also)


def _lines(
    reader: Reader,
    table: Table,
    progress: Progress,
    change: RowChange | None,
    double: DoubleEncoded,
) -> Iterator[HashedLine]:
    rows = double.watch(table, _count_rows(reader, table, progress))
    return hash_rows(table, change.rows(table, rows) if change else rows)


def _lent_lines(
    reader: Reader,
    table: Table,
    progress: Progress,
    double: DoubleEncoded,
    lent: LentRows,
    ranges: list[KeyRange],
) -> Iterator[HashedLine]:
    """:raises FerryError: all ranges together do not have the rows of the table."""
    total, number = reader.count(table.name), 0
    for number, line in enumerate(lent.read(reader, table, ranges, double), 1):
        if number % 1000 == 0:
            progress(table.name, number, total)
        yield line
    if number != total:
        raise FerryError(f"Of {count_rows(total)} of {table.name} {number} were read on the cluster.", hint=WITHOUT)
    progress(table.name, total, total)


def _count_rows(reader: Reader, table: Table, progress: Progress) -> Iterator[Values]:
    try:
        total = reader.count(table.name)
        for number, row in enumerate(reader.rows(table), 1):
            if number % 1000 == 0:
                progress(table.name, number, total)
            yield row
    except Exception as error:
        error.add_note(f"in the table {table.name}")
        raise
    progress(table.name, total, total)
