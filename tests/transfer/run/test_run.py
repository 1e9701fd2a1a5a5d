"""A run: what it says of the step at work, and of which database its commands are."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dialects.model import LateWrite
from app.transfer.run.hooks import Event, Hooks
from app.transfer.run.run import Run
from app.transfer.run.settings import build_settings
from tests.transfer.hosts import history, made_host


def run_on(directory: Path, hooks: Hooks | None = None, **options: str | None) -> Run:
    history(directory / "migrations")
    settings = build_settings({}, {}, instance=directory, directory=directory, options=options)
    return Run(made_host(directory)[0], settings, "db-migrate-data", hooks or Hooks())


def test_a_step_that_failed_is_not_at_work(tmp_path: Path) -> None:
    events: list[Event] = []
    run = run_on(tmp_path, Hooks(emit=events.append))
    with run.show_step("outer"):
        with pytest.raises(LateWrite), run.show_step("inner"):
            raise LateWrite
        run.note("another pass")
    run.note("the end")
    assert [event.step for event in events] == ["outer", "inner", "outer", "outer", None]


def test_commands_of_ours_are_for_the_database_that_was_named(tmp_path: Path) -> None:
    run = run_on(tmp_path, FERRY_BIND="default")
    assert run.name_bind("flask db-rollback") == "flask db-rollback --bind default"
    assert run.name_bind("flask db upgrade") == "flask db upgrade"
    text = "See: flask db-status; flask db-migrate-data --bind stats self; flask db-migrate-data self"
    run.warn(text)
    assert run.report.warnings == [
        "See: flask db-status --bind default; flask db-migrate-data --bind stats self; "
        "flask db-migrate-data --bind default self"
    ]
