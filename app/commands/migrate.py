"""``flask db-migrate-data``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..transfer.jobs.migrate import order_migration
from ..transfer.jobs.set_aside_job import order_aside
from ..transfer.sources.base import SourceOptions
from ..transfer.staging.options import MigrateOptions
from . import options
from .blueprint import group
from .completion import list_sources, list_tables_and_columns, offer
from .execute import execute, lock_timeout_s


@group.command("db-migrate-data", cls=options.FerryCommand)
@click.argument("source", required=False, shell_complete=offer(list_sources, files=True))
@options.cut_over
@click.option(
    "--fallback",
    metavar="AGE|never|only",
    help="Let the last good snapshot stand in for a source that cannot be reached, refuses the credentials or cannot "
    "be read completely, up to this age (90m, 12h, 7d, 2w); with only nobody is contacted.  [default: 7d]",
)
@click.option(
    "--verify",
    type=click.Choice(["full", "counts"]),
    default="full",
    show_default=True,
    help="Compare every value, or only numbers of rows.",
)
@click.option("--restart", is_flag=True, help="Discard what a run that died had read and loaded.")
@click.option(
    "--rehearse",
    is_flag=True,
    help="Do and prove everything but the cut-over, in a database beside the live one that is dropped then. Nothing is "
    "replaced, nobody is asked and no writer waits; backup and snapshot stay until a later run prunes them.",
)
@click.option("--rerun", is_flag=True, help="Repeat a migration that succeeded or was rolled back.")
@options.profile("Replace names, addresses and texts on the way, as this profile says.  [default: FERRY_PROFILE]")
@options.exclude("Let this table arrive empty; refused while rows that are loaded refer to it.")
@click.option(
    "--accept-missing",
    is_flag=True,
    help="Let tables arrive empty that the source has no endpoint for. Of a database or file: tables that it lacks of "
    "its revision arrive empty, columns NULL or with their default, if they may be; each is named.",
)
@click.option(
    "--set-aside",
    is_flag=True,
    help="Let rows that the schema refuses, rows whose foreign key points to a missing row and which no revision "
    "repairs, and all that refer to them go to a file of the run, counted and named.",
)
@click.option(
    "--keep-violations",
    is_flag=True,
    help="Keep rows whose foreign key pointed to a missing row before the upgrade too.",
)
@click.option(
    "--accept-loss",
    multiple=True,
    metavar="TABLE[.COLUMN]",
    shell_complete=offer(list_tables_and_columns),
    help="Let this go in the upgrade although no revision declares it; another object as the message names it, such as "
    "'trigger person.noted'.",
)
@click.option(
    "--catch-up",
    type=click.IntRange(0, 100),
    metavar="N",
    help="Read the source again up to N times and carry what changed.  [default: 3 for a database, else 0]",
)
@click.option(
    "--jobs",
    type=click.IntRange(0, 64),
    metavar="N",
    help="Let N processes help with the rows of a large database.  [default: FERRY_JOBS, else cores - 1]",
)
@click.option(
    "--throttle",
    metavar="ROWS|load=N",
    help="Read and load ROWS a second at most, or wait while the server of source or target has more than N statements "
    "of others at work; 5000,load=8 is both. Not for self.  [default: FERRY_THROTTLE]",
)
@click.option(
    "--set-aside-from",
    type=click.Path(path_type=Path, dir_okay=False),
    metavar="FILE",
    help="Load rows of such a file that are fixed now, beside all that was written since. Goes with no SOURCE.",
)
@click.option("--insecure-http", is_flag=True, help="Allow http:// to another machine.")
@options.output
def db_migrate_data(
    source: str | None,
    yes: bool,
    dry_run: bool,
    backup_to: Path | None,
    lock_timeout: float | None,
    allow_production: bool,
    fallback: str | None,
    verify: str,
    restart: bool,
    rehearse: bool,
    rerun: bool,
    profile: str | None,
    exclude: tuple[str, ...],
    accept_missing: bool,
    set_aside: bool,
    accept_loss: tuple[str, ...],
    keep_violations: bool,
    catch_up: int | None,
    jobs: int | None,
    throttle: str | None,
    set_aside_from: Path | None,
    insecure_http: bool,
    **output: Any,
) -> None:
    """Carry all data of SOURCE into this database at the newest revision: backed up, proved, reversible.

    SOURCE is an old deployment's URL, a database URL, a file (a snapshot, a classic data.json, a SQLite database) or
    self (this database, brought to head). Without it FERRY_SOURCE counts, then the snapshot file. The live database
    is replaced in one step at the end, and not before everything is verified.
    """
    if set_aside_from:
        _refuse_other_options(
            SOURCE=source,
            fallback=fallback,
            restart=restart,
            rehearse=rehearse,
            rerun=rerun,
            exclude=exclude,
            accept_missing=accept_missing,
            insecure_http=insecure_http,
            verify=verify != "full",
            jobs=jobs is not None,
            throttle=throttle,
        )
    if rehearse and dry_run:
        raise click.UsageError("--rehearse and --dry-run are one at a time: one does the work, the other looks.")
    choices = MigrateOptions(
        source=SourceOptions(exclude, accept_missing, insecure_http, restart, set_aside),
        counts_only=verify == "counts",
        set_aside=set_aside,
        accept_loss=accept_loss,
        keep_violations=keep_violations,
        catch_up=catch_up,
        rerun=rerun,
        dry_run=dry_run,
        rehearse=rehearse,
        backup_to=backup_to.absolute() if backup_to else None,
        lock_timeout_s=lock_timeout_s(lock_timeout),
    )
    execute(
        "db-migrate-data",
        lambda run: (
            order_aside(run, set_aside_from.absolute(), choices) if set_aside_from else order_migration(run, choices)
        ),
        output=output,
        yes=yes,
        allow_production=allow_production,
        options={
            "FERRY_SOURCE": source,
            "FERRY_FALLBACK": fallback,
            "FERRY_PROFILE": profile,
            "FERRY_JOBS": None if jobs is None else str(jobs),
            "FERRY_THROTTLE": throttle,
        },
        of_one={"--set-aside-from": set_aside_from, "--exclude": exclude, "--backup-to": backup_to},
    )


def _refuse_other_options(**others: object) -> None:
    """What says how to read a source says nothing about rows that were read before."""
    if names := [name for name, value in others.items() if value]:
        names_shown = ", ".join(name if name.isupper() else f"--{name.replace('_', '-')}" for name in names)
        raise click.UsageError(f"--set-aside-from reads no source, so it does not go with {names_shown}.")
