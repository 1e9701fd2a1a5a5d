"""A file has no server that could have much to do."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import make_url

from app.dialects import dialect_for


def test_there_is_no_server(tmp_path: Path) -> None:
    url = make_url(f"sqlite:///{tmp_path / 'app.db'}")
    assert dialect_for(url).count_busy(url) is None
