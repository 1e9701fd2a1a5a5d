"""The receipt of a command for several databases, which fits one screen, or whole under ``-v``."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

from ..transfer.run.report import Report
from .hints import Typed, name_program
from .receipt import LINES, fit, format_duration, measure, sections, whole

WAY_BACK = "flask db-rollback"


def summarise(reports: Mapping[str, Report]) -> str:
    """What came of all, in a line: the databases by how their runs ended."""
    outcomes: dict[str, list[str]] = {}
    for name, report in reports.items():
        outcomes.setdefault(report.outcome, []).append(name)
    text = "; ".join(f"{outcome}: {', '.join(names)}" for outcome, names in outcomes.items())
    return f"{text[:1].upper()}{text[1:]}"


def screen_all(reports: Mapping[str, Report], typed: Typed) -> Iterator[str]:
    """The lines of a receipt that fits a screen, but for the last one: each outcome, what needs a person, the way back.

    :param typed: the command, for those that are shown.
    """
    heads = {name: f"{name}: {report.summary}" for name, report in reports.items()}
    tail = list(_describe_end(reports, typed))
    room = LINES - 1 - measure([*heads.values(), *tail, summarise(reports)])
    if room < 0:
        # So many databases: the last line names them, and their reports say the rest.
        yield from tail[: LINES - 3]
        return
    places = {name: list(_list_places(report)) for name, report in reports.items()}
    full = {name: list(sections(report)) for name, report in reports.items()}
    some = sum(bool(items) for items in full.values())
    if measure([line for lines in places.values() for line in lines]) + 2 * some > room:
        places, tail = {}, [*_shorten_places(reports, room - some), *tail]
    room = LINES - 1 - measure([*heads.values(), *(line for lines in places.values() for line in lines), *tail])
    room -= measure([summarise(reports)])
    for name, report in reports.items():
        yield heads[name]
        if full[name] and room >= some:
            lines = [f"  {line}" for line in fit(full[name], room // some, report.file is not None)]
            room, some = room - measure(lines), some - 1
            yield from lines
        yield from places.get(name, ())
    yield from tail


def whole_all(reports: Mapping[str, Report], typed: Typed) -> Iterator[str]:
    """All lines of all receipts."""
    for name, report in reports.items():
        yield f"{name}: {report.summary}"
        yield from (f"  {line}" for line in whole(report, typed))
    yield from _describe_end(reports, typed)


def _list_places(report: Report) -> Iterator[str]:
    if report.backup:
        yield f"  Backup: {report.backup}"
    if report.file:
        yield f"  Report: {report.file}"


def _shorten_places(reports: Mapping[str, Report], room: int) -> list[str]:
    """Where the backups are, in a line; where not even that has room, nothing."""
    files = [Path(report.backup) for report in reports.values() if report.backup]
    directories = dict.fromkeys(str(file.parent) for file in files)
    lines = [f"Backups: {len(files)} in {', '.join(directories)}"] if files else []
    lines.append("Where the reports are: under -v")
    while lines and measure(lines) > room:
        lines.pop()
    return lines


def _describe_end(reports: Mapping[str, Report], typed: Typed) -> Iterator[str]:
    durations = [report.duration_s for report in reports.values() if report.seconds and report.duration_s is not None]
    if durations:
        # They began together, and each ended when its own cut-over was done.
        yield f"Duration: {format_duration(max(durations))}"
    replaced = [report for report in reports.values() if report.live == "replaced" and report.rollback]
    if replaced and all(report.rollback and report.rollback.startswith(WAY_BACK) for report in replaced):
        yield f"To go back: {name_program(WAY_BACK, typed)}"
    else:
        yield from (f"To go back: {name_program(report.rollback, typed)}" for report in replaced if report.rollback)
