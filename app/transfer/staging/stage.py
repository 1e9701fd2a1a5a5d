"""Staging filled: built by Alembic at the rows' own revision, loaded, and proved to hold exactly what was loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import URL

from ...dialects.model import Table
from ...dialects.wording import count_of, count_rows
from ...errors import DoesNotFit
from ..proof.verify import NOBODY, Before, verify_loaded
from ..rows.header import Checked
from ..rows.scratch import Aside
from ..run.evidence import keep_lines
from ..run.run import Run
from ..run.workers import Workers
from ..sources.adapt import Adapted, adapt_snapshot, load_adapters
from ..sources.base import accept_missing
from .counters import carry_counters, carry_numbers
from .empty import build_empty
from .lines import Place
from .load import NOTHING_LOADED, Loaded, Mark, TableLoad, load
from .options import MigrateOptions
from .prove_beside import prove_beside
from .referring import set_aside_dangling, set_aside_referring
from .rows_file import RowsFile, check_exclusions
from .stand_in import NO_STAND_IN, StandIn, build_past

SPOILED_SHOWN = 20


@dataclass(frozen=True)
class Staged:
    """What staging holds, at the rows' own revision.

    :ivar rows: the rows that were loaded.
    :ivar accounts: what became of each table's.
    :ivar adapted: what the adapters accounted for, where records became these rows.
    :ivar schema: a backup file that the tables were made of, where no revisions made them.
    """

    rows: RowsFile
    accounts: dict[str, TableLoad]
    adapted: Adapted | None
    schema: Path | None = None


def stage(
    run: Run,
    snapshot: Checked,
    revision: str,
    options: MigrateOptions,
    *,
    staging: URL | None = None,
    stand_in: StandIn = NO_STAND_IN,
) -> Staged:
    """Build staging at the source's revision and load the snapshot into it.

    :param staging: another database in place of the run's staging.
    :param stand_in: what the tables are made of where a revision no longer runs.
    :raises DoesNotFit: the schema refuses rows, unless they are to be set aside.
    """
    to = staging or run.staging
    tables, schema = build_past(run, to, revision, stand_in)
    rows, result = open_rows(run, snapshot, options, tables)
    return fill(run, rows, result, options, to, schema)


def restage(run: Run, before: Staged, snapshot: Checked, number: int, options: MigrateOptions) -> Staged:
    """Bring staging from what it was loaded from to a later snapshot of the same source.

    Tables that changed are loaded anew; where rows are or were set aside, all are: what refers to them must be found
    again.

    :param number: of the pass, from 1.
    :raises DoesNotFit: as :func:`stage`.
    """
    rows, result = open_rows(run, snapshot, options, before.rows.schema, number)
    if before.rows.aside.count() or rows.aside.count():
        build_empty(run, run.staging, str(rows.header.revision), before.schema)
        return fill(run, rows, result, options, run.staging, before.schema)
    former, later = before.rows.checksums, rows.checksums
    changed = [name for name in rows.tables if later[name] != former.get(name)]
    check_exclusions(rows)
    with run.dialect.loading(run.staging):
        run.dialect.clear(run.staging, changed)
        accounts, refused = load(
            run.dialect, run.staging, rows, changed, progress=run.progress, lane=run.throttle.lane()
        )
    if refused:
        accounts = _set_aside(run, rows, refused, options, run.staging, before.schema)
    carry_numbers(run, rows.header.numbers, run.staging)
    carry_counters(run, rows.header.counters, run.staging)
    return Staged(rows, {**before.accounts, **accounts}, result, before.schema)


def fill(
    run: Run,
    rows: RowsFile,
    result: Adapted | None,
    options: MigrateOptions,
    staging: URL,
    schema: Path | None = None,
    loaded: Loaded = NOTHING_LOADED,
    mark: Mark = lambda _table, _count, _note: None,
) -> Staged:
    """Load rows into an empty staging.

    :param schema: what its tables were made of, see :func:`build_empty`.
    :param loaded: what is there already. :param mark: see :func:`.load.load`.
    :raises DoesNotFit: the schema refuses rows, unless they are to be set aside.
    """
    check_exclusions(rows)
    if rows.aside.count():
        set_aside_referring(rows)
    accounts, refused = load_into(run, staging, rows, loaded, mark)
    if refused:
        accounts = _set_aside(run, rows, refused, options, staging, schema)
    while options.dangling and _leave_dangling(run, rows, options, staging):
        accounts = _load_without(run, rows, staging, schema)
    carry_numbers(run, rows.header.numbers, staging)
    carry_counters(run, rows.header.counters, staging)
    return Staged(rows, accounts, result, schema)


def _leave_dangling(run: Run, rows: RowsFile, options: MigrateOptions, staging: URL) -> int:
    """Set aside what refers to nothing in staging; how many rows that is. Those that refer to them may do so then."""
    with run.dialect.reader(staging) as reader:
        return set_aside_dangling(rows, reader, options.dangling)


def open_rows(
    run: Run,
    snapshot: Checked,
    options: MigrateOptions,
    schema: Mapping[str, Table],
    number: int = 0,
    *,
    directory: Path | None = None,
) -> tuple[RowsFile, Adapted | None]:
    """The rows of a snapshot; those of records are made by the adapters first.

    :param directory: for what is made on the way, in place of the run's own.

    :raises DoesNotFit: records could not be kept as they were sent, and are not to be set aside.
    """
    result, directory = None, directory or run.directory
    suffix = f"-{number}" if number else ""
    if snapshot.header.kind == "records":
        _accept_unmade(run, snapshot, options, schema, report=not number)
        snapshot, result = adapt_snapshot(run, snapshot.path, schema, directory / f"rows{suffix}.json")
    aside, zone = Aside(directory), run.settings.source_time_zone
    accept = options.source.accept_missing
    rows = RowsFile(snapshot, schema, options.source.exclude, aside, zone, accept_missing=accept)
    if result and result.spoiled:
        _set_spoiled_aside(run, rows, result.spoiled, options)
    return rows, result


def _accept_unmade(
    run: Run, snapshot: Checked, options: MigrateOptions, schema: Mapping[str, Table], *, report: bool
) -> None:
    """See that the tables that no adapter makes rows of may arrive empty.

    :param report: put them into the receipt.
    :raises SourceIncomplete: that was not accepted.
    """
    made_by_adapters = {table for adapter in load_adapters(run).adapters.values() for table in adapter.makes}
    unmade = sorted(set(schema) - made_by_adapters - set(options.source.exclude))
    reasons = dict.fromkeys(unmade, "no adapter makes rows of it")
    accept_missing(reasons, options.source, f"flask {run.command} {snapshot.header.source}")
    if report:
        run.report.waived += [
            {"what": f"table {name}", "rows": None, "reason": f"--accept-missing: {why}"}
            for name, why in reasons.items()
        ]


def _set_spoiled_aside(
    run: Run, rows: RowsFile, spoiled: Mapping[str, Mapping[int, str]], options: MigrateOptions
) -> None:
    if not options.set_aside:
        reasons = list(dict.fromkeys(words for numbers in spoiled.values() for words in numbers.values()))
        raise DoesNotFit(
            f"{count_of(len(reasons), 'record')} cannot be kept as sent.",
            details=reasons[:SPOILED_SHOWN],
            hint=f"Repair them in the source, or let them go to a file: flask {run.command} --set-aside",
        )
    for table, values in rows.all_rows():
        numbers = spoiled.get(table.name, {})
        for number, row in enumerate(values if numbers else (), 1):
            if number in numbers and not rows.is_excluded(table.name):
                rows.aside.add(table.name, number, numbers[number], row)


def load_into(
    run: Run,
    staging: URL,
    rows: RowsFile,
    loaded: Loaded = NOTHING_LOADED,
    mark: Mark = lambda _table, _count, _note: None,
) -> tuple[dict[str, TableLoad], list[str]]:
    """Load all rows that are not set aside; returns the accounts, and a line per table and reason of those refused."""
    with loaded.loading or run.dialect.loading(staging):
        accounts, refused = load(
            run.dialect, staging, rows, loaded=loaded, progress=run.progress, lane=run.throttle.lane(), mark=mark
        )
    for note in dict.fromkeys(account.note for account in accounts.values() if account.note):
        run.note(note)
    return accounts, refused


def _set_aside(
    run: Run, rows: RowsFile, refused: list[str], options: MigrateOptions, staging: URL, schema: Path | None
) -> dict[str, TableLoad]:
    """Load again without the refused rows and all that refer to them."""
    if not options.set_aside:
        raise DoesNotFit(
            f"The schema at revision {rows.header.revision} refuses {count_rows(rows.aside.count())}.",
            details=refused,
            hint=f"Repair them in the source, or let them go to a file: flask {run.command} --set-aside",
        )
    return _load_without(run, rows, staging, schema)


def _load_without(run: Run, rows: RowsFile, staging: URL, schema: Path | None) -> dict[str, TableLoad]:
    """Load into staging anew, without the rows set aside and all that refer to them."""
    set_aside_referring(rows)
    build_empty(run, staging, str(rows.header.revision), schema)
    accounts, still = load_into(run, staging, rows)
    if still:
        raise DoesNotFit("Rows are refused even without those set aside.", details=still)
    return accounts


def verify_staging(
    run: Run,
    rows: RowsFile,
    accounts: Mapping[str, TableLoad],
    *,
    counts_only: bool = False,
    staging: URL | None = None,
    workers: Workers | None = None,
) -> None:
    """Prove that staging holds exactly what was loaded.

    :param workers: who help where they are there already.
    """
    lines = {name: rows.lines_of(account.table, account.loaded) for name, account in accounts.items()}
    helps = workers is not None and workers.are_there and not counts_only and run.settings.throttle is None
    with run.dialect.reader(staging or run.staging) as staged:
        verify_loaded(
            run.throttle.lane().reader(staged),
            rows.tables,
            {name: account.loaded for name, account in accounts.items()},
            rows.rows,
            run.directory,
            counts_only=counts_only,
            spelled=lines,
            by_others=prove_beside(workers, Place.of(run), rows.tables, lines) if workers and helps else NOBODY,
            keep=lambda differences: keep_lines(run, differences),
            progress=run.progress,
        )


def before_upgrade(rows: RowsFile, accounts: Mapping[str, TableLoad]) -> Before:
    """What was loaded, as the upgrade's proof needs it: read from the snapshot again, not from staging."""
    return Before(
        rows.tables,
        {name: account.loaded for name, account in accounts.items()},
        lambda table: rows.rows(table.name),
    )
