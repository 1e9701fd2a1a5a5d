"""A MariaDB with what a dialect is tried on."""

from __future__ import annotations

import functools
import secrets
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import URL

from app.dialects.mysql.connect import connect_to
from app.dialects.mysql.session import Factory
from tests.dialects.rooms import Room, mariadb_room
from tests.support.servers.mariadb import MariaDB

from .chaos import LIVE, Shop
from .tortured import make


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


@pytest.fixture
def shop(mariadb: MariaDB) -> Iterator[Shop]:
    made = Shop(mariadb, tables=3)
    made.make()
    yield made
    made.forget()


@pytest.fixture
def clerk(mariadb: MariaDB, shop: Shop) -> Iterator[Factory]:
    """Connections of a user who may do everything with the shop's databases, and nothing else."""
    # It is root's, and nobody else may see the body of it.
    mariadb.execute("DROP FUNCTION doubled", database=LIVE)
    mariadb.execute("CREATE OR REPLACE VIEW balances AS SELECT id FROM accounts", database=LIVE)
    mariadb.execute("CREATE USER clerk IDENTIFIED BY 'made up'")
    mariadb.execute(f"GRANT ALL ON `{LIVE}`.* TO clerk")
    mariadb.execute(rf"GRANT ALL ON `{LIVE}\_\_%`.* TO clerk")
    yield functools.partial(connect_to, mariadb.url(LIVE, user="clerk", password="made up"), None)
    mariadb.execute("DROP USER clerk")


@pytest.fixture(scope="module")
def torture(mariadb: MariaDB) -> Iterator[Factory]:
    yield make(mariadb, "torture")
    for name in ("torture", "torture__stg_back", "torture__stg_own"):
        mariadb.execute(f"DROP DATABASE IF EXISTS {name}")


@pytest.fixture
def limited(room: Room, mariadb: MariaDB) -> Iterator[URL]:
    """The target's URL for a user who may do nothing."""
    user = f"u_{secrets.token_hex(3)}"
    mariadb.execute(f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY 'quiet'")
    yield room.target.set(username=user, password="quiet")
    mariadb.execute(f"DROP USER {user}@'127.0.0.1'")
