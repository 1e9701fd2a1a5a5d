"""Whether a database was written, and the locks that let its writers wait."""

from __future__ import annotations

import threading

import pytest

from app.dialects.model import LateWrite
from app.dialects.mysql import swap
from app.dialects.mysql.fence import MySqlFence
from app.errors import LockHeld
from tests.dialects.mysql.chaos import CONTROL, LIVE, Shop
from tests.support.limits import no_endless_wait
from tests.support.servers.mariadb import MariaDB

from .shops import is_there, staged, state


def test_a_late_write_changes_nothing(mariadb: MariaDB, shop: Shop) -> None:
    staging, old = staged(shop)
    fence = MySqlFence(shop.factory, LIVE)
    token = fence.token()
    assert fence.token() == token
    mariadb.execute("UPDATE accounts SET amount = 99 WHERE id = 7", database=LIVE)
    assert fence.token() != token
    before, prepared = state(shop), state(shop, staging)
    with pytest.raises(LateWrite):
        swap.swap(shop.factory, staging, LIVE, old, CONTROL, fence, token, 5)
    assert (state(shop), state(shop, staging)) == (before, prepared)
    assert not is_there(shop, old)
    swap.swap(shop.factory, staging, LIVE, old, CONTROL, fence, fence.token(), 5)
    assert shop.generation() == 1


def test_a_writer_that_does_not_end_is_named(mariadb: MariaDB, shop: Shop) -> None:
    staging, old = staged(shop)
    before = state(shop)
    with mariadb.connect(LIVE) as writer:
        with writer.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("UPDATE accounts SET amount = 0 WHERE id = 1")
        with no_endless_wait(), pytest.raises(LockHeld) as caught:
            shop.swap(staging, old, timeout_s=0.5)
        assert f"connection {writer.thread_id()} of root" in " ".join(caught.value.details)
        writer.rollback()
    assert state(shop) == before
    shop.swap(staging, old)


def test_readers_go_on_while_writers_wait_and_leaving_does_not_fail(mariadb: MariaDB, shop: Shop) -> None:
    staging, old = staged(shop)
    fence = MySqlFence(shop.factory, LIVE)
    written = threading.Event()

    def write() -> None:
        mariadb.execute("UPDATE accounts SET amount = 100 WHERE id = 1", database=LIVE)
        written.set()

    with fence.hold(2):
        writer = threading.Thread(target=write)
        writer.start()
        assert not written.wait(0.3)
        assert mariadb.execute("SELECT count(*) FROM accounts", database=LIVE) == [(50,)]
        swap.swap(shop.factory, staging, LIVE, old, CONTROL, fence, fence.token(), 5)
        assert written.wait(10)
        assert not fence.is_held
    writer.join()
    fence.close()
    assert shop.generation() == 1
