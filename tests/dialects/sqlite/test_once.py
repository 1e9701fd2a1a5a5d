"""A file that nobody loads from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from app.dialects import dialect_for
from app.errors import FerryError


def test_nobody_else_loads_a_file(tmp_path: Path) -> None:
    url = sa.make_url(f"sqlite:///{tmp_path / 'one.db'}")
    with pytest.raises(FerryError, match="nobody loads from elsewhere"):
        dialect_for(url, directory=tmp_path, tls_ca=None).sharing(url)
