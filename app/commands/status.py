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
from .blueprint import bp
from .execute import execute


@bp.cli.command("db-status", cls=options.FerryCommand)
@click.option("--check", is_flag=True, help="Exit 0 when nothing is to do; 1, 11 or 25 otherwise.")
@click.option("--unlock", metavar="RUN", help="Remove a dead run's lock.")
@options.output
def db_status(check: bool, unlock: str | None, **output: Any) -> None:
    """Show what this database is: server, revision, drift, last run, lock, backups, and where settings came from."""

    def work(run: Run) -> Report:
        if unlock:
            return _describe_unlocked(run, unlock)
        found = status(run)
        run.report.outcome = "looked"
        run.report.exit_status = found.check if check else 0
        run.report.notes = [] if output["as_json"] else list(lines(found))
        run.report.target = found.to_json()
        run.report.summary = "; ".join(found.problems) or "nothing to do"
        if found.unfinished:
            run.report.summary = found.unfinished
        elif found.holder_alive:
            run.report.summary = f"locked: {found.holder}"
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


def lines(found: Status) -> Iterator[str]:
    """The status for people."""
    database = found.database
    yield f"Server:      {database['server']} on {database['host']}"
    yield f"Database:    {database['database']}{'' if database['exists'] else ' (not there)'}"
    yield f"Environment: {database['environment']} (from {database['environment_from']})"
    yield f"Revision:    {found.revision} (head {found.head})"
    yield f"Rows:        {sum(found.rows.values())} in {len(found.rows)} tables"
    drift = [*found.drift, *([f"not looked for: {found.not_compared}"] if found.not_compared else [])]
    first, *others = drift or ["none"]
    yield f"Drift:       {first}"
    yield from (f"             {line}" for line in others)
    last = found.last_run
    if last:
        force = "" if last["in_force"] else " (what is live is something else)"
        how = f", anonymised with the profile {last['profile']!r}" if last["profile"] else ""
        yield f"Last run:    {last['run']} {last['command']} from {last['source']}{how}, {last['finished_at']}{force}"
    else:
        yield "Last run:    none"
    if found.aside:
        yield f"Set aside:   {found.aside['rows']} rows in {found.aside['file']}"
        yield f"             to load them when they are fixed: {found.aside['command']}"
    yield f"Lock:        {found.holder or 'free'}{'' if found.holder_alive or not found.holder else ' (dead)'}"
    yield f"Cut-over:    {found.unfinished or 'none unfinished'}"
    for left in found.leftovers:
        yield f"Left behind: {left}, of a run that was ended; the next run removes it"
    for oddity in found.oddities:
        yield f"Left behind: {oddity}"
    where = "" if database["is_file"] else ", on this host only"
    yield f"Backups:     {len(found.backups)}{_newest(found.backups)}{where}"
    yield f"Snapshot:    {found.snapshot}"
    yield "Settings:"
    for item in found.settings:
        yield f"  {item['key']} = {item['value']}  ({item['from']})"


def _newest(backups: list[dict[str, Any]]) -> str:
    return f", newest {backups[-1]['id']} ({backups[-1]['rows']} rows)" if backups else ""
