"""A command for all databases of an app: a run for each, one question, one receipt, one exit status."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any

import click

from ..errors import CutOverUnfinished, ExitStatus, FerryError, Misconfigured, NotConfirmed
from ..transfer.jobs.passage import Order
from ..transfer.jobs.together import ROLLBACK, Together
from ..transfer.rows.files import to_plain_json
from ..transfer.run.hooks import Event, Hooks
from ..transfer.run.report import FORMAT, Report, now
from ..transfer.run.run import Run
from ..transfer.run.settings import Settings, name_key
from ..transfer.run.source import SELF
from ..transfer.run.target import MIGRATE
from ..transfer.schema.binds import ALL
from .hints import REPLACING, complete
from .options import get_typed_command
from .outcome import Work, do_work, explain, tracing, with_whole_commands, write_report
from .question import Answers
from .receipts import screen_all, summarise, whole_all
from .render import Renderer, Show
from .session import current_host, current_settings, list_all, list_unknown_keys


class Several:
    """The runs of a command, one for each database that it is for.

    :param typed: keys that options override.
    :param of_one: what was typed that means one database: its value by its name on the command line.
    :raises Misconfigured: what was typed, or the source, is of one database.
    """

    def __init__(
        self,
        command: str,
        settings: Settings,
        typed: Mapping[str, str | None],
        of_one: Mapping[str, object],
        renderer: Renderer,
        answers: Answers,
        hold_signals: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._command, self._renderer, self._answers = command, renderer, answers
        self._started_at = now()
        names = list_all(settings)
        _refuse_of_one(of_one, names)
        self._runs: dict[str, Run] = {}
        for name in names:
            for_one = current_settings({**typed, "FERRY_BIND": name})
            _refuse_shared_source(command, for_one, names)
            watch = _Watch(renderer, name)
            hooks = Hooks(watch.emit, answers.ask, answers.permit, hold_signals)
            run = Run(current_host(for_one, names), for_one, command, hooks, verbose=renderer.verbose)
            watch.run = run.id
            self._runs[name] = run
        self._error: FerryError | None = None

    @property
    def reports(self) -> dict[str, Report]:
        return {name: run.report for name, run in self._runs.items()}

    @property
    def lives(self) -> dict[str, str]:
        """What became of each live database, of a command that could have changed it."""
        return {name: report.live for name, report in self.reports.items()} if self._command in REPLACING else {}

    def execute(self, work: Work, report_file: Path | None, show: Show | None) -> int:
        """Do the work for all; returns the exit status."""
        for line in list_unknown_keys():
            self._renderer.emit(Event("warning", line))
        try:
            orders = self._begin(work, show)
            if orders:
                self._carry_out(orders)
            return self._end()
        finally:
            self._renderer.watch(None, ALL)
            write_report(report_file, self._format, self._renderer)

    def _begin(self, work: Work, show: Show | None) -> dict[str, Order]:
        """What is to be carried out; a command that only looks has done so, for each whatever came of the others."""
        if self._command in REPLACING:
            results = {name: work(run) for name, run in self._runs.items()}
            return {name: order for name, order in results.items() if isinstance(order, Order)}
        for name, run in self._runs.items():
            self._renderer.watch(run.id, name, named=True)
            try:
                self._renderer.result(do_work(run, work), show)
            except NotConfirmed:
                raise
            except FerryError as error:
                self._renderer.error(self._complete(error, name))
        return {}

    def _carry_out(self, orders: Mapping[str, Order]) -> None:
        together = Together(orders, lambda questions: self._answers.ask(*questions.values()))
        try:
            with ExitStack() as spans:
                for run in self._runs.values():
                    spans.enter_context(tracing(run))
                together.carry_out()
        except BaseException as error:
            self._record(error, together.at)
            if self._error is None:
                raise

    def _record(self, error: BaseException, name: str | None) -> None:
        """Put the end of all into each run's journal, and into words what became of them."""
        if isinstance(error, KeyboardInterrupt | click.Abort):
            error = NotConfirmed("Interrupted.")
        explained = error
        for run in [self._runs[name]] if name else self._runs.values():
            explained = explain(run, explained)
        failed = self._complete(explained, name) if isinstance(explained, FerryError) else None
        for other, run in self._runs.items():
            if other == name:
                run.record_failure(failed or error)
            elif run.report.finished_at is None:
                run.record_failure(FerryError(f"Ended, as the run for {name or 'all of them'} failed."))
        self._error = failed and self._name_outcome(failed, name)

    def _complete(self, error: FerryError, name: str | None) -> FerryError:
        """An error of one database, with its name, and commands that are for it or, where that helps, for all."""
        if name is None:
            return with_whole_commands(error)
        named = error.with_details(f"{name}: {error.message}", error.details)
        return with_whole_commands(named, get_typed_command().narrowed_to(name))

    def _name_outcome(self, error: FerryError, name: str | None) -> FerryError:
        """The error as it is, where nothing was replaced; else one that says what is new, and both ways on."""
        replaced = [other for other, report in self.reports.items() if report.live == "replaced"]
        if not replaced:
            return error
        typed = get_typed_command()
        failed = [name] if name and name not in replaced else []
        rest = [other for other, report in self.reports.items() if report.live != "replaced" and other not in failed]
        what = f"{', '.join(replaced)} {'is' if len(replaced) == 1 else 'are'} new, {', '.join([*failed, *rest])} not"
        hints = [(error.hint or "").partition("\nAgain: ")[0]]
        hints += [f"To go on, which does what is left: {typed.with_flags('--yes')}"]
        hints += [f"To take back what is new: {command}" for command in self._list_ways_back(replaced)]
        return CutOverUnfinished(f"{what}. {error.message}", details=error.details, hint="\n".join(hints))

    def _list_ways_back(self, replaced: list[str]) -> list[str]:
        """Commands that undo what was cut over; one rollback knows which databases belong together."""
        typed = get_typed_command()
        if self._command != ROLLBACK:
            return [complete(f"flask {ROLLBACK}", typed)]
        ways = [self.reports[name].rollback for name in replaced]
        return [complete(way, typed) for way in ways if way]

    def _end(self) -> int:
        """Show what came of all; returns the exit status."""
        self._renderer.watch(None, ALL)
        if self._error is not None:
            self._renderer.error(self._error, databases=self.lives)
            return int(self._error.exit_status)
        summary = summarise(self.reports)
        shape = whole_all if self._renderer.verbose else screen_all
        brief = self._renderer.quiet or self._command not in REPLACING
        lines = [summary] if brief else [*shape(self.reports, get_typed_command()), summary]
        if self._renderer.as_json and self._command in REPLACING:
            for name, report in self.reports.items():
                self._renderer.watch(report.run, name)
                self._renderer.result(report)
            self._renderer.watch(None, ALL)
        self._renderer.result_of_all(self._describe(), lines)
        return self._status

    @property
    def _status(self) -> int:
        if self._error is not None:
            return int(self._error.exit_status)
        return max((report.exit_status for report in self.reports.values()), default=int(ExitStatus.DONE))

    def _describe(self) -> dict[str, Any]:
        return {
            "status": self._status,
            "summary": summarise(self.reports),
            "databases": {
                name: {
                    "run": report.run,
                    "outcome": report.outcome,
                    "status": report.exit_status,
                    "live": report.live,
                }
                for name, report in self.reports.items()
            },
        }

    def _format(self, path: Path) -> bytes:
        """The reports of all in one file."""
        if path.suffix == ".html":
            from .page import render_pages  # few runs want one

            return render_pages(self.reports, summarise(self.reports), self._error, get_typed_command()).encode()
        error = self._error and {
            "message": self._error.message,
            "details": self._error.details,
            "hint": self._error.hint,
        }
        return to_plain_json(
            {
                "format": FORMAT,
                "command": self._command,
                "bind": ALL,
                **self._describe(),
                "started_at": self._started_at,
                "finished_at": now(),
                "error": error,
                "reports": {name: report.to_json() for name, report in self.reports.items()},
            }
        )


