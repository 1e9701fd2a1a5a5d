"""What reaches the live database while a backup is read back is told."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.errors import BackupFailed
from app.transfer.jobs.backup import prove_left_alone
from tests.transfer.hosts import made_run


def write(path: Path, sql: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(sql)


def test_rows_are_said_and_a_schema_is_an_error(tmp_path: Path) -> None:
    run, path = made_run(tmp_path), tmp_path / "live.db"
    write(path, "CREATE TABLE t (x)")
    with prove_left_alone(run):
        pass
    assert run.report.warnings == []
    with prove_left_alone(run):
        write(path, "INSERT INTO t VALUES (1)")
    assert len(run.report.warnings) == 1
    with pytest.raises(BackupFailed, match="schema"), prove_left_alone(run):
        write(path, "CREATE TABLE u (x)")
