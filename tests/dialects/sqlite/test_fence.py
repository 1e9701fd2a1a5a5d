"""Whether a file was written, in every journal mode."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dialects.model import LateWrite
from app.dialects.sqlite import fence as fence_module
from app.dialects.sqlite.names import url_of
from app.errors import LockHeld

from .database import DIALECT, NO_OLD, connect, script


@pytest.mark.parametrize("mode", ["delete", "truncate", "persist", "wal"])
def test_the_fence_in_every_journal_mode(path: Path, area: Path, mode: str) -> None:
    script(path, f"PRAGMA journal_mode = {mode}", "CREATE TABLE t (x INTEGER)", "INSERT INTO t VALUES (1)")
    staging = DIALECT.staging_url(url_of(path), "s")
    DIALECT.prepare_staging(staging, url_of(path))
    script(Path(str(staging.database)), "CREATE TABLE new (x INTEGER)")
    with DIALECT.fence(url_of(path)) as fence, connect(path) as application:
        application.execute(f"PRAGMA journal_mode = {mode}")
        token = fence.token()
        application.execute("SELECT * FROM t").fetchall()
        assert fence.token() == token
        application.execute("UPDATE t SET x = 2")
        with pytest.raises(LateWrite):
            DIALECT.swap(staging, url_of(path), NO_OLD, fence, token, timeout_s=2)
        assert application.execute("SELECT x FROM t").fetchall() == [(2,)]
        DIALECT.swap(staging, url_of(path), NO_OLD, fence, fence.token(), timeout_s=2)
        assert application.execute("SELECT count(*) FROM new").fetchall() == [(0,)]


def test_no_token_is_that_of_a_commit_that_may_fail(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its counter may lie in the file already, which after its rollback the next commit writes again."""
    monkeypatch.setattr(fence_module, "_TOKEN_WAIT_S", 0.1)
    script(path, "CREATE TABLE t (x TEXT)")
    url = url_of(path)
    with DIALECT.fence(url) as fence, DIALECT.watch(url) as watch, connect(path) as application:
        token, watched = fence.token(), watch.token()
        application.isolation_level = None
        application.execute("BEGIN EXCLUSIVE")
        with pytest.raises(LockHeld):
            fence.token()
        assert watch.token() is None
        application.execute("ROLLBACK")
        assert (fence.token(), watch.token()) == (token, watched)
        application.execute("INSERT INTO t VALUES ('kept')")
        assert fence.token() != token
        assert watch.token() not in (None, watched)
