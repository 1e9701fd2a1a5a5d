"""Runs one engine function for a command: hooks, output, errors as exit statuses."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from errno import EDQUOT, EEXIST, ENOSPC
from pathlib import Path
from typing import Any, NoReturn

import click
from jinja2 import TemplateError

from ..dialects.sessions import hold_sessions
from ..errors import DoesNotFit, ExitStatus, FerryError, NotConfirmed
from ..transfer.rows.files import to_plain_json, write
from ..transfer.run.hooks import Hooks
from ..transfer.run.private import remove_abandoned
from ..transfer.run.report import Report, may_be_written_to
from ..transfer.run.run import Run
from ..transfer.run.tracing import trace
from .hints import REPLACING, complete
from .links import link_docs
from .options import get_typed_command
from .question import Answers
from .render import Output, Renderer, Show
from .session import current_host, current_settings, list_unknown_keys
from .signals import Interruptible

_OTHERWISE = "Fix this, then run the command again."
"""The way on where an error names none."""
_FULL = re.compile(r"disk is full|table .* is full|No space left on device|disk full", re.IGNORECASE)
"""What SQLite, MySQL and PostgreSQL say of a full disk."""
TERMINAL_TIMEOUT_S = 0.0
UNATTENDED_TIMEOUT_S = 900.0


def lock_timeout_s(timeout_s: float | None) -> float:
    """How long to wait for the lock: no time on a terminal, else long enough for another deploy."""
    if timeout_s is not None:
        return timeout_s
    return TERMINAL_TIMEOUT_S if sys.stdin.isatty() else UNATTENDED_TIMEOUT_S


def execute(
    command: str,
    work: Callable[[Run], Report],
    *,
    output: Mapping[str, Any],
    yes: bool = False,
    allow_production: bool = False,
    options: Mapping[str, str | None] | None = None,
    show: Show | None = None,
) -> NoReturn:
    """Run ``work`` and exit with its status.

    :param output: the options of :func:`.options.output`.
    :param options: keys that options override.
    :param show: makes all lines of a command that has another answer than a receipt, the outcome among them.
    """
    terminal = Output(output["as_json"], output["quiet"], output["verbose"])
    renderer = Renderer(terminal, get_typed_command())
    signals = Interruptible()
    status = int(ExitStatus.FAILED)
    live = "unchanged" if command in REPLACING else None
    with signals.install(), hold_sessions():
        try:
            answers = Answers.from_options(yes=yes, allow_production=allow_production)
            hooks = Hooks(renderer.emit, answers.ask, answers.permit, signals.hold)
            settings = current_settings({"FERRY_BIND": output["bind"], **(options or {})})
            run = Run(current_host(settings), settings, command, hooks, verbose=terminal.verbose)
            renderer.watch(run.id)
            for line in list_unknown_keys():
                run.warn(line)
            try:
                report = _do_work(run, work)
                renderer.result(report, show)
                status = report.exit_status
            finally:
                live = live and run.report.live
                # Of a run that failed as well: what it found is what somebody needs to fix.
                _write_report(run.report, output["report"], renderer)
        except FerryError as error:
            renderer.error(_with_whole_commands(error), live)
            status = int(error.exit_status)
        except (KeyboardInterrupt, click.Abort):
            renderer.error(NotConfirmed("Interrupted."), live)
            status = int(ExitStatus.NOT_CONFIRMED)
        finally:
            renderer.close()
    sys.exit(status)


def _with_whole_commands(error: FerryError) -> FerryError:
    return error.with_hint(link_docs(complete(error.hint or _OTHERWISE, get_typed_command())))


def _do_work(run: Run, work: Callable[[Run], Report]) -> Report:
    try:
        remove_abandoned(run.dialect.control_area(run.target).directory)
        with trace(f"flask {run.command}", run=run.id, command=run.command):
            return work(run)
    except FerryError as error:
        run.record_failure(_with_whole_commands(error))
        raise
    except run.database_errors as error:
        run.record_failure(error)
        # The driver's words only: SQLAlchemy's own add the values of the statement.
        words = getattr(error, "orig", None) or error
        if _FULL.search(str(words)):
            raise DoesNotFit(f"The database has no space: {words}", hint=f"Make room. {_OTHERWISE}") from error
        raise FerryError(f"The database refused: {words}", hint=_OTHERWISE) from error
    except OSError as error:
        run.record_failure(error)
        place = f"{error.filename}: " if error.filename else ""
        if error.errno in (ENOSPC, EDQUOT):
            raise DoesNotFit(f"{place}there is no space: {error.strerror}.", hint=f"Make room. {_OTHERWISE}") from error
        raise FerryError(f"This machine refused: {place}{error.strerror or error}", hint=_OTHERWISE) from error
    except BaseException as error:
        run.record_failure(error)
        raise


def _write_report(report: Report, path: Path | None, renderer: Renderer) -> None:
    if path is None:
        return
    try:
        # It may have come to be there while the command ran.
        if not may_be_written_to(path):
            raise FileExistsError(EEXIST, "another file is there now")
        write(path, [_format_report(report, path)], keep_former=False)
    except (OSError, TemplateError) as error:
        # After a cut-over only success or an unfinished cut-over may be said; this is neither.
        why = getattr(error, "strerror", None) or error
        renderer.say(f"Warning: the report {path} could not be written: {why}", fg="yellow")


def _format_report(report: Report, path: Path) -> bytes:
    if path.suffix != ".html":
        return to_plain_json(report.to_json())
    from .page import render_page  # few runs want one

    return render_page(report, get_typed_command()).encode()
