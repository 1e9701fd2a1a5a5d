"""What is printed: results to stdout; progress, warnings and errors to stderr."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import click

from ..errors import FerryError
from ..transfer.proof.compare import SHOWN
from ..transfer.run.report import Report
from ..transfer.run.run import Event
from .hints import Typed, name_bind

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

LIVE = {
    "unchanged": "The live database is unchanged.",
    "written": "This run has replaced nothing, but the live database was written meanwhile: by the application, if it "
    "runs, or by a revision. The backup made before has it as it was.",
    "replaced": "The live database was replaced: the new one is live.",
    "unknown": "What became of the live database cannot be seen now; look with: flask db-status",
}


@dataclass(frozen=True)
class Output:
    """What was asked for: ``--json``, ``-q``, ``-v``."""

    as_json: bool = False
    quiet: bool = False
    verbose: bool = False


class Renderer:
    """Takes events as they come; progress bars on a terminal only, those of one step at a time.

    :param typed: the command, for those that are shown.
    """

    def __init__(self, output: Output, typed: Typed) -> None:
        self._output, self._typed = output, typed
        self._with_bars = sys.stderr.isatty() and not output.quiet and not output.as_json
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def emit(self, event: Event) -> None:
        """Show one event."""
        if self._output.as_json:
            click.echo(json.dumps({"event": event.kind, "text": event.text, **event.data}, default=str))
        elif event.kind == "progress":
            self._advance(event)
        elif event.kind == "warning":
            self.say(f"Warning: {event.text}", fg="yellow")
        elif not self._output.quiet:
            self.say(f"{event.text} ..." if event.kind == "step" else event.text)

    def say(self, text: str, fg: str | None = None) -> None:
        """A line on stderr; bars are taken away first, as they would be drawn over it."""
        self.close()
        text = name_bind(text, self._typed)
        plain = fg is None or os.environ.get("NO_COLOR")
        click.echo(text if plain else click.style(text, fg=fg), err=True)

    def _advance(self, event: Event) -> None:
        if not self._with_bars:
            return
        if self._bars is None:
            self._bars = _make_bars()
            self._bars.start()
        if event.text not in self._tasks:
            self._tasks[event.text] = self._bars.add_task(event.text)
        self._bars.update(self._tasks[event.text], completed=event.data["done"], total=event.data["total"])

    def close(self) -> None:
        """Take the progress bars away."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None
            self._tasks.clear()

    def error(self, error: FerryError, live: str | None = None) -> None:
        """What, where, what became of the live database, and what to do next.

        :param live: as :attr:`.Report.live`; None for a command that could not have changed it.
        """
        self.close()
        if self._output.as_json:
            fields = {"message": error.message, "details": error.details, "hint": error.hint}
            fields |= {"live": live} if live else {}
            click.echo(json.dumps({"event": "error", "status": int(error.exit_status), **fields}, default=str))
        self.say(f"Error: {error.message}", fg="red")
        for line in error.details:
            self.say(f"  {line}")
        if live:
            self.say(LIVE[live])
        if error.hint:
            self.say(error.hint)

    def result(self, report: Report) -> None:
        """The receipt; its last line is what came of it."""
        self.close()
        if self._output.as_json:
            click.echo(json.dumps({"event": "result", **report.to_json()}, default=str))
            return
        if not self._output.quiet:
            for line in receipt(report):
                click.echo(name_bind(line, self._typed))
        click.echo(name_bind(report.summary, self._typed))


def _make_bars() -> Progress:
    # Most commands show none, and importing this takes as long as the rest of a look.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        console=Console(stderr=True, no_color=bool(os.environ.get("NO_COLOR"))),
        transient=True,
    )


def receipt(report: Report) -> Iterable[str]:
    """The lines of a receipt."""
    yield from _tables(report)
    yield from _records(report)
    yield from _describe_anonymised(report)
    yield from _list_tables("Waived", _waivers(report.waived))
    yield from _list_tables("Not migrated, as no revision makes them", _shorten_collations(report.not_migrated))
    yield from _list_tables("Not carried", [f"{name}: {why}" for name, why in report.not_carried.items()])
    if report.moves:
        yield f"Moved by revisions: {len(report.moves)} tables and columns, named in the report"
    yield from _list_tables("Dropped as declared", report.losses)
    yield from _list_tables("Not rows, and dropped", report.objects)
    yield from _list_tables("Values changed by revisions", report.changed_values)
    yield from _list_tables("Carried besides", report.carried)
    yield from _list_tables("Notes", report.notes)
    yield from _list_tables("Added at head", [_describe_added(item) for item in report.added])
    yield from _list_tables("Kept of what was written since", [_describe_kept(item) for item in report.kept])
    yield from _list_tables(
        "Not kept, as the old schema has no place for it",
        [f"{item['what']}: {item['rows']} rows ({', '.join(item['keys'])})" for item in report.not_kept],
    )
    yield from _list_tables("Differences", _differences(report))
    if report.aside:
        yield f"Set aside: {report.aside['rows']} rows in {report.aside['file']}"
        yield f"To load them when they are fixed: {report.aside['command']}"
    places = {"Backup": report.backup, "Snapshot": report.snapshot, "To go back": report.rollback}
    for title, place in places.items():
        if place:
            yield f"{title}: {place}"