class _Watch:
    """Shows the events of one run, with the name of its database."""

    def __init__(self, renderer: Renderer, name: str) -> None:
        self._renderer, self._name = renderer, name
        self.run: str | None = None

    def emit(self, event: Event) -> None:
        self._renderer.watch(self.run, self._name, named=True)
        self._renderer.emit(event)


def _refuse_of_one(of_one: Mapping[str, object], names: list[str]) -> None:
    typed = [option for option, value in of_one.items() if value]
    if typed and len(names) > 1:
        raise Misconfigured(
            f"{', '.join(typed)} {'means' if len(typed) == 1 else 'mean'} one database, and --bind {ALL} is for "
            f"{len(names)}: {', '.join(names)}.",
            hint=f"Leave it out, or run once for each: {', '.join(f'--bind {name}' for name in names)}",
        )


def _refuse_shared_source(command: str, settings: Settings, names: list[str]) -> None:
    """:raises Misconfigured: a source of one database would be loaded into several."""
    shared = settings.source_key == "FERRY_SOURCE" and settings.source not in (None, SELF)
    if command == MIGRATE and shared and len(names) > 1:
        keys = ", ".join(f"FLASK_{name_key('FERRY_SOURCE', name)}" for name in names)
        raise Misconfigured(
            f"One SOURCE is of one database, and --bind {ALL} is for {len(names)}: {', '.join(names)}.",
            hint=f"Give no SOURCE and set one for each: {keys}; or self, which is each database as it is.",
        )
