"""Errors of servers and disks as ours."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.commands.outcome import explain
from app.errors import DoesNotFit, ExitStatus, FerryError
from app.transfer.rows.scratch import ERRORS, Scratch
from tests.transfer.hosts import made_run


@pytest.mark.parametrize(
    ("words", "kind"), [("database or disk is full", DoesNotFit), ("attempt to write a readonly database", FerryError)]
)
def test_a_scratch_file_of_a_run_on_a_server_without_sqlite_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, kind: type[FerryError]
) -> None:
    """With MariaDB or PostgreSQL as the target it was a traceback."""
    run = made_run(tmp_path)
    monkeypatch.setattr(type(run.dialect), "driver_errors", ())
    explained = explain(run, ERRORS[0](words))
    assert type(explained) is kind
    assert words in str(explained)
    assert isinstance(ERRORS[0](words), run.write_errors)


def test_a_real_scratch_file_that_cannot_grow(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    with Scratch(tmp_path) as scratch:
        scratch.execute("PRAGMA max_page_count = 2")
        with pytest.raises(ERRORS) as caught:
            scratch.execute("CREATE TABLE t AS SELECT zeroblob(100000) AS filler")
    explained = explain(run, caught.value)
    assert isinstance(explained, DoesNotFit)
    assert explained.exit_status is ExitStatus.DOES_NOT_FIT
