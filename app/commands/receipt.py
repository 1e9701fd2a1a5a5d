"""The receipt of a run for people: on one screen, or whole under ``-v``."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from textwrap import wrap
from typing import Any

from ..dialects.wording import count_rows, count_tables
from ..transfer.proof.compare import SHOWN
from ..transfer.run.report import WAITED, Report
from ..transfer.run.target import MIGRATE
from .hints import Typed, name_program
from .unseen import show_unseen

PLAIN = Typed("flask", "")
LINES, COLUMNS = 24, 80
"""The screen that a receipt fits, the prompt below it included."""
LONGEST_ITEM = 3 * COLUMNS
COLLATIONS_SHOWN = 3
STEPS_SHOWN = 3
FILES_SHOWN = 3


@dataclass(frozen=True)
class Section:
    """Some things of one kind that a person should know.

    :ivar title: stands before them, or before their number.
    :ivar items: one line each.
    :ivar detail: only their number is shown where all must fit a screen.
    """

    title: str
    items: list[str]
    detail: bool = False


def screen(report: Report, typed: Typed = PLAIN) -> list[str]:
    """The lines of a receipt that fits a screen: what needs a person first, the worst first, and what went on.

    :param typed: the command, for those that are shown.
    """
    above, below = list(_describe_rows(report)), list(_describe_places(report, typed))
    room = LINES - 1 - measure([*above, *below, report.summary])
    return [*above, *fit(list(sections(report)), room, report.file is not None), *below]


def whole(report: Report, typed: Typed = PLAIN) -> Iterator[str]:
    """All lines of a receipt, as many as they are."""
    yield from _describe_tables(report)
    for section in sections(report):
        yield f"{section.title}:"
        yield from (f"  {item}" for item in section.items)
    yield from _describe_places(report, typed)


def measure(lines: Iterable[str]) -> int:
    """How many lines of the screen these take, as they are shown and a terminal wraps them."""
    return sum(max(1, -(-len(show_unseen(line)) // COLUMNS)) for line in lines)


def fit(all_sections: list[Section], room: int, has_file: bool) -> list[str]:
    """As many sections as fit, in order, and the number of what is in the others."""
    with_a_line = [section for section in all_sections if not section.detail]
    numbers = _count(all_sections, with_a_line, has_file)
    while with_a_line and len(with_a_line) + measure(numbers) > room:
        with_a_line.pop()
        numbers = _count(all_sections, with_a_line, has_file)
    room -= measure(numbers) + len(with_a_line)
    lines: list[str] = []
    for section in with_a_line:
        shortened = _shorten(section, room + 1)
        room -= measure(shortened) - 1
        lines += shortened
    return [*lines, *numbers]


def _count(all_sections: list[Section], with_a_line: list[Section], has_file: bool) -> list[str]:
    """How much there is of what has no line of its own, in a line."""
    rest = [section for section in all_sections if section not in with_a_line]
    where = "In the report and under -v" if has_file else "More with -v"
    texts = ", ".join(f"{section.title[0].lower()}{section.title[1:]}: {len(section.items)}" for section in rest)
    return [f"{where}: {texts}"] if rest else []


def _shorten(section: Section, room: int) -> list[str]:
    """A section in so many lines of the screen, at least one: its items, the first of them, or their number."""
    items = [_cut(show_unseen(f"  {item}")) for item in section.items]
    if measure(items) < room:
        return [f"{section.title}:", *items]
    first: list[str] = []
    while measure([*first, items[len(first)]]) + 2 <= room:
        first.append(items[len(first)])
    more = [f"  and {len(items) - len(first)} more"] if first else []
    return [f"{section.title}: {len(items)}", *first, *more]


def _cut(line: str) -> str:
    return line if len(line) <= LONGEST_ITEM else f"{line[: LONGEST_ITEM - 3]}..."


# What is in a receipt, the worst first


def sections(report: Report) -> Iterator[Section]:
    """Everything in a report that a person should know and that is not zero, the worst first."""
    titles: list[tuple[str, list[str], bool]] = [
        ("Differences", _differences(report), False),
        ("Not caught up with, as the source was written once more", report.not_caught_up, False),
        ("Set aside", _describe_aside(report), False),
        ("Not kept, as the old schema has no place for it", [_describe_not_kept(i) for i in report.not_kept], False),
        ("Rows that would be loaded", _describe_expected(report), False),
        (_title_of_open(report), report.not_looked_at, False),
        ("Dropped as declared", report.losses, False),
        ("Left out", _left_out(report), False),
        ("Not proved to be whole", report.unproved, False),
        ("Not migrated, as no revision makes them", _shorten_collations(report.not_migrated), False),
        ("Values changed by revisions", report.changed_values, False),
        ("Records that came more than once", _repeats(report), False),
        ("Added at head", [_describe_added(item) for item in report.added], False),
        ("Kept of what was written since", [_describe_kept(item) for item in report.kept], False),
        ("Files that records name", _describe_files(report), False),
        ("Notes", report.notes, False),
        ("Not rows, and dropped or changed by revisions", report.objects, False),
        ("Carried besides", report.carried, False),
        (_title_of_profile(report), _describe_anonymised(report), True),
        ("Limits of the source", [f"{name}: {why}" for name, why in report.not_carried.items()], True),
        ("Waived", _waivers(report), True),
        ("Moved by revisions", report.moves, True),
    ]
    for title, items, detail in titles:
        if items:
            yield Section(title, items, detail)


def _title_of_open(report: Report) -> str:
    return f"Not looked at{'; --rehearse does' if report.command == MIGRATE else ''}"


def _describe_expected(report: Report) -> list[str]:
    """Tables with their rows, as many on a line as fit, those with the most rows first."""
    items = sorted(report.expected.items(), key=lambda item: -item[1])
    return wrap(", ".join(f"{name} {rows}" for name, rows in items), COLUMNS - 2) if items else []


def _describe_files(report: Report) -> list[str]:
    """How many files came to what, and the first of those that did not come; all of them are in the report."""
    lines = []
    for outcome, names in report.files.items():
        some = ", ".join(names[:FILES_SHOWN]) + (", ..." if len(names) > FILES_SHOWN else "")
        lines.append(f"{outcome}: {len(names)}" + ("" if outcome == "fetched" else f" ({some})"))
    return lines


def _differences(report: Report) -> list[str]:
    first = [_difference(item) for item in report.differences[:SHOWN]]
    more = f"and more; all of them: {report.differences_file}"
    return first if len(report.differences) <= SHOWN else [*first, more]


def _difference(item: dict[str, Any]) -> str:
    columns = "; ".join(f"{name}: {old!r} -> {new!r}" for name, (old, new) in item["columns"].items())
    return f"{item['table']} {item['key']}: {item['kind']}{': ' + columns if columns else ''}"


def _describe_aside(report: Report) -> list[str]:
    aside = report.aside
    if not aside:
        return []
    rows = f"{count_rows(aside['rows'])} in {aside['file']}"
    return [rows, f"To load them when they are fixed: {aside['command']}"] if aside["command"] else [rows]


def _describe_not_kept(item: dict[str, Any]) -> str:
    return f"{item['what']}: {count_rows(item['rows'])} ({', '.join(item['keys'])})"


def _left_out(report: Report) -> list[str]:
    """Tables and columns that arrived empty on somebody's word."""
    return [f"{item['what']}{_rows(item['rows'])}: {item['reason']}" for item in report.waived if "rows" in item]


