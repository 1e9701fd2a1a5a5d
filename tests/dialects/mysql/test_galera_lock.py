"""The session lock, where a server is alone; in a cluster whole commands show it."""

from __future__ import annotations

import pytest

from app.dialects.mysql import lock as alone
from app.dialects.mysql.connect import connect_to
from app.dialects.mysql.driver import version_of
from app.dialects.mysql.galera_lock import lock, server_uid
from app.dialects.mysql.read import asking
from app.errors import LockHeld
from tests.support.servers.mariadb import MariaDB


def test_alone_a_server_is_known_by_itself_and_locked_once(mariadb: MariaDB) -> None:
    url = mariadb.url("mysql")
    with connect_to(url, None) as connection:
        ask, version = asking(connection), version_of(connection)
        assert server_uid(ask, version, url, None) == alone.server_uid(ask, is_mariadb=version.is_mariadb)
    with lock(url, None, "some", 0):
        with pytest.raises(LockHeld), alone.lock(url, None, "some", 0):
            pytest.fail("two holders")
        with alone.lock(url, None, "another", 0):
            pass
