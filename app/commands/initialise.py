"""``flask db-init``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..transfer.jobs.initialise import InitOptions, order_init
from . import options
from .blueprint import group
from .execute import execute, lock_timeout_s


@group.command("db-init", cls=options.FerryCommand)
@options.cut_over
@click.option("--no-seed", is_flag=True, help="Load no test data.")
@click.option(
    "--schema",
    type=click.Choice(["models", "migrations"]),
    help="Build the tables from the models, or by the Alembic revisions.  [default: models, unless the revisions make "
    "the same tables and columns, and something else differs]",
)
@options.output
def db_init(
    yes: bool,
    dry_run: bool,
    backup_to: Path | None,
    lock_timeout: float | None,
    allow_production: bool,
    no_seed: bool,
    schema: str | None,
    **output: Any,
) -> None:
    """Replace this database by a fresh one with the default test data (development).

    What is there is backed up first. Not to be confused with flask db init, which writes migration scripts.
    """
    settings = InitOptions(
        no_seed=no_seed,
        schema=schema,
        dry_run=dry_run,
        backup_to=backup_to.absolute() if backup_to else None,
        lock_timeout_s=lock_timeout_s(lock_timeout),
    )
    execute(
        "db-init",
        lambda run: order_init(run, settings),
        output=output,
        yes=yes,
        allow_production=allow_production,
        of_one={"--backup-to": backup_to},
    )
