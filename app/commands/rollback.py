"""``flask db-rollback``."""

from __future__ import annotations

from typing import Any

import click

from ..transfer.jobs.keep_writes import KeepingRollback
from ..transfer.jobs.rollback import order_rollback
from . import options
from .blueprint import group
from .execute import execute, lock_timeout_s


@group.command("db-rollback", cls=options.FerryCommand)
@options.yes
@options.dry_run
@options.lock_timeout
@options.allow_production
@click.option(
    "--keep-writes",
    is_flag=True,
    help="Bring the rows written since along, to the older revision by the app's own downgrades.",
)
@options.output
def db_rollback(
    yes: bool,
    dry_run: bool,
    lock_timeout: float | None,
    allow_production: bool,
    keep_writes: bool,
    **output: Any,
) -> None:
    """Undo the last cut-over: what was live before it becomes live again.

    Writes made since are listed and saved to a file, and the database as it is is backed up first.
    """
    kind = KeepingRollback if keep_writes else None
    execute(
        "db-rollback",
        lambda run: order_rollback(run, lock_timeout_s=lock_timeout_s(lock_timeout), dry_run=dry_run, kind=kind),
        output=output,
        yes=yes,
        allow_production=allow_production,
    )