def _tables(report: Report) -> Iterable[str]:
    if not report.tables or report.command == "db-init":
        return
    width = max(len(item.table) for item in report.tables)
    yield f"{'table':<{width}}  {'rows':>8} = {'loaded':>8} + {'waived':>6} + {'aside':>6}  {'at head':>8}  checksum"
    for item in report.tables:
        at_head = "" if item.rows_at_head is None else str(item.rows_at_head)
        yield (
            f"{item.table:<{width}}  {item.rows:>8} = {item.loaded:>8} + {item.waived:>6} + {item.set_aside:>6}  "
            f"{at_head:>8}  {item.checksum}"
        )


def _records(report: Report) -> Iterable[str]:
    repeats = [item for item in report.records if item["identical_repeats"]]
    yield from _list_tables(
        "Records that came more than once",
        [
            f"{r['type']}: {r['received']} = {r['distinct']} + {r['identical_repeats']} identical repeats"
            for r in repeats
        ],
    )


def _describe_anonymised(report: Report) -> Iterable[str]:
    """The columns whose values were replaced, a table a line."""
    columns: dict[str, list[str]] = {}
    for item in report.anonymised.get("replaced", ()):
        table, _, column = item["column"].partition(".")
        columns.setdefault(table, []).append(f"{column} ({item['values']}, {item['by']})")
    title = f"Replaced as the profile {report.anonymised.get('profile')!r} says: column (values, by what)"
    yield from _list_tables(title, [f"{table}: {', '.join(names)}" for table, names in columns.items()])


def _waivers(waived: list[dict[str, Any]]) -> list[str]:
    """Whole tables one a line; keys of records together where type and reason are the same."""
    tables = [f"{item['what']}{_rows(item['rows'])}: {item['reason']}" for item in waived if "rows" in item]
    grouped: dict[tuple[str, str, int], list[str]] = {}
    for item in waived:
        if "records" in item:
            record_type, _, key = item["what"].rpartition(".")
            grouped.setdefault((record_type, item["reason"], item["records"]), []).append(key)
    return tables + [f"{name} ({count}): {', '.join(keys)}: {why}" for (name, why, count), keys in grouped.items()]


def _rows(count: int | None) -> str:
    return "" if count is None else f" ({count} rows)"


def _describe_added(item: dict[str, Any]) -> str:
    there = f" ({item['there_already']} were there already)" if item["there_already"] else ""
    return f"{item['table']}: {item['rows']} rows{there}"


def _describe_kept(item: dict[str, Any]) -> str:
    return f"{item['table']}: {', '.join(f'{count} {kind}' for kind, count in item['counts'].items() if count)}"


def _differences(report: Report) -> list[str]:
    first = [_difference(item) for item in report.differences[:SHOWN]]
    more = f"and more; all of them: {report.differences_file}"
    return first if len(report.differences) <= SHOWN else [*first, more]


def _difference(item: dict[str, Any]) -> str:
    columns = "; ".join(f"{name}: {old!r} -> {new!r}" for name, (old, new) in item["columns"].items())
    return f"{item['table']} {item['key']}: {item['kind']}{': ' + columns if columns else ''}"


def _shorten_collations(items: list[str]) -> list[str]:
    """Many columns have the same one, that of the whole database as a rule."""
    collations = [item for item in items if item.startswith("collation ")]
    if len(collations) <= COLLATIONS_SHOWN:
        return items
    return [item for item in items if item not in collations] + [
        f"collations of {len(collations)} columns, named in the report"
    ]


COLLATIONS_SHOWN = 3


def _list_tables(title: str, items: Iterable[str]) -> Iterable[str]:
    rows = list(items)
    if rows:
        yield f"{title}:"
        yield from (f"  {item}" for item in rows)
