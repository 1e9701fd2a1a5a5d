"""``flask db-status``."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import click

from ..dialects.wording import count_rows, count_tables
from ..errors import Misconfigured
from ..transfer.jobs.status import Status, status
from ..transfer.run.report import Report
from ..transfer.run.run import Run
from . import options
from .blueprint import group
from .completion import list_lock_holders, offer
from .execute import execute
from .hints import complete
from .receipt import format_duration

SHOWN = 3
"""So many differences of the schema are named without ``-v``."""


@group.command("db-status", cls=options.FerryCommand)
@click.option(
    "--check",
    is_flag=True,
    help="End with 0 when nothing is to do; 1 for drift, a database behind head, or rows without a backup (but those "
    "of db-init's own test data); 11 locked; 25 an unfinished cut-over.",
)
@click.option(
    "--history",
    is_flag=True,
    help="List the runs on this database, oldest first: when, which command, how it ended, for how long, and what it "
    "made live.",
)
@click.option(
    "--unlock",
    metavar="RUN",
    shell_complete=offer(list_lock_holders),
    help="Remove the lock of a run that died where the next run cannot see that by itself; refused while it lives.",
)
@options.output
def db_status(check: bool, history: bool, unlock: str | None, **output: Any) -> None:
    """Show what this database is, and what to do next: revision, drift, last run, lock, backups.

    The first line is the verdict, the second one the next command. With -v also what lies beside the database and how
    much that is, and every setting and where it came from.
    """
    if history and unlock:
        raise click.UsageError("--history and --unlock are one at a time.")
    describe: Callable[[Report], Iterator[str]] = _describe_outcome

    def show(report: Report) -> Iterator[str]:
        return describe(report)

    def work(run: Run) -> Report:
        nonlocal describe
        if unlock:
            return _describe_unlocked(run, unlock)
        result = status(run, history=history or is_page(output["report"]), disk=output["verbose"])
        run.report.target = result.to_json()
        run.report.runs = result.runs
        run.report.end("looked", _find_verdict(result), result.check if check else 0)
        describe = describe_runs if history else lambda report: lines(result, report, verbose=output["verbose"])
        return run.report

    execute("db-status", work, output=output, of_one={"--unlock": unlock}, show=show)


def is_page(report: Path | None) -> bool:
    """Whether the report is a page, which shows the history."""
    return report is not None and report.suffix == ".html"


def _describe_outcome(report: Report) -> Iterator[str]:
    yield report.summary


def _describe_unlocked(run: Run, run_id: str) -> Report:
    control = run.peek()
    if control is None:
        raise Misconfigured("This database has no control area, so nothing is locked.")
    holder = control.unlock(run_id)
    return run.report.end("unlocked", f"Removed the lock of {holder}.")


def _find_verdict(result: Status) -> str:
    if result.unfinished:
        return result.unfinished
    if result.holder_alive:
        return f"locked: {result.holder}"
    return "; ".join(result.problems) or "nothing to do"


def lines(result: Status, report: Report, *, verbose: bool) -> Iterator[str]:
    """The status for people: what is to do first; where nothing is out of order, ten lines."""
    yield report.summary
    if result.next_command:
        yield f"Next:        {complete(result.next_command, options.get_typed_command())}"
    yield from _describe_database(result, verbose=verbose)
    yield from _describe_last_run(result)
    yield f"Lock:        {result.holder or 'free'}{'' if result.holder_alive or not result.holder else ' (dead)'}"
    for leftover in result.leftovers:
        yield f"Left behind: {leftover}, of a run that was ended; the next run removes it"
    if result.resumable:
        yield f"Resumable:   {result.resumable}"
    for oddity in result.oddities:
        yield f"Left behind: {oddity}"
    stored = next((row["value"] for row in result.settings if row["key"] == "FERRY_STORAGE"), "")
    where = f", and {stored}" if stored else "" if result.database["is_file"] else ", on this host only"
    yield f"Backups:     {len(result.backups)}{_newest(result.backups)}{where}"
    yield f"Snapshot:    {result.snapshot}"
    if verbose:
        yield from _describe_disk(result)
        yield from _describe_settings(result, report)


def _describe_database(result: Status, *, verbose: bool) -> Iterator[str]:
    database = result.database
    bind = f", the bind {database['bind']}" if database["bind"] else ""
    there = "" if database["exists"] else " (not there)"
    environment = f"{database['environment']} (from {database['environment_from']})"
    server = f"{database['server']} on {database['host']}"
    yield f"Database:    {database['database']}{bind}{there}; {environment}, {server}"
    yield f"Revision:    {result.revision} (head {result.head})"
    if result.at_start:
        yield f"At start:    {result.at_start}"
    yield f"Rows:        {sum(result.rows.values())} in {count_tables(len(result.rows))}"
    drift = [*result.drift, *([f"not looked for: {result.not_compared}"] if result.not_compared else [])]
    if not verbose and len(drift) > SHOWN:
        drift = [*drift[:SHOWN], f"and {len(drift) - SHOWN} more, with -v"]
    first, *others = drift or ["none"]
    yield f"Drift:       {first}"
    yield from (f"             {line}" for line in others)


def _describe_last_run(result: Status) -> Iterator[str]:
    last = result.last_run
    if last:
        force = "" if last["in_force"] else " (what is live is something else)"
        how = f", anonymised with the profile {last['profile']!r}" if last["profile"] else ""
        yield f"Last run:    {last['run']} {last['command']} from {last['source']}{how}, {last['finished_at']}{force}"
    else:
        yield "Last run:    none"
    if result.aside:
        yield f"Set aside:   {count_rows(result.aside['rows'])} in {result.aside['file']}"
        yield f"             to load them when they are fixed: {result.aside['command']}"


def _describe_disk(result: Status) -> Iterator[str]:
    total = sum(item["size_bytes"] for item in result.disk.values())
    yield f"Disk:        {format_bytes(total)} beside the database"
    for kind, item in result.disk.items():
        what = kind.removesuffix("s") if item["count"] == 1 else kind
        yield f"  {item['count']} {what}, {format_bytes(item['size_bytes'])}" + (
            f": {item['place']}" * bool(item["count"])
        )


def format_bytes(size_bytes: int) -> str:
    """Bytes as people read them: ``512 B``, ``14 kB``, ``3.2 MB``, ``21 GB``."""
    size, unit = float(size_bytes), "B"
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if size < 1000 or unit == "TB":
            break
        size /= 1000
    return f"{size:.1f} {unit}" if 0 < size < 10 and unit != "B" else f"{size:.0f} {unit}"


def _describe_settings(result: Status, report: Report) -> Iterator[str]:
    """What a report of a fault needs: what was set and where, and the versions."""
    yield "Settings:"
    for item in sorted(result.settings, key=lambda item: item["from"] == "default"):
        yield f"  {item['key']} = {item['value']}  ({item['from']})"
    yield "Versions:"
    yield from (f"  {name} {version}" for name, version in report.versions.items())


def _newest(backups: list[dict[str, Any]]) -> str:
    return f", newest {backups[-1]['id']} ({count_rows(backups[-1]['rows'])})" if backups else ""


def describe_runs(report: Report) -> Iterator[str]:
    """The runs, one a line, and below a failed one why; then the verdict."""
    for item in report.runs:
        yield (
            f"{item['run']}  {item['started_at']}  {item['command'] or '-':<15}  {item['outcome']:<11}  "
            f"{format_duration(item['duration_s'])}{_describe_cut_over(item)}"
        )
        if item["error"]:
            yield f"    {item['error']}"
    yield report.summary


def _describe_cut_over(item: dict[str, Any]) -> str:
    if not item["cut_over"]:
        return ""
    undone = "; undone since" if item["undone"] else ""
    return f"  {count_rows(item['rows'])} from {item['source']} at {item['revision']}{undone}"
