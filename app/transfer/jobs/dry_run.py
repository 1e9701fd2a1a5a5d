"""What a dry run says of a migration: the rows, and what would be refused, as far as it is known without staging.

The tables of the rows' revision and of head are made without a row in the scratch database, which is dropped again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from alembic.util.exc import CommandError
from sqlalchemy.exc import DataError, NotSupportedError, OperationalError, ProgrammingError

from ...dialects.base import OutsideStaging
from ...dialects.model import Definition, Table, Values
from ...dialects.reader import Reader
from ...dialects.wording import count_of
from ...errors import DoesNotFit
from ..proof.foreseen import CountValues, foresee_losses
from ..proof.losses import refuse_undeclared
from ..proof.objects import find_lost, refuse_lost
from ..rows.header import Checked, Footer, Header
from ..rows.scratch import Aside
from ..run.run import Run
from ..schema.alembic import data_tables
from ..schema.declarations import Declarations
from ..schema.downgrade import shape_of
from ..schema.listen import Heard
from ..sources.base import Glance
from ..staging.empty import build_tables
from ..staging.options import MigrateOptions
from ..staging.rows_file import RowsFile, check_exclusions
from ..staging.stage import open_rows

RECORDS = "the source's rows: it has to be read for that"
COLUMNS = "whether each column has a place: the source has to be read for that"
VALUES = "whether the server takes each value"
REVISIONS = "what the revisions do with the rows"
RULES = "whether every foreign key and other rule holds at head"
_CERTAIN = (ProgrammingError, OperationalError, NotSupportedError, CommandError, OutsideStaging)


@dataclass(frozen=True)
class Ahead:
    """The way that rows have before them.

    :ivar revision: where they are. :ivar head: where they would be brought.
    :ivar declared: what is said of the revisions between.
    """

    revision: str
    head: str
    declared: Declarations


def foresee_source(run: Run, ahead: Ahead, glance: Glance, options: MigrateOptions, directory: Path) -> None:
    """Say what a migration from another source would say.

    :param directory: private, and removed afterwards.
    :raises DoesNotFit, SourceIncomplete, VerificationFailed: as the run would.
    """
    report = run.report
    report.expected = dict(glance.counts or {})
    try:
        tables = build_tables(run, run.scratch, ahead.revision)
    except DoesNotFit as error:
        if glance.reader is None:
            raise
        # The run would take the tables as the source itself has them.
        report.not_looked_at += [f"what comes after this: {error.message}", VALUES, REVISIONS, RULES]
        return
    rows = _open(run, glance, options, tables, directory)
    if rows is None:
        report.not_looked_at.append(COLUMNS if glance.counts else RECORDS)
    else:
        check_exclusions(rows)
        report.expected = _count_loaded(rows, glance)
    report.not_looked_at.append(VALUES)
    if ahead.revision != ahead.head:
        count_values = _count_in(rows) if rows else _count_nowhere
        _foresee_upgrade(
            run, ahead, rows.tables.values() if rows else (), count_values, trusts_failure=True, objects=None
        )
    report.not_looked_at.append(RULES)


def _open(
    run: Run, glance: Glance, options: MigrateOptions, tables: Mapping[str, Table], directory: Path
) -> RowsFile | None:
    if glance.file is not None:
        return open_rows(run, glance.file, options, tables, directory=directory)[0]
    if glance.reader is None or glance.header is None:
        return None
    reader, header, source = glance.reader, glance.header, options.source
    nowhere = Checked(directory, header, Footer({}, ""), ())
    return RowsFile(
        nowhere,
        tables,
        source.exclude,
        Aside(directory),
        run.settings.source_time_zone,
        accept_missing=source.accept_missing,
        read_all=lambda _besides: _read(reader, header),
    )


def _read(reader: Reader, header: Header) -> Iterator[tuple[Table, Iterator[Values]]]:
    for table in header.tables:
        yield table, reader.rows(table)


def _count_loaded(rows: RowsFile, glance: Glance) -> dict[str, int]:
    """Rows per table of those that would be loaded; of records those that adapters make of them."""
    sums = {name: checksum.rows for name, checksum in rows.checksums.items()} or dict(glance.counts or {})
    aside = rows.aside.counts()
    return {name: 0 if rows.is_excluded(name) else sums.get(name, 0) - aside[name] for name in rows.tables}


def _count_in(rows: RowsFile) -> CountValues:
    def count_values(table: Table, columns: list[str]) -> dict[str, int]:
        places = [(name, table.column_names.index(name)) for name in columns]
        counts = dict.fromkeys(columns, 0)
        for row in rows.rows(table.name):
            for name, place in places:
                counts[name] += row[place] is not None
        return counts

    return count_values


def _count_nowhere(_table: Table, columns: list[str]) -> dict[str, int]:
    return dict.fromkeys(columns, 0)


def foresee_self(run: Run, ahead: Ahead, rows: Mapping[str, int]) -> None:
    """Say what bringing the live database to head would say.

    :raises DoesNotFit, VerificationFailed: as the run would.
    """
    report = run.report
    report.expected = dict(rows)
    try:
        tables = build_tables(run, run.scratch, ahead.revision)
    except DoesNotFit as error:
        # The run copies the database, and does not make its tables once more.
        report.not_looked_at += [f"what comes after this: {error.message}", REVISIONS, RULES]
        return
    with run.dialect.reader(run.target) as live:
        live_tables, objects = data_tables(live.tables()), live.definitions()

    def count_values(table: Table, columns: list[str]) -> dict[str, int]:
        # Not while revisions run: the database would be kept open for all that they take.
        with run.dialect.reader(run.target) as live:
            return {name: sum(1 for _ in live.values(table, name)) for name in columns}

    # Where somebody changed tables by hand, a revision may find what it does not find in the scratch database.
    same = shape_of(live_tables) == shape_of(tables)
    _foresee_upgrade(run, ahead, live_tables.values(), count_values, trusts_failure=same, objects=objects)
    report.not_looked_at.append(RULES)


def _foresee_upgrade(
    run: Run,
    ahead: Ahead,
    tables: Iterable[Table],
    count_values: CountValues,
    *,
    trusts_failure: bool,
    objects: list[Definition] | None,
) -> None:
    """Run the revisions over empty tables, and compare what they make with what there is.

    :param objects: what there is besides tables; by default what the revisions make.
    """
    report, heard = run.report, Heard()
    with run.dialect.reader(run.scratch) as reader:
        definitions = reader.definitions()
    try:
        run.schema.build(run.scratch, ahead.head, heard)
    except DoesNotFit as error:
        if trusts_failure and _is_certain(run, error):
            raise
        report.not_looked_at += [f"the upgrade, as it may be otherwise over rows: {error.message}", REVISIONS]
        return
    with run.dialect.reader(run.scratch) as reader:
        at_head, after = reader.tables(), reader.definitions()
    losses = foresee_losses(tables, report.expected, count_values, at_head, ahead.declared, heard)
    report.losses = losses.declared
    report.not_looked_at += [*losses.unknown, REVISIONS]
    if losses.lost:
        what = f"lose {count_of(len(losses.lost), 'thing')} that no revision declares"
        refuse_undeclared(losses.lost, what, ahead.head)
    live = set(definitions if objects is None else objects)
    missing = find_lost([item for item in definitions if item in live], after, at_head, heard, ahead.declared)
    report.objects = [str(item) for item in missing if item.reason]
    refuse_lost(missing, ahead.head)


def _is_certain(run: Run, error: DoesNotFit) -> bool:
    """Whether a revision fails whatever rows there are: the server does not take its statement, or its id."""
    cause = error.__cause__
    return isinstance(cause, _CERTAIN) or (
        isinstance(cause, DataError) and run.host.version_table in (cause.statement or "")
    )
