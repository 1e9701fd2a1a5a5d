"""What a shell offers for an argument when Tab is pressed: names that this app and its database have."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem
from flask.cli import ScriptInfo

from ..dialects.sessions import hold_sessions
from ..errors import FerryError
from ..transfer.anonymise.engine import list_profiles
from ..transfer.jobs.backup import list_backups
from ..transfer.run.hooks import Hooks
from ..transfer.run.run import Run
from ..transfer.schema.binds import ALL, DEFAULT, name_of
from ..transfer.schema.models import metadatas_of
from .session import current_host, current_settings

Look = Callable[[Run], Iterable[str]]
Complete = Callable[[click.Context, click.Parameter, str], list[CompletionItem]]


def offer(look: Look, *, files: bool = False) -> Complete:
    """What :func:`click.option` and :func:`click.argument` take as ``shell_complete``.

    :param look: finds the names; it changes nothing.
    :param files: a path may be given as well.
    """

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        del param
        names = [name for name in _look_up(ctx, look) if name.startswith(incomplete)]
        return [*map(CompletionItem, names), *([CompletionItem(incomplete, type="file")] if files else [])]

    return complete


def _look_up(ctx: click.Context, look: Look) -> list[str]:
    # Newer versions of click have closed the app's context by now.
    with (
        contextlib.suppress(FerryError, OSError, click.ClickException),
        ctx.ensure_object(ScriptInfo).load_app().app_context(),
        hold_sessions(),
    ):
        settings = current_settings({"FERRY_BIND": ctx.params.get("bind")})
        if settings.bind == ALL:
            settings = current_settings({"FERRY_BIND": DEFAULT})
        run = Run(current_host(settings), settings, str(ctx.info_name), Hooks())
        with contextlib.suppress(*run.database_errors):
            return list(look(run))
    # Nothing can be said in the middle of a line.
    return []


def list_backup_ids(run: Run) -> Iterable[str]:
    """Newest first."""
    return [backup.id for backup in reversed(list_backups(run))]


def list_run_ids(run: Run) -> Iterable[str]:
    """Runs that cut over, newest first."""
    control = run.peek()
    return [entry.run_id for entry in reversed(control.ledger())] if control else []


def list_lock_holders(run: Run) -> Iterable[str]:
    """The run that holds the lock, if one does."""
    control = run.peek()
    holder = control.holder() if control else None
    return [holder.run_id] if holder else []


def list_profile_names(run: Run) -> Iterable[str]:
    return sorted(list_profiles(run))


def list_tables(run: Run) -> Iterable[str]:
    """Tables of the models and of the live database."""
    return sorted({*_columns_of_models(run), *_columns_of_live(run)})


def list_tables_and_columns(run: Run) -> Iterable[str]:
    """Tables of the live database, and ``table.column`` for each of their columns."""
    columns = _columns_of_live(run)
    return sorted([*columns, *(f"{table}.{name}" for table, names in columns.items() for name in names)])


def list_binds(run: Run) -> Iterable[str]:
    names = sorted(map(name_of, run.host.db.engines))
    return [*names, ALL] if len(names) > 1 else names


def list_sources(run: Run) -> Iterable[str]:
    del run
    return ["self"]


def _columns_of_models(run: Run) -> dict[str, Any]:
    return {table.name: table.columns for metadata in metadatas_of(run.host) for table in metadata.tables.values()}


def _columns_of_live(run: Run) -> dict[str, Iterable[str]]:
    if not run.dialect.exists(run.target):
        return {}
    with run.dialect.reader(run.target) as reader:
        return {
            table.name: table.column_names
            for table in reader.tables().values()
            if table.name != run.dialect.version_table
        }
