"""Staging filled: built by Alembic at the rows' own revision, loaded, and proved to hold exactly what was loaded."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ..dialects.base import Table
from ..errors import DoesNotFit
from .adapt import Adapted, adapt
from .extract import SourceOptions, load_adapters
from .files import to_plain_json, write
from .load import Aside, RowsFile, TableLoad, aside_to_json, check_exclusions, load, set_aside_referring
from .report import Report
from .run import Run
from .schema import data_tables
from .verify import Before, verify_loaded


@dataclass(frozen=True)
class MigrateOptions:
    """The options of db-migrate-data, without those of the source."""

    source: SourceOptions = field(default_factory=SourceOptions)
    counts_only: bool = False
    set_aside: bool = False
    rerun: bool = False
    dry_run: bool = False
    backup_to: Path | None = None
    lock_timeout_s: float = 0.0

    def backup_place(self, run: Run) -> str:
        """Where the backup of a run goes, for people."""
        return str(self.backup_to or run.settings.backups)

    def without(self, tables: Collection[str]) -> MigrateOptions:
        """The same, with some tables no longer named as excluded: a snapshot does not have them at all."""
        kept = tuple(name for name in self.source.exclude if name not in tables)
        return replace(self, source=replace(self.source, exclude=kept))

    def for_ledger(self) -> dict[str, Any]:
        """What a later proof of this run needs to know."""
        return {"exclude": list(self.source.exclude), "set_aside": self.set_aside}


def stage(
    run: Run, snapshot: Path, kind: str, revision: str, options: MigrateOptions, report: Report
) -> tuple[RowsFile, dict[str, TableLoad]]:
    """Build staging at the source's revision and load the snapshot into it.

    :raises DoesNotFit: the schema refuses rows, unless they are to be set aside.
    """
    with run.step("staging", revision=revision):
        run.dialect.prepare_staging(run.staging, run.target)
        run.schema.build(run.staging, revision)
        with run.dialect.reader(run.staging) as reader:
            tables = data_tables(reader.tables())
    if kind == "records":
        with run.step("adapt"):
            snapshot = _adapted(run, snapshot, tables, report)
    aside = Aside(run.directory / "set-aside.db")
    rows = RowsFile(snapshot, tables, options.source.exclude, aside)
    with run.step("load"):
        check_exclusions(rows)
        accounts, refused = _loaded(run, rows)
        if refused:
            accounts = _set_aside(run, rows, refused, options, revision, report)
    return rows, accounts


def _adapted(run: Run, snapshot: Path, tables: Mapping[str, Table], report: Report) -> Path:
    adapters = load_adapters(run)
    to = run.directory / "rows.json"
    result = adapt(snapshot, to, adapters, dict(tables), run.directory)
    report.not_carried = dict(adapters.not_carried)
    _account(result, report)
    return to


def _account(result: Adapted, report: Report) -> None:
    for (record_type, key, reason), count in sorted(result.accounts.waived.items()):
        report.waived.append({"what": f"{record_type}.{key}", "records": count, "reason": reason})
    for (record_type, text), count in sorted(result.accounts.notes.items()):
        samples = ", ".join(result.accounts.samples[record_type, text])
        report.notes.append(f"{count} records of {record_type}: {text} ({samples})")


def _loaded(run: Run, rows: RowsFile) -> tuple[dict[str, TableLoad], list[str]]:
    with run.dialect.loading(run.staging):
        accounts, refused = load(run.dialect, run.staging, rows)
    for note in dict.fromkeys(account.note for account in accounts.values() if account.note):
        run.note(note)
    return accounts, refused


def _set_aside(
    run: Run, rows: RowsFile, refused: list[str], options: MigrateOptions, revision: str, report: Report
) -> dict[str, TableLoad]:
    """Load again without the refused rows and all that refer to them; they go to a file."""
    if not options.set_aside:
        raise DoesNotFit(
            f"The schema at revision {revision} refuses {rows.aside.count()} rows.",
            details=refused,
            hint=f"Repair them in the source, or let them go to a file: flask {run.command} --set-aside",
        )
    set_aside_referring(rows)
    run.dialect.prepare_staging(run.staging, run.target)
    run.schema.build(run.staging, revision)
    accounts, still = _loaded(run, rows)
    if still:
        raise DoesNotFit("Rows are refused even without those set aside.", details=still)
    path = run.directory / "set-aside.json"
    write(path, [to_plain_json(list(aside_to_json(rows)))], keep_former=False)
    report.set_aside = [
        {"table": table, "number": number, "reason": reason} for table, number, reason, _ in rows.aside.rows()
    ][:1000]
    run.warn(f"{rows.aside.count()} rows are set aside in {path}.")
    return accounts


def verify_staging(run: Run, rows: RowsFile, accounts: Mapping[str, TableLoad], *, counts_only: bool) -> None:
    """Prove that staging holds exactly what was loaded."""
    with run.dialect.reader(run.staging) as staged:
        verify_loaded(
            staged,
            rows.tables,
            {name: account.loaded for name, account in accounts.items()},
            rows.rows,
            run.directory / "differences.keys",
            counts_only=counts_only,
        )


def before_upgrade(rows: RowsFile, accounts: Mapping[str, TableLoad]) -> Before:
    """What was loaded, as the upgrade's proof needs it: read from the snapshot again, not from staging."""
    return Before(
        rows.tables,
        {name: account.loaded.rows for name, account in accounts.items()},
        lambda table: rows.rows(table.name),
    )
