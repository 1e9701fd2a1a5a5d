"""Files that a run did not finish."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.transfer.backup.backups import (
    prepare_directory,
)
from app.transfer.run.evidence_files import find_half_written, find_unfinished_files, name_unfinished


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "deep" / "backups"
    prepare_directory(path)
    (path / ".gitignore").unlink()
    return path


def test_unfinished_files_are_found_by_their_run(directory: Path) -> None:
    names = [name_unfinished(directory / "b.sql", run) for run in ("20260101T000000-abcdef", "20260101T000000-123456")]
    for name in (*names, f"{names[0]}-journal", ".b.sql.tmp", "b.sql.20260101T000000-abcdef.tmp", f"{names[0]}.sql"):
        (directory / name).touch()
    found = find_unfinished_files(directory, {"20260101T000000-abcdef"})
    assert [path.name for path in found] == [names[0], f"{names[0]}-journal"]
    assert find_unfinished_files(directory / "nothing", {"x"}) == []


def test_what_a_run_did_not_finish_in_its_own_directory(tmp_path: Path) -> None:
    """Found by ``make chaos``: a killed rollback left the rows that it was saving."""
    for run in ("dead", "alive"):
        (tmp_path / run).mkdir()
        for name in (".writes-since.json.4711.tmp", ".x.db.tmp-wal", "writes-since.json", ".other"):
            (tmp_path / run / name).touch()
    names = [path.relative_to(tmp_path).as_posix() for path in find_half_written(tmp_path, {"dead", "gone"})]
    assert names == ["dead/.writes-since.json.4711.tmp", "dead/.x.db.tmp-wal"]
