"""What is printed: results to stdout; progress, warnings and errors to stderr."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import click

from ..errors import FerryError
from ..transfer.run.hooks import Event
from ..transfer.run.report import Report
from . import receipt
from .events import print_json
from .hints import Typed, name_bind
from .links import link_docs
from .progress import StepProgress
from .receipt import format_duration
from .unseen import indent_further_lines, show_unseen

PROGRESS_EVERY_S = 1.0

Show = Callable[[Report], Iterable[str]]
LIVE = {
    "unchanged": "The live database is unchanged.",
    "written": "This run has replaced nothing, but the live database was written meanwhile: by the application, if it "
    "runs, or by a revision. A backup, where one was made before, has it as it was.",
    "altered": "This run has replaced nothing, but the schema of the live database was changed meanwhile: by a "
    "revision or by somebody else. A backup, where one was made before, has it as it was.",
    "replaced": "The live database was replaced: the new one is live.",
    "unknown": "What became of the live database cannot be seen now; look with: flask db-status",
}
LIVES = {
    "replaced": "Replaced, the new one is live",
    "unchanged": "Unchanged",
    "written": "Replaced by nothing, but written meanwhile, by the application or a revision",
    "altered": "Replaced by nothing, but its schema was changed meanwhile, by a revision or by somebody else",
    "unknown": "Not known, as it cannot be seen now",
}


@dataclass(frozen=True)
class Output:
    """What was asked for: ``--json``, ``-q``, ``-v``."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False


class Renderer:
    """Takes events as they come and shows them; how a step goes on is shown while it does.

    :param typed: the command, for those that are shown.
    """

    def __init__(self, output: Output, typed: Typed) -> None:
        self._output, self._typed = output, typed
        self._lock = threading.RLock()
        self._steps = StepProgress(self._write, self._lock, bars=sys.stderr.isatty())
        self._run: str | None = None
        self._bind: str | None = None
        self._named = False
        self._step: str | None = None
        self._progress_at = -PROGRESS_EVERY_S

    @property
    def as_json(self) -> bool:
        return self._output.as_json

    @property
    def quiet(self) -> bool:
        return self._output.quiet

    @property
    def verbose(self) -> bool:
        return self._output.verbose

    def watch(self, run: str | None, bind: str | None = None, *, named: bool = False) -> None:
        """From now on what is shown is of this run.

        :param bind: which database of the app, where one of several was chosen.
        :param named: each line for people begins with that.
        """
        self._run, self._bind, self._named = run, bind, named

    def emit(self, event: Event) -> None:
        """Show one event."""
        self._step = event.step
        if self._named and not self._output.as_json:
            event = replace(event, text=f"{self._bind}: {event.text}")
        with self._lock:
            if self._output.as_json:
                self._emit_json(event)
            elif event.kind == "warning":
                self.say(f"Warning: {indent_further_lines(event.text)}", fg="yellow")
            elif not self._output.quiet:
                self._show(event)

    def _emit_json(self, event: Event) -> None:
        if event.kind == "progress":
            at = time.monotonic()
            if at - self._progress_at < PROGRESS_EVERY_S:
                return
            self._progress_at = at
        self._print_json(event.kind, {"text": event.text, **event.data})

    def _print_json(self, kind: str, data: Mapping[str, Any]) -> None:
        print_json(kind, data, self._run, self._step, self._bind)

    def _show(self, event: Event) -> None:
        match event.kind:
            case "step":
                self._steps.begin(show_unseen(event.text))
            case "progress":
                what, at = show_unseen(event.text), show_unseen(event.data.get("at", ""))
                self._steps.advance(what, event.data["done"], event.data["total"], at)
            case "step-end":
                self._steps.close()
                self.say(f"{event.text}: {format_duration(event.data['seconds'])}")
            case _:
                self.say(indent_further_lines(event.text))

    def say(self, text: str, fg: str | None = None) -> None:
        """A line on stderr; bars are taken away first, as they would be drawn over it."""
        with self._lock:
            self._steps.pause()
            text = self._finish(text)
            plain = fg is None or os.environ.get("NO_COLOR")
            self._write(text if plain else click.style(text, fg=fg))

    def _finish(self, line: str) -> str:
        """A line for people, as it is shown."""
        return show_unseen(link_docs(name_bind(line, self._typed)))

    @staticmethod
    def _write(text: str) -> None:
        click.echo(text, err=True)

    def close(self) -> None:
        """Show no more of how a step goes on."""
        with self._lock:
            self._steps.close()

    def error(self, error: FerryError, live: str | None = None, databases: Mapping[str, str] | None = None) -> None:
        """What, where, what became of the live database, and what to do next.

        :param live: as :attr:`.Report.live`; None for a command that could not have changed it.
        :param databases: the same of each of several.
        """
        self.close()
        if self._output.as_json:
            fields: dict[str, Any] = {"message": error.message, "details": error.details, "hint": error.hint}
            fields |= {"live": live} if live else {}
            fields |= {"databases": databases} if databases else {}
            self._print_json("error", {"status": int(error.exit_status), **fields})
        self.say(f"Error: {indent_further_lines(error.message)}", fg="red")
        for line in error.details:
            self.say(f"  {indent_further_lines(line)}")
        if live:
            self.say(LIVE[live])
        for line in describe_lives(databases or {}):
            self.say(line)
        if error.hint:
            self.say(error.hint)

    def result_of_all(self, fields: Mapping[str, Any], lines: Iterable[str]) -> None:
        """What came of a command for several databases.

        :param fields: what ``--json`` says.
        :param lines: what people read.
        """
        self.close()
        self._step = None
        if self._output.as_json:
            self._print_json("results", fields)
            return
        for line in lines:
            click.echo(self._finish(indent_further_lines(line)))

    def result(self, report: Report, show: Show | None = None) -> None:
        """The receipt; its last line is what came of it.

        :param show: makes all lines of a command that has another answer than a receipt, the outcome among them.
        """
        self.close()
        self._step = None
        if self._output.as_json:
            self._print_json("result", report.to_json())
            return
        describe = _describe_outcome if self._output.quiet else show or self._describe
        lines = [self._finish(indent_further_lines(line)) for line in describe(report)]
        if self._named:
            lines = [f"{self._bind}: {lines[0]}", *lines[1:]]
        for line in lines:
            click.echo(line)

    def _describe(self, report: Report) -> Iterable[str]:
        shape = receipt.whole if self._output.verbose else receipt.screen
        yield from shape(report, self._typed)
        yield report.summary


def describe_lives(databases: Mapping[str, str]) -> Iterable[str]:
    """What became of several live databases: those of one kind in a line."""
    if databases and set(databases.values()) == {"unchanged"}:
        yield f"The live databases are unchanged: {', '.join(databases)}."
        return
    for live, words in LIVES.items():
        if names := [name for name, became in databases.items() if became == live]:
            yield f"{words}: {', '.join(names)}."


def _describe_outcome(report: Report) -> Iterable[str]:
    yield report.summary
