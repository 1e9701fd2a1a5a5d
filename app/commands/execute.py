"""Runs one engine function for a command: hooks, output, errors as exit statuses."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import click

from ..dialects.sessions import hold_sessions
from ..errors import ExitStatus, FerryError, NotConfirmed
from ..transfer.run.hooks import Hooks
from ..transfer.run.run import Run
from ..transfer.schema.binds import ALL
from .hints import REPLACING
from .options import get_typed_command
from .outcome import Work, do_work, format_report, with_whole_commands, write_report
from .question import Answers
from .render import Output, Renderer, Show
from .session import current_host, current_settings, list_unknown_keys, refuse_ignored_keys
from .several import Several
from .signals import Interruptible

TERMINAL_TIMEOUT_S = 0.0
UNATTENDED_TIMEOUT_S = 900.0


def lock_timeout_s(timeout_s: float | None) -> float:
    """How long to wait for the lock: no time on a terminal, else long enough for another deploy."""
    if timeout_s is not None:
        return timeout_s
    return TERMINAL_TIMEOUT_S if sys.stdin.isatty() else UNATTENDED_TIMEOUT_S


def execute(
    command: str,
    work: Work,
    *,
    output: Mapping[str, Any],
    yes: bool = False,
    allow_production: bool = False,
    options: Mapping[str, str | None] | None = None,
    of_one: Mapping[str, object] | None = None,
    show: Show | None = None,
) -> NoReturn:
    """Run ``work`` and exit with its status.

    :param work: does what the command is for, or says what is to be carried out.
    :param output: the options of :func:`.options.output`.
    :param options: keys that options override.
    :param of_one: what was typed that means one database: its value by its name on the command line.
    :param show: makes all lines of a command that has another answer than a receipt, the outcome among them.
    """
    terminal = Output(output["as_json"], output["quiet"], output["verbose"])
    renderer = Renderer(terminal, get_typed_command())
    signals = Interruptible()
    status = int(ExitStatus.FAILED)
    run: Run | None = None
    with signals.install(), hold_sessions():
        try:
            answers = Answers.from_options(yes=yes, allow_production=allow_production)
            typed = {"FERRY_BIND": output["bind"], **(options or {})}
            settings = current_settings(typed)
            if command != "db-status":  # which says what is wrong
                refuse_ignored_keys()
                _ = settings.backup_key
            if settings.bind == ALL:
                several = Several(command, settings, typed, of_one or {}, renderer, answers, signals.hold)
                status = several.execute(work, output["report"], show)
            else:
                hooks = Hooks(renderer.emit, answers.ask, answers.permit, signals.hold)
                run = Run(current_host(settings), settings, command, hooks, verbose=terminal.verbose)
                status = _execute_one(run, work, renderer, output["report"], show)
        except FerryError as error:
            renderer.error(with_whole_commands(error), _find_live(command, run))
            status = int(error.exit_status)
        except (KeyboardInterrupt, click.Abort):
            renderer.error(NotConfirmed("Interrupted."), _find_live(command, run))
            status = int(ExitStatus.NOT_CONFIRMED)
        finally:
            renderer.close()
    sys.exit(status)


def _execute_one(run: Run, work: Work, renderer: Renderer, report_file: Path | None, show: Show | None) -> int:
    renderer.watch(run.id, run.settings.bind)
    for line in list_unknown_keys():
        run.warn(line)
    try:
        report = do_work(run, work)
        renderer.result(report, show)
        return report.exit_status
    finally:
        # Of a run that failed as well: what it found is what somebody needs to fix.
        write_report(report_file, lambda path: format_report(run.report, path), renderer)


def _find_live(command: str, run: Run | None) -> str | None:
    """What became of the live database, of a command that could have changed it."""
    if command not in REPLACING:
        return None
    return run.report.live if run else "unchanged"
