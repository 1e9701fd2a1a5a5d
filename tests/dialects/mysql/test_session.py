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


def test_what_the_driver_trips_over_in_a_thread_is_raised_by_who_waits(mariadb: MariaDB, shop: Shop) -> None:
    """Found under load: closed between two reads, the thread ended silently, as if it had its answer."""
    with shop.factory() as closed, shop.factory() as broken:
        closed._rfile = None  # type: ignore[attr-defined] # what closing leaves
        running = Running(closed, "SELECT 1")
        assert running.join(20)
        with pytest.raises(pymysql.OperationalError, match="The connection was closed: 'NoneType'"):
            running.result()
        running = Running(broken, object())  # type: ignore[arg-type] # a fault of ours
        assert running.join(20)
        with pytest.raises(TypeError):
            running.result()
