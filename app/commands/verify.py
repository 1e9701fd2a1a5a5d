"""``flask db-verify``."""

from __future__ import annotations

from typing import Any

import click

from ..transfer.jobs.verify_run import VerifyOptions, verify
from ..transfer.sources.base import SourceOptions
from . import options
from .blueprint import group
from .completion import list_run_ids, list_sources, offer
from .execute import execute, lock_timeout_s


@group.command("db-verify", cls=options.FerryCommand)
@click.argument("run_id", metavar="[RUN]", required=False, shell_complete=offer(list_run_ids))
@click.option(
    "--against",
    metavar="SOURCE",
    shell_complete=offer(list_sources, files=True),
    help="Compare with this source instead of a run's snapshot.",
)
@options.profile("Anonymise SOURCE on the way, as this profile says.")
@options.exclude("Leave this table of SOURCE out.")
@click.option("--accept-missing", is_flag=True, help="SOURCE may lack endpoints for tables, or tables of its revision.")
@click.option("--insecure-http", is_flag=True, help="Allow http:// to another machine.")
@options.lock_timeout
@options.output
def db_verify(
    run_id: str | None,
    against: str | None,
    profile: str | None,
    exclude: tuple[str, ...],
    accept_missing: bool,
    insecure_http: bool,
    lock_timeout: float | None,
    **output: Any,
) -> None:
    """Prove again that this database holds what a run brought, row by row; by default the last run."""
    if run_id and against:
        raise click.UsageError("Give a RUN or --against SOURCE, not both.")
    if profile and not against:
        raise click.UsageError("--profile is for --against SOURCE; what a RUN loaded is as it was.")
    choices = VerifyOptions(
        run_id=run_id,
        against=against is not None,
        source=SourceOptions(exclude, accept_missing, insecure_http),
        lock_timeout_s=lock_timeout_s(lock_timeout),
    )
    settings = {"FERRY_SOURCE": against, "FERRY_PROFILE": profile}
    of_one = {"RUN": run_id, "--against": against}
    execute("db-verify", lambda run: verify(run, choices), output=output, options=settings, of_one=of_one)