def _waivers(report: Report) -> list[str]:
    """Keys of records that adapters do not use, together where type and reason are the same."""
    grouped: dict[tuple[str, str, int], list[str]] = {}
    for item in report.waived:
        if "records" in item:
            record_type, _, key = item["what"].rpartition(".")
            grouped.setdefault((record_type, item["reason"], item["records"]), []).append(key)
    return [f"{name} ({count}): {', '.join(keys)}: {why}" for (name, why, count), keys in grouped.items()]


def _repeats(report: Report) -> list[str]:
    return [
        f"{item['type']}: {item['received']} = {item['distinct']} + {item['identical_repeats']} identical repeats"
        for item in report.records
        if item["identical_repeats"]
    ]


def _title_of_profile(report: Report) -> str:
    return f"Replaced by the profile {report.anonymised.get('profile')!r}: column (values, by what)"


def _describe_anonymised(report: Report) -> list[str]:
    """The columns whose values were replaced, a table a line."""
    columns: dict[str, list[str]] = {}
    for item in report.anonymised.get("replaced", ()):
        table, _, column = item["column"].partition(".")
        columns.setdefault(table, []).append(f"{column} ({item['values']}, {item['by']})")
    return [f"{table}: {', '.join(names)}" for table, names in columns.items()]


def _rows(count: int | None) -> str:
    return "" if count is None else f" ({count_rows(count)})"


