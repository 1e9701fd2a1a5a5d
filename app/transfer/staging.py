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
from .run import Run
from .schema import data_tables
from .verify import Before, verify_loaded


@dataclass(frozen=True)
class MigrateOptions:
    """The options of db-migrate-data, without those of the source."""

    source: SourceOptions = field(default_factory=SourceOptions)
    counts_only: bool = False
    set_aside: bool = False
    catch_up: int | None = None
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


@dataclass(frozen=True)
class Staged:
    """What staging holds, at the rows' own revision.

    :ivar rows: the rows that were loaded.
    :ivar accounts: what became of each table's.
    :ivar adapted: what the adapters accounted for, where records became these rows.
    """

    rows: RowsFile
    accounts: dict[str, TableLoad]
    adapted: Adapted | None


def stage(run: Run, snapshot: Path, kind: str, revision: str, options: MigrateOptions) -> Staged:
    """Build staging at the source's revision and load the snapshot into it.

    :raises DoesNotFit: the schema refuses rows, unless they are to be set aside.
    """
    with run.step("staging", revision=revision):
        _build(run, revision)
        with run.dialect.reader(run.staging) as reader:
            tables = data_tables(reader.tables())
    return _staged(run, snapshot, kind, revision, options, tables)


def restage(run: Run, before: Staged, snapshot: Path, kind: str, number: int, options: MigrateOptions) -> Staged:
    """Bring staging from what it was loaded from to a later snapshot of the same source.

    Tables that changed are loaded anew; where rows are or were set aside, all are: what refers to them must be found
    again.

    :param number: of the pass, from 1.
    :raises DoesNotFit: as :func:`stage`.
    """
    revision = str(before.rows.header.revision)
    if before.rows.aside.count():
        _build(run, revision)
        return _staged(run, snapshot, kind, revision, options, before.rows.schema, number)
    rows, adapted = _rows(run, snapshot, kind, options, before.rows.schema, number)
    former, later = before.rows.footer().checksums, rows.footer().checksums
    changed = [name for name in rows.tables if later[name] != former.get(name)]
    with run.step("load"):
        check_exclusions(rows)
        with run.dialect.loading(run.staging):
            run.dialect.clear(run.staging, changed)
            accounts, refused = load(run.dialect, run.staging, rows, changed)
        if refused:
            accounts = _set_aside(run, rows, refused, options, revision)
    return Staged(rows, {**before.accounts, **accounts}, adapted)


def _build(run: Run, revision: str) -> None:
    run.dialect.prepare_staging(run.staging, run.target)
    run.schema.build(run.staging, revision)


def _staged(
    run: Run,
    snapshot: Path,
    kind: str,
    revision: str,
    options: MigrateOptions,
    schema: Mapping[str, Table],
    number: int = 0,
) -> Staged:
    rows, adapted = _rows(run, snapshot, kind, options, schema, number)
    with run.step("load"):
        check_exclusions(rows)
        accounts, refused = _loaded(run, rows)
        if refused:
            accounts = _set_aside(run, rows, refused, options, revision)
    return Staged(rows, accounts, adapted)


def _rows(
    run: Run, snapshot: Path, kind: str, options: MigrateOptions, schema: Mapping[str, Table], number: int
) -> tuple[RowsFile, Adapted | None]:
    result = None
    suffix = f"-{number}" if number else ""
    if kind == "records":
        with run.step("adapt"):
            snapshot, result = adapted(run, snapshot, schema, f"rows{suffix}.json")
    return RowsFile(snapshot, schema, options.source.exclude, Aside(run.directory / f"set-aside{suffix}.db")), result


def adapted(run: Run, snapshot: Path, schema: Mapping[str, Table], name: str = "rows.json") -> tuple[Path, Adapted]:
    """Make rows of a snapshot's records.

    :param name: of the file they go to.
    """
    to = run.received / name
    result = adapt(snapshot, to, load_adapters(run), dict(schema), run.received, withhold=run.private is not None)
    return to, result


def account(run: Run, result: Adapted | None, *, withhold: bool = False) -> None:
    """Put what the adapters waived and noted into the receipt.

    :param withhold: their own words may repeat a value, and nobody is to keep one.
    """
    if result is None:
        return
    report = run.report
    report.not_carried = dict(load_adapters(run).not_carried)
    for (record_type, key, reason), count in sorted(result.accounts.waived.items()):
        report.waived.append({"what": f"{record_type}.{key}", "records": count, "reason": reason})
    notes = result.accounts.notes.items()
    if withhold:
        found = sorted({record_type for (record_type, _), _ in notes})
        report.notes += [
            f"Adapters had remarks on records of {name}; a run without a profile says them" for name in found
        ]
        return
    for (record_type, text), count in sorted(notes):
        samples = ", ".join(result.accounts.samples[record_type, text])
        report.notes.append(f"{count} records of {record_type}: {text} ({samples})")


def _loaded(run: Run, rows: RowsFile) -> tuple[dict[str, TableLoad], list[str]]:
    with run.dialect.loading(run.staging):
        accounts, refused = load(run.dialect, run.staging, rows)
    for note in dict.fromkeys(account.note for account in accounts.values() if account.note):
        run.note(note)
    return accounts, refused


def _set_aside(
    run: Run, rows: RowsFile, refused: list[str], options: MigrateOptions, revision: str
) -> dict[str, TableLoad]:
    """Load again without the refused rows and all that refer to them; they go to a file."""
    if not options.set_aside:
        raise DoesNotFit(
            f"The schema at revision {revision} refuses {rows.aside.count()} rows.",
            details=refused,
            hint=f"Repair them in the source, or let them go to a file: flask {run.command} --set-aside",
        )
    set_aside_referring(rows)
    _build(run, revision)
    accounts, still = _loaded(run, rows)
    if still:
        raise DoesNotFit("Rows are refused even without those set aside.", details=still)
    path = run.directory / "set-aside.json"
    write(path, [to_plain_json(list(aside_to_json(rows)))], keep_former=False)
    run.report.set_aside = [
        {"table": table, "number": number, "reason": reason} for table, number, reason, _ in rows.aside.rows()
    ][:1000]
    run.warn(f"{rows.aside.count()} rows are set aside in {path}.")
    return accounts


def verify_staging(run: Run, staged: Staged, *, counts_only: bool) -> None:
    """Prove that staging holds exactly what was loaded."""
    with run.dialect.reader(run.staging) as reader:
        verify_loaded(
            reader,
            staged.rows.tables,
            {name: account.loaded for name, account in staged.accounts.items()},
            staged.rows.rows,
            run.directory / "differences.keys",
            counts_only=counts_only,
        )


def before_upgrade(staged: Staged) -> Before:
    """What was loaded, as the upgrade's proof needs it: read from the snapshot again, not from staging."""
    rows = staged.rows
    return Before(
        rows.tables,
        {name: account.loaded.rows for name, account in staged.accounts.items()},
        lambda table: rows.rows(table.name),
    )
