"""MySQL and MariaDB: a statement that waits in the background ends, whatever is lost meanwhile."""

from __future__ import annotations

import pymysql
import pytest

from app.dialects.mysql.session import WAITING, Running, execute, until
from tests.dialects.mysql.chaos import LIVE, Shop
from tests.support.limits import no_endless_wait
from tests.support.servers.mariadb import MariaDB


def test_a_statement_that_waits_ends_with_the_connection_that_would_end_it(mariadb: MariaDB, shop: Shop) -> None:
    """Found by ``make chaos``: closing its connection waited for the answer, with writers behind it."""
    sql = f"LOCK TABLES {LIVE}.accounts WRITE"
    with shop.factory(read_timeout=86_400) as waits, mariadb.connect(LIVE) as holder, shop.factory() as by:
        with holder.cursor() as cursor:
            cursor.execute("LOCK TABLES accounts WRITE")
        running = Running(waits, sql)
        query = "SELECT 1 FROM information_schema.processlist WHERE id = %s AND state = %s"
        assert until(lambda: bool(execute(by, query, running.id, WAITING)), 20)
        by.cut()  # type: ignore[attr-defined] # a connection of ours
        with no_endless_wait():
            running.interrupt(by)
            waits.close()
        with pytest.raises(pymysql.Error):
            running.result()
