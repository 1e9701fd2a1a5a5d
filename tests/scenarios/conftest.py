"""Hosts of a few lines on databases of their own."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from tests.matrix.places import new_name

from .small_host import SmallHost


@pytest.fixture
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], SmallHost]:
    """A host on a new database of a server, which is not there yet."""

    def make(server: str) -> SmallHost:
        name = new_name()
        directory = tmp_path / name
        directory.mkdir()
        url: URL
        if server == "sqlite":
            url = make_url(f"sqlite:///{directory / 'live.db'}")
        else:
            url = request.getfixturevalue(server).url(name)
        return SmallHost(directory, url)

    return make