def _describe_added(item: dict[str, Any]) -> str:
    there = f" ({item['there_already']} were there already)" if item["there_already"] else ""
    return f"{item['table']}: {count_rows(item['rows'])}{there}"


def _describe_kept(item: dict[str, Any]) -> str:
    return f"{item['table']}: {', '.join(f'{count} {kind}' for kind, count in item['counts'].items() if count)}"


def _shorten_collations(items: list[str]) -> list[str]:
    """Many columns have the same one, that of the whole database as a rule."""
    collations = [item for item in items if item.startswith("collation ")]
    if len(collations) <= COLLATIONS_SHOWN:
        return items
    return [item for item in items if item not in collations] + [
        f"collations of {len(collations)} columns, named in the report"
    ]


# What stands above and below


def _describe_rows(report: Report) -> Iterator[str]:
    """All tables in a line, with what became of their rows."""
    if not report.tables or report.command == "db-init":
        return
    rows, loaded, waived, set_aside = (
        sum(getattr(item, name) for item in report.tables) for name in ("rows", "loaded", "waived", "set_aside")
    )
    tables = count_tables(len(report.tables))
    yield f"Rows: {rows} in {tables} = {loaded} loaded + {waived} left out + {set_aside} set aside"


def _describe_tables(report: Report) -> Iterator[str]:
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


def _describe_places(report: Report, typed: Typed) -> Iterator[str]:
    yield from _describe_duration(report)
    if report.live == "replaced":
        yield f"Replaced: {_describe_replaced(report)}"
    places = {"Backup": report.backup, "Snapshot": report.snapshot, "Report": report.file}
    yield from (f"{title}: {place}" for title, place in places.items() if place)
    if report.rollback:
        yield f"To go back: {name_program(report.rollback, typed)}"


def _describe_replaced(report: Report) -> str:
    rows = report.target.get("rows", {})
    if not rows:
        return "nothing; there were no tables"
    revision = report.revisions.get("before")
    replaced = f"{count_rows(sum(rows.values()))} in {count_tables(len(rows))}"
    return f"{replaced} at revision {revision}" if revision else replaced


def _describe_duration(report: Report) -> Iterator[str]:
    """How long it took, and which steps took most of it."""
    if not report.seconds or report.duration_s is None:
        return
    steps = {name: duration_s for name, duration_s in report.seconds.items() if name != WAITED}
    longest = sorted(steps.items(), key=lambda item: -item[1])[:STEPS_SHOWN]
    names = ", ".join(f"{name} {format_duration(duration_s)}" for name, duration_s in longest)
    waited = f"; {wait}" if (wait := describe_wait(report)) else ""
    yield f"Duration: {format_duration(report.duration_s)} (the longest steps: {names}){waited}"


def describe_wait(report: Report) -> str:
    """How long writers waited, and what a rehearsal said of it; of a rehearsal, how long they would; or nothing."""
    prediction, waited = report.predicted_wait, report.seconds.get(WAITED)
    if not prediction:
        return "" if waited is None else f"writers waited {format_duration(waited)}"
    would = format_duration(prediction["swap_s"])
    if prediction["pass_s"] is not None:
        would += f", or {format_duration(prediction['pass_s'])} where they write meanwhile"
    return (
        f"writers would wait {would}"
        if waited is None
        else (f"writers waited {format_duration(waited)} (rehearsed: {would})")
    )


def format_duration(duration_s: float) -> str:
    """Seconds as people read them: ``0.4 s``, ``14 s``, ``3 min 20 s``, ``2 h 5 min``."""
    if duration_s < 10:
        return f"{duration_s:.1f} s"
    whole_s = round(duration_s)
    if whole_s < 60:
        return f"{whole_s} s"
    minutes, rest_s = divmod(whole_s, 60)
    if minutes < 60:
        return f"{minutes} min {rest_s} s"
    return f"{minutes // 60} h {minutes % 60} min"
