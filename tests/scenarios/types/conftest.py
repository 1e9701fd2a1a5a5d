"""A place on each server, and every route between them, run once."""

from __future__ import annotations

import pytest

from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL
from tests.support.types.carry import Place, places_on


@pytest.fixture(scope="session")
def places(mariadb: MariaDB, postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Place]:
    """A database of the tests' own on each server."""
    return places_on(mariadb, postgresql, tmp_path_factory.mktemp("places"))
