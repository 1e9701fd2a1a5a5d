"""A run: what it says of the step at work, and of which database its commands are."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dialects.model import LateWrite
from app.dialects.postgresql import beside
from app.dialects.postgresql.names import schema_named
from app.errors import DoesNotFit
from app.transfer.run.hooks import Event, Hooks
from app.transfer.run.run import Run
from app.transfer.run.settings import build_settings
from tests.dialects.rooms import ROOMS
from tests.support.limits import no_endless_wait
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


def test_a_run_that_failed_ends_with_its_own_error_whoever_keeps_its_staging(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(beside, "DROP_WAIT", "200ms")
    with ROOMS["postgresql"](request, tmp_path) as room:
        room.fill()
        history(tmp_path / "migrations")
        settings = build_settings({}, {}, instance=tmp_path, directory=tmp_path, options={})
        host, _ = made_host(tmp_path, room.target.render_as_string(hide_password=False))
        run = Run(host, settings, "db-migrate-data", Hooks())
        room.dialect.prepare_staging(run.staging, room.target)
        table = f'"{schema_named(run.staging)}".t'
        room.execute(f"CREATE TABLE {table} (id INT)")

        def fail() -> None:
            try:
                raise DoesNotFit("This row does not fit.")
            finally:
                run.clean_up()

        with room.connect() as other, other.begin():
            other.exec_driver_sql(f"SELECT * FROM {table}")
            with no_endless_wait(20), pytest.raises(DoesNotFit, match="This row"):
                fail()
        assert room.dialect.exists(run.staging)
        run.clean_up()
        assert not room.dialect.exists(run.staging)
