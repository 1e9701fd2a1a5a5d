"""What is made to be looked at lies in a private directory and is gone afterwards."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.transfer.run.looking import look_only
from tests.transfer.hosts import made_run


def test_scratch_databases_lie_elsewhere_and_nothing_stays(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    beside, before = run.scratch, sorted(tmp_path.rglob("*"))
    with look_only(run) as directory:
        assert directory.stat().st_mode & 0o777 == 0o700
        assert directory in Path(str(run.scratch.database)).parents
        run.dialect.prepare_staging(run.scratch, run.target)
        assert run.dialect.exists(run.scratch)
    assert not directory.exists()
    assert run.scratch == beside
    assert sorted(tmp_path.rglob("*")) == before


def test_it_is_gone_after_an_error(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    with pytest.raises(ValueError, match="stop"), look_only(run) as directory:
        raise ValueError("stop")
    assert not directory.exists()
    assert run.scratch_of == run.target
