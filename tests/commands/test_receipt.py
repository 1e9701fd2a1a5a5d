"""The receipt fits a screen however much there is to say, and says what needs a person first."""

from __future__ import annotations

import pytest

from app.commands.hints import Typed
from app.commands.receipt import COLUMNS, LINES, describe_wait, format_duration, screen, sections, whole
from app.transfer.run.report import Report, TableReceipt

PATH = "/srv/app/instance/app.db.ferry/runs/20261126T105804-9ef9f4/a-rather-long-directory/report.json"


def full_report(count: int, length: int = 20) -> Report:
    """A report with ``count`` things of every kind, each named in ``length`` characters."""
    names = [f"thing{number:04}".ljust(length, "x") for number in range(count)]
    report = Report(run="r", command="db-migrate-data", live="replaced")
    report.tables = [TableReceipt(name, 3, 2, 1, 0, "0" * 32, 2) for name in names]
    report.waived = [{"what": f"table {name}", "rows": 4, "reason": "--exclude"} for name in names]
    report.waived += [{"what": f"user.{name}", "records": 4, "reason": name} for name in names]
    for attribute in ("losses", "not_migrated", "objects", "changed_values", "carried", "notes", "moves"):
        setattr(report, attribute, [f"{attribute} {name}" for name in names])
    report.not_caught_up = list(names)
    report.not_carried = dict.fromkeys(names, "the API does not say")
    report.not_kept = [{"what": name, "rows": 2, "keys": ["1", "2"]} for name in names]
    report.kept = [{"table": name, "counts": {"added": 1}} for name in names]
    report.added = [{"table": name, "rows": 2, "there_already": 0} for name in names]
    report.records = [{"type": n, "received": 3, "distinct": 2, "identical_repeats": 1} for n in names]
    report.differences = [{"table": n, "key": [1], "kind": "changed", "columns": {"a": [1, 2]}} for n in names]
    report.anonymised = {"profile": "p", "replaced": [{"column": f"{n}.a", "values": 2, "by": "name"} for n in names]}
    if count:
        report.aside = {"file": PATH, "rows": count, "command": f"flask db-migrate-data --set-aside-from {PATH}"}
    report.target = {"rows": dict.fromkeys(names, 3)}
    report.seconds = {f"step {number}": number / 3 for number in range(count)}
    report.backup = report.snapshot = report.file = PATH
    report.rollback = "flask db-rollback"
    return report.end("done", f"Done: {count} rows are live at revision 0007_unique_sids (run 20261126T105804-9ef9f4).")


def height(lines: list[str]) -> int:
    """What a terminal of 80 columns makes of lines, each wrapped by itself."""
    return sum(len([line[at : at + COLUMNS] for at in range(0, max(1, len(line)), COLUMNS)]) for line in lines)


@pytest.mark.parametrize("count", [0, 1, 2, 3, 30, 2000])
@pytest.mark.parametrize("length", [20, 79, 1000])
def test_the_receipt_fits_a_screen(count: int, length: int) -> None:
    report = full_report(count, length)
    lines = screen(report, Typed("flask --app library", "db-status"))
    assert height([*lines, report.summary]) < LINES
    assert "To go back: flask --app library db-rollback" in lines
    assert f"Backup: {PATH}" in lines
    text = "\n".join(lines)
    for section in sections(report):  # nothing vanishes: what has no line of its own is counted
        assert section.title.lower() in text.lower()


def test_what_needs_a_person_stands_first() -> None:
    lines = screen(full_report(1))
    titles = [line.partition(":")[0] for line in lines if not line.startswith(" ")]
    assert titles[1:3] == ["Differences", "Not caught up with, as the source was written once more"]
    assert titles.index("Dropped as declared") < titles.index("Not migrated, as no revision makes them")
    assert titles[-1] == "To go back"


def test_few_things_are_named_and_many_are_counted() -> None:
    report = Report(run="r", command="db-migrate-data", losses=["log: 1 row: why"], notes=["a note"])
    assert screen(report) == ["Dropped as declared:", "  log: 1 row: why", "Notes:", "  a note"]
    report.notes = [f"note {number}" for number in range(100)]
    lines = screen(report)
    assert lines[:4] == ["Dropped as declared:", "  log: 1 row: why", "Notes: 100", "  note 0"]
    more = int(lines[-1].split()[1])
    assert (lines[-1], more + len(lines) - 4) == (f"  and {more} more", 100)


def test_what_took_longest_is_named_and_that_writers_waited() -> None:
    report = Report(run="r", command="db-init", duration_s=75.2)
    report.seconds = {"backup": 0.1, "load": 60.0, "upgrade": 5.04, "check": 0.2, "writers waited": 70.0}
    (line,) = screen(report)
    longest = "load 1 min 0 s, upgrade 5.0 s, check 0.2 s"
    assert line == f"Duration: 1 min 15 s (the longest steps: {longest}); writers waited 1 min 10 s"


@pytest.mark.parametrize(
    ("waited", "prediction", "words"),
    [
        (None, {}, ""),
        (0.3, {}, "writers waited 0.3 s"),
        (None, {"swap_s": 0.2, "pass_s": None}, "writers would wait 0.2 s"),
        (None, {"swap_s": 0.2, "pass_s": 12.0}, "writers would wait 0.2 s, or 12 s where they write meanwhile"),
        (0.3, {"swap_s": 0.2, "pass_s": None, "rehearsal": "r"}, "writers waited 0.3 s (rehearsed: 0.2 s)"),
    ],
)
def test_what_was_predicted_stands_beside_what_came(
    waited: float | None, prediction: dict[str, float | None], words: str
) -> None:
    report = Report(run="r", command="db-migrate-data", predicted_wait=prediction)
    report.seconds = {} if waited is None else {"writers waited": waited}
    assert describe_wait(report) == words


def test_a_receipt_of_nothing_is_empty() -> None:
    assert screen(Report(run="r", command="db-status")) == []
    assert list(whole(Report(run="r", command="db-status"))) == []


def test_verbose_has_every_table_and_every_item() -> None:
    text = "\n".join(whole(full_report(50)))
    for number in range(50):
        assert text.count(f"thing{number:04}xxxxxxxxxxx") >= 14
    assert "00000000000000000000000000000000" in text


@pytest.mark.parametrize(
    ("duration_s", "text"),
    [(0.04, "0.0 s"), (9.94, "9.9 s"), (14.4, "14 s"), (59.6, "1 min 0 s"), (200, "3 min 20 s"), (7500, "2 h 5 min")],
)
def test_durations_are_for_people(duration_s: float, text: str) -> None:
    assert format_duration(duration_s) == text


def test_what_revisions_dropped_leaves_room_for_notes() -> None:
    """A revision that relaxes a table of many columns is accounted for; that a lock was taken over is told besides."""
    report = full_report(0)
    report.objects = [f"not null c{n} on t: dropped by name (revision 2)" for n in range(30)]
    report.notes = ["Took over the lock of run r."]
    lines = screen(report)
    assert "  Took over the lock of run r." in lines
    assert "Not rows, and dropped or changed by revisions: 30" in lines
