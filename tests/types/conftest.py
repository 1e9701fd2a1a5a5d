"""A place on each server, and every route between them, run once."""

from __future__ import annotations

import secrets
from pathlib import Path

import pytest
from sqlalchemy import URL

from tests.servers.mariadb import MariaDB
from tests.servers.postgresql import PostgreSQL

from .carry import Place, place


@pytest.fixture(scope="session")
def places(mariadb: MariaDB, postgresql: PostgreSQL, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Place]:
    """A database of the tests' own on each server."""
    return places_on(mariadb, postgresql, tmp_path_factory.mktemp("places"))


def places_on(mariadb: MariaDB, postgresql: PostgreSQL, directory: Path) -> dict[str, Place]:
    """A database with a new name on each server."""
    name = f"t{secrets.token_hex(4)}"
    urls = {
        "sqlite": URL.create("sqlite", database=str(directory / "sqlite" / "live.db")),
        "mariadb": mariadb.url(name),
        "postgresql": postgresql.url(name),
    }
    found = {}
    for server, url in urls.items():
        (directory / server).mkdir(parents=True)
        found[server] = place(server, url, directory / server)
    return found
