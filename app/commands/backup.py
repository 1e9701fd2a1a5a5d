"""``flask db-backup``."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from ..dialects.wording import count_rows
from ..transfer.jobs.backup import check_backups, hold_drill, list_report, make_backup
from ..transfer.jobs.pruning import prune_backups
from ..transfer.jobs.storing import store_again
from ..transfer.run.report import Report
from ..transfer.run.run import Run
from . import options
from .blueprint import group
from .completion import list_backup_ids, offer
from .execute import execute, lock_timeout_s


@group.command("db-backup", cls=options.FerryCommand)
@click.option(
    "--to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file to write.  [default: a new name in FERRY_BACKUPS]",
)
@click.option("--list", "listing", is_flag=True, help="List the backups of this database.")
@click.option(
    "--check",
    is_flag=False,
    flag_value="",
    metavar="[ID]",
    shell_complete=offer(list_backup_ids),
    help="Prove a backup, or all, again.",
)
@click.option(
    "--drill",
    is_flag=True,
    help="Restore the newest backup, of FERRY_STORAGE where that is set, into a throw-away database and prove it.",
)
@click.option(
    "--store",
    metavar="ID",
    shell_complete=offer(list_backup_ids),
    help="Put a backup that lies here, and whose upload failed say, into FERRY_STORAGE; ID or path.",
)
@click.option("--prune", is_flag=True, help="Remove the oldest beyond FERRY_KEEP per command.")
@click.option(
    "--portable",
    is_flag=False,
    flag_value="",
    metavar="[FILE]",
    help="Write the JSON snapshot instead of the server's own format; it holds rows, not views or triggers.",
)
@click.option(
    "--client",
    is_flag=True,
    help="Let the server's own program write the dump (mariadb-dump, mysqldump), for tools that want its format. It "
    "rounds FLOAT columns; a dump that does not read back exactly is refused.",
)
@options.dry_run
@options.lock_timeout
@options.output
def db_backup(
    to: Path | None,
    listing: bool,
    check: str | None,
    drill: bool,
    store: str | None,
    prune: bool,
    portable: str | None,
    client: bool,
    dry_run: bool,
    lock_timeout: float | None,
    **output: Any,
) -> None:
    """Make a verified backup of this database, for its owner alone."""
    choices = {
        "--list": listing,
        "--check": check is not None,
        "--drill": drill,
        "--store": store is not None,
        "--prune": prune,
    }
    actions = [name for name, is_set in choices.items() if is_set]
    _refuse_dry_run(dry_run=dry_run, restores=drill or check is not None, stores=store is not None)
    if client and portable is not None:
        raise click.UsageError("--client and --portable are one at a time.")
    if len(actions) > 1 or (actions and (to or client or portable is not None)):
        raise click.UsageError("--list, --check, --drill, --store, --prune and making a backup are one at a time.")
    if portable and to:
        raise click.UsageError("Give the file to --portable or to --to, not to both.")
    file = Path(portable) if portable else to

    def work(run: Run) -> Report:
        if listing:
            return list_report(run)
        if check is not None:
            return check_backups(run, check or None, lock_timeout_s=lock_timeout_s(lock_timeout))
        if drill:
            return hold_drill(run, lock_timeout_s=lock_timeout_s(lock_timeout))
        if store is not None:
            return store_again(run, store, directory=Path.cwd(), lock_timeout_s=lock_timeout_s(lock_timeout))
        if prune:
            return prune_backups(run, dry_run=dry_run)
        return make_backup(
            run,
            to=file.absolute() if file else None,
            portable=portable is not None,
            client=client,
            lock_timeout_s=lock_timeout_s(lock_timeout),
            dry_run=dry_run,
        )

    execute(
        "db-backup",
        work,
        output=output,
        of_one={"--to": to, "--portable FILE": portable, "--check ID": check, "--store": store},
        show=describe_list if listing else None,
    )


def _refuse_dry_run(*, dry_run: bool, restores: bool, stores: bool) -> None:
    if dry_run and restores:
        raise click.UsageError("--dry-run writes nothing; --check and --drill restore into a throw-away database.")
    if dry_run and stores:
        raise click.UsageError("--dry-run writes nothing; --store does nothing else.")


def describe_list(report: Report) -> Iterator[str]:
    """The backups, one a line, oldest first."""
    for item in report.backups:
        portable = "  portable" if item["portable"] else ""
        place = f"  in {item['file'].rpartition('/')[0]}" if "://" in item["file"] else ""
        yield (
            f"{item['id']}  {item['made_at']}  {count_rows(item['rows'])}  {item['size_bytes']} bytes  "
            f"revision {item['revision']}  by {item['command']}{portable}{place}"
        )
    yield report.summary
