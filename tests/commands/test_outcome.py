"""Errors of servers and disks as ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.commands.outcome import explain
from app.errors import DoesNotFit, ExitStatus, FerryError
from app.transfer.rows.scratch import Scratch, ScratchError
from tests.transfer.hosts import made_run


def test_a_scratch_file_that_cannot_be_written(tmp_path: Path) -> None:
    """With MariaDB or PostgreSQL as the target it was a traceback."""
    error = ScratchError("/tmp: attempt to write a readonly database")
    run = made_run(tmp_path)
    assert type(explain(run, error)) is FerryError
    assert isinstance(error, run.write_errors)


def test_a_real_scratch_file_that_cannot_grow(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    with Scratch(tmp_path) as scratch:
        scratch.execute("PRAGMA max_page_count = 2")
        with pytest.raises(ScratchError) as caught:
            scratch.execute("CREATE TABLE t AS SELECT zeroblob(100000) AS filler")
    explained = explain(run, caught.value)
    assert isinstance(explained, DoesNotFit)
    assert explained.exit_status is ExitStatus.DOES_NOT_FIT
    # Of a run on SQLite it was said that the live database has no room.
    assert explained.message == f"There is no space for a run's scratch file in {tmp_path}: database or disk is full"
