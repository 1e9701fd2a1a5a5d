"""A MariaDB with what a dialect is tried on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.dialects.rooms import Room, mariadb_room
from tests.support.servers.mariadb import MariaDB


@pytest.fixture
def room(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Room]:
    with mariadb_room(request, tmp_path) as made:
        yield made


@pytest.fixture(params=["LOAD DATA", "INSERT"])
def way(request: pytest.FixtureRequest, mariadb: MariaDB) -> Iterator[str]:
    """Both ways in which rows are loaded."""
    mariadb.execute(f"SET GLOBAL local_infile = {int(request.param == 'LOAD DATA')}")
    yield request.param
    mariadb.execute("SET GLOBAL local_infile = 1")
