"""The barrier: writers wait, readers go on, and who cannot be waited for is named."""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from app.dialects.model import LateWrite
from app.dialects.mysql import swap, swap_barrier
from app.dialects.mysql.fence import MySqlFence
from app.dialects.mysql.session import Factory, Running
from app.errors import CutOverUnfinished, FerryError, LockHeld, Protected
from tests.dialects.mysql.chaos import CONTROL, LIVE, Application, Shop
from tests.support.limits import no_endless_wait
from tests.support.runs.commands import until
from tests.support.servers.mariadb import MariaDB

from .shops import is_there, staged, state


def test_a_write_that_slips_in_is_found_and_stays(
    mariadb: MariaDB, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is known that slips in; were there something, the old tables are live again with it."""
    staging, old = staged(shop)
    prepared = state(shop, staging)
    rename = swap_barrier.Barrier.rename
    others: list[threading.Thread] = []

    def slip(barrier: swap_barrier.Barrier, pairs: str, timeout_s: float) -> None:
        rename(barrier, pairs, timeout_s)
        if not others:
            mariadb.execute("INSERT INTO ledger (op, account) VALUES ('late', 3)", database=old)
            insert = "INSERT INTO ledger (op, account) VALUES ('waits', 4)"
            others.append(threading.Thread(target=mariadb.execute, args=(insert,), kwargs={"database": LIVE}))
            others[0].start()

    monkeypatch.setattr(swap_barrier.Barrier, "rename", slip)
    with pytest.raises(LateWrite):
        shop.swap(staging, old)
    others[0].join(10)
    assert shop.generation() == 0
    assert mariadb.execute("SELECT op FROM ledger ORDER BY op", database=LIVE) == [("late",), ("waits",)]
    assert mariadb.execute("SELECT what FROM audit WHERE op = 'waits'", database=LIVE) == [("first",), ("second",)]
    assert state(shop, staging) == prepared
    assert not is_there(shop, old)


@pytest.mark.parametrize("table", ["accounts", "t01"])
def test_a_reader_that_does_not_end_is_named(mariadb: MariaDB, shop: Shop, table: str) -> None:
    """One on a table with a trigger, and one on a table without."""
    staging, old = staged(shop)
    before, prepared = state(shop), state(shop, staging)
    with mariadb.connect(LIVE) as reader:
        with reader.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute(f"SELECT * FROM {table}")
        with pytest.raises(LockHeld) as caught:
            shop.swap(staging, old, timeout_s=0.5)
        assert f"connection {reader.thread_id()} of root" in " ".join(caught.value.details)
        assert (state(shop), state(shop, staging)) == (before, prepared)
        mariadb.execute("INSERT INTO ledger (op, account) VALUES ('x', 1)", database=LIVE)
        assert mariadb.execute("SELECT what FROM audit", database=LIVE) == [("first",), ("second",)]
        reader.rollback()
    shop.swap(staging, old)
    assert shop.generation() == 1


def test_nothing_is_lost_among_busy_writers(mariadb: MariaDB, shop: Shop) -> None:
    with Application(mariadb, threads=6) as application:
        for generation in (1, 2, 3):
            staging, old = shop.names()
            shop.swap(staging, old, held=functools.partial(shop.stage, staging, generation))
            assert shop.generation() == generation
        written = len(application.done)
        until(lambda: len(application.done) > written)
    application.check()
    assert written > 20


def test_a_barrier_that_loses_its_gate_opens(mariadb: MariaDB, shop: Shop) -> None:
    """As when the server ends the connections of a host that has fallen silent."""
    mariadb.execute(f"CREATE DATABASE {CONTROL}")
    with shop.factory(to_database=False) as connection:
        swap_barrier.prepare(connection, CONTROL)
    barrier = swap_barrier.Barrier(shop.factory, LIVE, CONTROL, ["accounts", "audit", "ledger", "t00"])
    ours = "SELECT id FROM information_schema.processlist WHERE command = 'Sleep'"
    for (number,) in mariadb.execute(ours):
        mariadb.execute(f"KILL {number}")
    with no_endless_wait():
        mariadb.execute("INSERT INTO ledger (op, account) VALUES ('after', 1)", database=LIVE)
    barrier.open()


@pytest.fixture
def late(mariadb: MariaDB, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that lets ``DROP TABLE`` wait although nobody is before it, as one that orders DDL otherwise does."""
    is_wanted = swap_barrier.Barrier._is_wanted
    monkeypatch.setattr(swap_barrier, "_QUEUE_S", 2.0)
    with mariadb.connect() as other:

        def wanted(barrier: swap_barrier.Barrier, database: str, table: str) -> bool:
            reached = is_wanted(barrier, database, table)
            if reached and table == swap_barrier.START:
                with other.cursor() as cursor:
                    cursor.execute("BEGIN")
                    cursor.execute(f"SELECT * FROM {CONTROL}.{swap_barrier.VETO}")
            return reached

        monkeypatch.setattr(swap_barrier.Barrier, "_is_wanted", wanted)
        yield


@pytest.mark.usefixtures("late")
def test_a_server_that_orders_statements_otherwise_lets_nobody_wait_for_ever(shop: Shop) -> None:
    staging, old = staged(shop)
    before, prepared = state(shop), state(shop, staging)
    with pytest.raises(FerryError, match=r"The server let DROP TABLE .* wait for 2 s") as caught:
        shop.swap(staging, old)
    assert "decided by the next command" in str(caught.value.hint)
    assert "othing was changed" not in str(caught.value)
    assert (state(shop), state(shop, staging)) == (before, prepared)


@pytest.mark.usefixtures("late")
def test_what_did_not_end_is_decided_by_the_next_command(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is undone while the server may still rename; who comes next ends that, and looks."""
    staging, old = staged(shop)
    before = state(shop)
    with monkeypatch.context() as patched:

        def interrupt(running: Running, _by: object) -> None:
            if "DROP TABLE" in running.sql:
                raise FerryError("A statement did not end when it was told to.")
            former(running, _by)

        former: Any = Running.interrupt
        patched.setattr(Running, "interrupt", interrupt)
        with pytest.raises(CutOverUnfinished, match="What is live is decided by the next command") as caught:
            shop.swap(staging, old)
    assert "othing was changed" not in str(caught.value)
    shop.recover(staging, old)
    assert state(shop) == before


def test_too_few_connections_are_told_before_anything_is_done(mariadb: MariaDB, shop: Shop, clerk: Factory) -> None:
    mariadb.execute("ALTER USER clerk WITH MAX_USER_CONNECTIONS 10")
    staging, old = staged(shop)
    before = state(shop)
    fence = MySqlFence(clerk, LIVE)
    with pytest.raises(Protected, match="17 connections"):
        swap.swap(clerk, staging, LIVE, old, CONTROL, fence, fence.token(), 5)
    assert state(shop) == before
