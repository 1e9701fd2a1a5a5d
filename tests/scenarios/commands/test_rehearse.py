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

    assert report["predicted_wait"]["swap_s"] > 0
    assert "; writers would wait " in rehearsed.stdout

    done = changed.ok("db-migrate-data", str(old), "--yes", FLASK_FERRY_REHEARSED="1h")
    after = changed.report()
    assert after["predicted_wait"] == {**report["predicted_wait"], "rehearsal": report["run"]}
    assert " (rehearsed: " in done.stdout
    assert done.last_line.partition(" rows")[0].split()[-1] == rehearsed.last_line.partition(" rows")[0].split()[-1]
    assert after["tables"] == report["tables"]
    assert set(report["seconds"]) <= set(after["seconds"])

    refused(changed.run("db-migrate-data", "--rehearse", "--dry-run"), 2, "one at a time")
    assert changed.ok("db-migrate-data", str(old), "--rehearse").last_line.startswith("Nothing to do: already migrated")


def test_a_run_can_be_refused_without_a_young_rehearsal_of_the_same(changed: Local, old: Path) -> None:
    arguments, needed = ("db-migrate-data", str(old), "--yes"), {"FLASK_FERRY_REHEARSED": "1h"}
    refused(changed.run(*arguments, **needed), 20, "there is none", "Rehearse it: flask db-migrate-data", "--rehearse")
    changed.ok(*arguments[:2], "--rehearse", "--verify", "counts", **needed)
    refused(changed.run(*arguments, "--dry-run", **needed), 20, "there is none", f"{old} --yes --rehearse\n")
    refused(changed.run(*arguments, "--verify", "counts", FLASK_FERRY_REHEARSED="0s"), 20, "the last one was at 2")
    changed.ok(*arguments, "--dry-run", "--verify", "counts", **needed)


def test_a_rehearsal_ends_as_the_run_would(changed: Local, old: Path) -> None:
    live = changed.content()
    arguments = ("db-migrate-data", str(old), "--exclude", "users")
    rehearsed = changed.run(*arguments, "--rehearse")
    assert rehearsed.status == changed.run(*arguments, "--yes").status == 22
    assert "The live database is unchanged." in rehearsed.stderr
    assert changed.content() == live
    assert changed.staging() == []
