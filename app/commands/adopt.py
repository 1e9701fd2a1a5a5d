"""``flask db-adopt``."""

from __future__ import annotations

from typing import Any

import click

from ..transfer.jobs.adopt import adopt
from . import options
from .blueprint import group
from .execute import execute, lock_timeout_s


@group.command("db-adopt", cls=options.FerryCommand)
@click.option("-m", "--message", default="first", show_default=True, help="What the revision is called.")
@options.lock_timeout
@options.output
def db_adopt(message: str, lock_timeout: float | None, **output: Any) -> None:
    """Write the first Alembic revision for a database that has tables and no revisions; it is not changed.

    The revision makes the tables of the models. Then flask db-migrate-data self recognises the database by its tables.
    """
    timeout_s = lock_timeout_s(lock_timeout)
    execute("db-adopt", lambda run: adopt(run, message, lock_timeout_s=timeout_s), output=output)
