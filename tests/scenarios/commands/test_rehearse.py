"""``--rehearse``: all of a run but its cut-over."""

from __future__ import annotations

from pathlib import Path

from tests.support.local import Local, control, refused


def test_a_rehearsal_proves_what_the_run_then_does(changed: Local, old: Path) -> None:
    live, entries = changed.content(), control(changed, "SELECT count(*) FROM ledger")
    rehearsed = changed.ok("db-migrate-data", str(old), "--rehearse")  # nothing is replaced, so nobody is asked
    assert rehearsed.last_line.startswith("Rehearsed: ")
    assert "To go back" not in rehearsed.stdout
    assert changed.content() == live
    assert control(changed, "SELECT count(*) FROM ledger") == entries
    assert changed.staging() == changed.lease() == []
    report = changed.report()
    assert (report["live"], report["outcome"], report["exit_status"]) == ("unchanged", "rehearsed", 0)
    assert "cut-over" not in report["seconds"]

    done = changed.ok("db-migrate-data", str(old), "--yes")
    after = changed.report()
    assert done.last_line.partition(" rows")[0].split()[-1] == rehearsed.last_line.partition(" rows")[0].split()[-1]
    assert after["tables"] == report["tables"]
    assert set(report["seconds"]) <= set(after["seconds"])

    refused(changed.run("db-migrate-data", "--rehearse", "--dry-run"), 2, "one at a time")
    assert changed.ok("db-migrate-data", str(old), "--rehearse").last_line.startswith("Nothing to do: already migrated")


def test_a_rehearsal_ends_as_the_run_would(changed: Local, old: Path) -> None:
    live = changed.content()
    arguments = ("db-migrate-data", str(old), "--exclude", "users")
    rehearsed = changed.run(*arguments, "--rehearse")
    assert rehearsed.status == changed.run(*arguments, "--yes").status == 22
    assert "The live database is unchanged." in rehearsed.stderr
    assert changed.content() == live
    assert changed.staging() == []
