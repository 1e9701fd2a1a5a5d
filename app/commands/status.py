"""``flask db-status``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from ..errors import Misconfigured
from ..transfer.jobs.status import Status, status
from ..transfer.run.report import Report
from ..transfer.run.run import Run
from . import options
from .blueprint import group
from .execute import execute


@group.command("db-status", cls=options.FerryCommand)
@click.option("--check", is_flag=True, help="Exit 0 when nothing is to do; 1, 11 or 25 otherwise.")
@click.option("--unlock", metavar="RUN", help="Remove a dead run's lock.")
@options.output
def db_status(check: bool, unlock: str | None, **output: Any) -> None:
    """Show what this database is: server, revision, drift, last run, lock, backups, and where settings came from."""

    def work(run: Run) -> Report:
        if unlock:
            return _describe_unlocked(run, unlock)
        result = status(run)
        run.report.outcome = "looked"
        run.report.exit_status = result.check if check else 0
        run.report.notes = [] if output["as_json"] else list(lines(result))
        run.report.target = result.to_json()
        run.report.summary = "; ".join(result.problems) or "nothing to do"
        if result.unfinished:
            run.report.summary = result.unfinished
        elif result.holder_alive:
            run.report.summary = f"locked: {result.holder}"
        return run.report

    execute("db-status", work, output=output)


def _describe_unlocked(run: Run, run_id: str) -> Report:
    control = run.peek()
    if control is None:
        raise Misconfigured("This database has no control area, so nothing is locked.")
    holder = control.unlock(run_id)
    run.report.outcome, run.report.exit_status = "unlocked", 0
    run.report.summary = f"Removed the lock of {holder}."
    return run.report


def lines(result: Status) -> Iterator[str]:
    """The status for people."""
    database = result.database
    yield f"Server:      {database['server']} on {database['host']}"
    bind = f", the bind {database['bind']}" if database["bind"] else ""
    yield f"Database:    {database['database']}{bind}{'' if database['exists'] else ' (not there)'}"
    yield f"Environment: {database['environment']} (from {database['environment_from']})"
    yield f"Revision:    {result.revision} (head {result.head})"
    yield f"Rows:        {sum(result.rows.values())} in {len(result.rows)} tables"
    drift = [*result.drift, *([f"not looked for: {result.not_compared}"] if result.not_compared else [])]
    first, *others = drift or ["none"]
    yield f"Drift:       {first}"
    yield from (f"             {line}" for line in others)
    last = result.last_run
    if last:
        force = "" if last["in_force"] else " (what is live is something else)"
        how = f", anonymised with the profile {last['profile']!r}" if last["profile"] else ""
        yield f"Last run:    {last['run']} {last['command']} from {last['source']}{how}, {last['finished_at']}{force}"
    else:
        yield "Last run:    none"
    if result.aside:
        yield f"Set aside:   {result.aside['rows']} rows in {result.aside['file']}"
        yield f"             to load them when they are fixed: {result.aside['command']}"
    yield f"Lock:        {result.holder or 'free'}{'' if result.holder_alive or not result.holder else ' (dead)'}"
    yield f"Cut-over:    {result.unfinished or 'none unfinished'}"
    for leftover in result.leftovers:
        yield f"Left behind: {leftover}, of a run that was ended; the next run removes it"
    for oddity in result.oddities:
        yield f"Left behind: {oddity}"
    where = "" if database["is_file"] else ", on this host only"
    yield f"Backups:     {len(result.backups)}{_newest(result.backups)}{where}"
    yield f"Snapshot:    {result.snapshot}"
    yield "Settings:"
    for item in result.settings:
        yield f"  {item['key']} = {item['value']}  ({item['from']})"


def _newest(backups: list[dict[str, Any]]) -> str:
    return f", newest {backups[-1]['id']} ({backups[-1]['rows']} rows)" if backups else ""
