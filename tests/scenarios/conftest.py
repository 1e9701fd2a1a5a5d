"""What scenarios share: deployed apps on each server, and what fills them; hosts of a few lines."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import URL, make_url

from tests.scenarios.matrix.conftest import deployed, new_database, server, taken  # noqa: F401 # fixtures
from tests.scenarios.small_host import SmallHost
from tests.scenarios.sources.conftest import newer, old_file, paged_database, small_database  # noqa: F401 # fixtures
from tests.support.places import new_name


@pytest.fixture
def host(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[str], SmallHost]:
    """A host on a new database of a server, which is not there yet."""

    def make(kind: str) -> SmallHost:
        name = new_name()
        directory = tmp_path / name
        directory.mkdir()
        url: URL
        if kind == "sqlite":
            url = make_url(f"sqlite:///{directory / 'live.db'}")
        else:
            url = request.getfixturevalue(kind).url(name)
        return SmallHost(directory, url)

    return make
