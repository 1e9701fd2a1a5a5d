"""The receipt of a command for several databases: one screen, however much there is to say."""

from __future__ import annotations

import pytest

from app.commands.hints import Typed
from app.commands.receipt import LINES, measure
from app.commands.receipts import screen_all, summarise, whole_all
from app.transfer.run.report import Report

TYPED = Typed("flask", "db-migrate-data", ("self", "--bind", "all", "--yes"))


def done(name: str, *, notes: int = 0, path: int = 40) -> Report:
    report = Report(run=f"20261126T18000{len(name)}-abcdef", command="db-migrate-data", live="replaced")
    report.end("done", f"Done: 3 rows are live at revision two (run {report.run}).")
    report.duration_s, report.seconds = 1.5, {"upgrade": 1.0}
    report.backup, report.file = f"/{'x' * path}/backups/{name}.db", f"/{'x' * path}/runs/{report.run}/report.json"
    report.rollback = f"flask db-rollback --bind {name}"
    report.notes = [f"note {number} of {name}" for number in range(notes)]
    return report


def show(reports: dict[str, Report]) -> list[str]:
    lines = [*screen_all(reports, TYPED), summarise(reports)]
    assert measure(lines) < LINES, "\n".join(lines)
    return lines


def test_two_with_little_to_say_show_all_of_it() -> None:
    lines = show({"default": done("default", notes=1), "stats": done("stats")})
    assert lines[0].startswith("default: Done: 3 rows are live")
    assert "  Notes:" in lines
    assert "    note 0 of default" in lines
    assert f"  Backup: /{'x' * 40}/backups/stats.db" in lines
    assert lines[-3:] == ["Duration: 1.5 s", "To go back: flask db-rollback --bind all", "Done: default, stats"]


@pytest.mark.parametrize("count", [1, 2, 3, 5, 8, 13, 21, 60])
@pytest.mark.parametrize("notes", [0, 1, 30])
@pytest.mark.parametrize("path", [10, 100, 400])
def test_it_fits_a_screen(count: int, notes: int, path: int) -> None:
    reports = {f"bind{number}": done(f"bind{number}", notes=notes, path=path) for number in range(count)}
    lines = show(reports)
    assert "To go back: flask db-rollback --bind all" in lines
    if count <= 5:
        assert all(any(line.startswith(f"{name}: Done") for line in lines) for name in reports)
    if notes and count <= 3 and path == 10:
        assert all(any(f"note 0 of {name}" in line or "notes: 1" in line for line in lines) for name in reports)
    assert len(list(whole_all(reports, TYPED))) >= 4 * count


def test_outcomes_are_told_apart() -> None:
    nothing = Report(run="x", command="db-migrate-data")
    nothing.end("nothing to do", "Nothing to do: already migrated.")
    lines = show({"default": nothing, "stats": done("stats")})
    assert lines[0] == "default: Nothing to do: already migrated."
    assert lines[-1] == "Nothing to do: default; done: stats"
    assert show({"default": nothing, "stats": nothing}) == [
        "default: Nothing to do: already migrated.",
        "stats: Nothing to do: already migrated.",
        "Nothing to do: default, stats",
    ]


def test_a_rollback_has_a_way_back_for_each() -> None:
    reports = {"default": done("default"), "stats": done("stats")}
    for name, report in reports.items():
        report.rollback = f"flask db-restore --bind {name} /backups/{name}.db"
    lines = show(reports)
    assert "To go back: flask db-restore --bind stats /backups/stats.db" in lines
