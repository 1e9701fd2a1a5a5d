"""A backup, which is a database file, put in the place of another one."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dialects.sqlite.names import url_of

from .database import DIALECT, NO_OLD, rows, script


@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_restored_file_is_fit_for_a_target_of_another_page_size(
    path: Path, area: Path, tmp_path: Path, mode: str
) -> None:
    script(path, "PRAGMA page_size = 8192", f"PRAGMA journal_mode = {mode}", "CREATE TABLE t (x)")
    backup = script(tmp_path / "b.db", "PRAGMA page_size = 1024", "PRAGMA journal_mode = wal", "CREATE TABLE b (x)")
    staging = DIALECT.staging_url(url_of(path), "s")
    DIALECT.restore(backup, staging)
    DIALECT.fit_staging(staging, url_of(path))
    with DIALECT.fence(url_of(path)) as fence:
        DIALECT.swap(staging, url_of(path), NO_OLD, fence, fence.token(), timeout_s=2)
    assert rows(path, "b") == []
