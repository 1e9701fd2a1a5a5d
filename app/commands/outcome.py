"""What came of a run, for whoever waits for it: errors explained, with whole commands; the report in its file."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from errno import EDQUOT, EEXIST, ENOSPC
from pathlib import Path

from jinja2 import TemplateError

from ..errors import DoesNotFit, FerryError
from ..transfer.jobs.passage import Order, carry_out
from ..transfer.rows.files import to_plain_json, write
from ..transfer.rows.scratch import ScratchError
from ..transfer.run.private import remove_abandoned
from ..transfer.run.report import Report, may_be_written_to
from ..transfer.run.run import Run
from ..transfer.run.tracing import trace
from .hints import Typed, complete
from .links import link_docs
from .options import get_typed_command
from .render import Renderer

_OTHERWISE = "Fix this, then run the command again."
"""The way on where an error names none."""
_FULL = re.compile(r"disk is full|table .* is full|No space left on device|disk full", re.IGNORECASE)
"""What SQLite, MySQL and PostgreSQL say of a full disk."""

Work = Callable[[Run], Report | Order]
"""What a command does, or what is to be carried out for it."""


def do_work(run: Run, work: Work) -> Report:
    """Do what a command is for.

    :raises FerryError: whatever a server, a disk or the engine refused, in words; the run's report has it.
    """
    try:
        with tracing(run):
            result = work(run)
            return carry_out(result) if isinstance(result, Order) else result
    except BaseException as error:
        run.record_failure(with_whole_commands(error) if isinstance(error, FerryError) else error)
        explained = explain(run, error)
        if explained is error:
            raise
        raise explained from error


def tracing(run: Run) -> AbstractContextManager[None]:
    """The span of a whole run; what killed processes left in private is removed first."""
    remove_abandoned(run.dialect.control_area(run.target).directory, run.settings.backups)
    return trace(f"flask {run.command}", run=run.id, command=run.command)


def explain(run: Run, error: BaseException) -> BaseException:
    """An error of a server or a disk as one of ours; any other as it is."""
    if isinstance(error, FerryError):
        return error
    if isinstance(error, run.database_errors):
        # The driver's words only: SQLAlchemy's own add the values of the statement.
        words = getattr(error, "orig", None) or error
        if known := run.dialect.explain(run.target, words):
            return known
        if _FULL.search(str(words)):
            return DoesNotFit(f"The database has no space: {words}", hint=f"Make room. {_OTHERWISE}")
        return FerryError(f"The database refused: {words}", hint=_OTHERWISE)
    if isinstance(error, ScratchError):
        if _FULL.search(str(error)):
            return DoesNotFit(f"There is no space for a run's scratch file in {error}", hint=f"Make room. {_OTHERWISE}")
        return FerryError(f"A run's scratch file cannot be written in {error}", hint=_OTHERWISE)
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        if error.errno in (ENOSPC, EDQUOT):
            return DoesNotFit(f"{place}there is no space: {error.strerror}.", hint=f"Make room. {_OTHERWISE}")
        return FerryError(f"This machine refused: {place}{error.strerror or error}", hint=_OTHERWISE)
    return error


def with_whole_commands(error: FerryError, typed: Typed | None = None) -> FerryError:
    """An error whose hint can be pasted as it is shown.

    :param typed: the command as it was typed, by default that of this process.
    """
    return error.with_hint(link_docs(complete(error.hint or _OTHERWISE, typed or get_typed_command())))


def write_report(path: Path | None, form: Callable[[Path], bytes], renderer: Renderer) -> None:
    """Write a report where it was asked for; where that cannot be, say so."""
    if path is None:
        return
    try:
        # It may have come to be there while the command ran.
        if not may_be_written_to(path):
            raise FileExistsError(EEXIST, "another file is there now")
        write(path, [form(path)], keep_former=False)
    except (OSError, TemplateError) as error:
        # After a cut-over only success or an unfinished cut-over may be said; this is neither.
        why = getattr(error, "strerror", None) or error
        renderer.say(f"Warning: the report {path} could not be written: {why}", fg="yellow")


def format_report(report: Report, path: Path) -> bytes:
    """A report as its file's name wants it."""
    if path.suffix != ".html":
        return to_plain_json(report.to_json())
    from .page import render_page  # few runs want one

    return render_page(report, get_typed_command()).encode()
