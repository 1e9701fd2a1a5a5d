"""Whether a database was written, and the locks that let its writers wait."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from app.dialects.model import LateWrite
from app.dialects.mysql import fence as fence_module
from app.dialects.mysql import swap
from app.dialects.mysql.fence import MySqlFence
from app.dialects.mysql.session import Connection
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


def test_rows_are_read_once_under_the_same_locks(mariadb: MariaDB, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    staging, old = staged(shop)
    fence = MySqlFence(shop.factory, LIVE)
    read, databases = fence_module._rows, list[str]()

    def note(connection: Connection, database: str, *more: Any) -> fence_module.Rows:
        databases.append(database)
        return read(connection, database, *more)

    monkeypatch.setattr(fence_module, "_rows", note)
    with fence.hold(5):
        token = fence.token()
        swap.swap(shop.factory, staging, LIVE, old, CONTROL, fence, token, 5)
    # The second is the comparison with the tables that were renamed.
    assert databases == [LIVE, old]
    assert shop.generation() == 1
    with fence.hold(5):
        assert fence.token() != token


def test_a_write_after_the_locks_were_lost_is_seen(mariadb: MariaDB, shop: Shop) -> None:
    """Although nobody reads the rows once more before they are renamed."""
    staging, old = staged(shop)
    fence = MySqlFence(shop.factory, LIVE)
    with fence.hold(5):
        token = fence.token()
        assert fence._keeper is not None
        mariadb.execute(f"KILL {fence._keeper.connection.thread_id()}")
        mariadb.execute("UPDATE accounts SET amount = 99 WHERE id = 7", database=LIVE)
        before = state(shop)
        with pytest.raises(LateWrite):
            swap.swap(shop.factory, staging, LIVE, old, CONTROL, fence, token, 5)
    assert state(shop) == before
    assert not is_there(shop, old)


def test_an_object_that_comes_while_writers_wait_is_seen(mariadb: MariaDB, shop: Shop) -> None:
    staging, old = staged(shop)
    fence = MySqlFence(shop.factory, LIVE)
    with fence.hold(5):
        token = fence.token()
        mariadb.execute("CREATE VIEW late AS SELECT 1", database=LIVE)
        with pytest.raises(LateWrite):
            swap.swap(shop.factory, staging, LIVE, old, CONTROL, fence, token, 5)
    assert not is_there(shop, old)


def test_what_was_looked_at_before_a_hold_is_read_again(mariadb: MariaDB, shop: Shop) -> None:
    staging, old = staged(shop)
    fence = MySqlFence(shop.factory, LIVE)
    with fence.hold(5):
        token = fence.token()
    mariadb.execute("UPDATE accounts SET amount = 99 WHERE id = 7", database=LIVE)
    with fence.hold(5), pytest.raises(LateWrite):
        swap.swap(shop.factory, staging, LIVE, old, CONTROL, fence, token, 5)
