"""``flask db-verify``."""

from __future__ import annotations

from typing import Any

import click

from ..transfer.extract import SourceOptions
from ..transfer.prove import VerifyOptions, verify
from . import options
from .blueprint import bp
from .execute import execute, lock_timeout_s


@bp.cli.command("db-verify", cls=options.FerryCommand)
@click.argument("run_id", metavar="[RUN]", required=False)
@click.option("--against", metavar="SOURCE", help="Compare with this source instead of a run's snapshot.")
@click.option("-e", "--exclude", multiple=True, metavar="TABLE", help="Leave this table of SOURCE out.")
@click.option("--accept-missing", is_flag=True, help="SOURCE may lack endpoints for tables.")
@click.option("--insecure-http", is_flag=True, help="Allow http:// off this machine.")
@options.lock_timeout
@options.output
def db_verify(
    run_id: str | None,
    against: str | None,
    exclude: tuple[str, ...],
    accept_missing: bool,
    insecure_http: bool,
    lock_timeout: float | None,
    **output: Any,
) -> None:
    """Prove again that this database holds what a run brought, row by row; by default the last run."""
    if run_id and against:
        raise click.UsageError("Give a RUN or --against SOURCE, not both.")
    chosen = VerifyOptions(
        run_id=run_id,
        against=against is not None,
        source=SourceOptions(exclude, accept_missing, insecure_http),
        lock_timeout_s=lock_timeout_s(lock_timeout),
    )
    execute("db-verify", lambda run: verify(run, chosen), output=output, settings={"FERRY_SOURCE": against})
