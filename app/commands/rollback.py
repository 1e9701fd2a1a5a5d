"""``flask db-rollback``."""

from __future__ import annotations

from typing import Any

from ..transfer.jobs.rollback import roll_back
from . import options
from .blueprint import bp
from .execute import execute, lock_timeout_s


@bp.cli.command("db-rollback", cls=options.FerryCommand)
@options.yes
@options.dry_run
@options.lock_timeout
@options.allow_production
@options.output
def db_rollback(yes: bool, dry_run: bool, lock_timeout: float | None, allow_production: bool, **output: Any) -> None:
    """Undo the last cut-over: what was live before it becomes live again.

    Writes made since are listed and saved to a file, and the database as it is is backed up first.
    """
    execute(
        "db-rollback",
        lambda run: roll_back(run, lock_timeout_s=lock_timeout_s(lock_timeout), dry_run=dry_run),
        output=output,
        yes=yes,
        allow_production=allow_production,
    )
