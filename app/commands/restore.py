"""``flask db-restore``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ..transfer.jobs.restore import order_restore
from . import options
from .blueprint import group
from .completion import list_backup_ids, offer
from .execute import execute, lock_timeout_s


@group.command("db-restore", cls=options.FerryCommand)
@click.argument(
    "backup", metavar="[ID, PATH or URL]", required=False, shell_complete=offer(list_backup_ids, files=True)
)
@click.option(
    "--trust-file",
    is_flag=True,
    help="Put a file back that does not have the seal of this database; the question says so.",
)
@options.cut_over
@options.output
def db_restore(
    backup: str | None,
    yes: bool,
    dry_run: bool,
    backup_to: Path | None,
    lock_timeout: float | None,
    allow_production: bool,
    trust_file: bool,
    **output: Any,
) -> None:
    """Put a backup, or a portable snapshot, back.

    By default the newest that db-backup, db-init or db-migrate-data made. What is live is backed up first.
    """
    execute(
        "db-restore",
        lambda run: order_restore(
            run,
            backup,
            directory=Path.cwd(),
            backup_to=backup_to.absolute() if backup_to else None,
            lock_timeout_s=lock_timeout_s(lock_timeout),
            dry_run=dry_run,
            trust_file=trust_file,
        ),
        output=output,
        yes=yes,
        allow_production=allow_production,
        of_one={"ID, PATH or URL": backup, "--backup-to": backup_to},
    )
