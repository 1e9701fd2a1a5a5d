"""MySQL and MariaDB: the cut-over among writers, readers, late writes and kills."""

from __future__ import annotations

import contextlib
import functools
import os
import random
import signal
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pymysql
import pytest

from app.dialects.model import LateWrite
from app.dialects.mysql import copy, swap, swap_barrier, swap_plan
from app.dialects.mysql import mark as mark_of
from app.dialects.mysql.connect import connect_to
from app.dialects.mysql.fence import MySqlFence, content
from app.dialects.mysql.session import Factory
from app.errors import CutOverUnfinished, DoesNotFit, FerryError, LockHeld, Protected
from tests.dialects.mysql.chaos import CONTROL, LIVE, LOST, Application, Shop, kill_self_once, kill_server_once
from tests.support.limits import no_endless_wait
from tests.support.runs.commands import until
from tests.support.servers.mariadb import MariaDB


@pytest.fixture
def shop(mariadb: MariaDB) -> Iterator[Shop]:
    made = Shop(mariadb, tables=3)
    made.make()
    yield made
    made.forget()


def state(shop: Shop, database: str = LIVE) -> Any:
    """All that a database has: rows, objects, mark, and which of its events run."""
    events = "SELECT event_name, status FROM information_schema.events WHERE event_schema = %s ORDER BY 1"
    with shop.factory(to_database=False) as connection:
        rows = content(connection, database, LIVE)
        objects = copy.objects(connection, database)
        mark = mark_of.mark(connection, database)
        return rows, objects, mark, shop.server.execute(events, database)


def staged(shop: Shop, generation: int = 1) -> tuple[str, str]:
    staging, old = shop.names()
    shop.stage(staging, generation)
    return staging, old


def is_there(shop: Shop, database: str) -> bool:
    return bool(shop.server.execute("SHOW DATABASES LIKE %s", database))


# Both ways


def test_everything_goes_both_ways(shop: Shop) -> None:
    first = state(shop)
    staging, old = staged(shop)
    second = state(shop, staging)
    shop.swap(staging, old)
    assert shop.generation() == 1
    assert not is_there(shop, staging)
    assert state(shop)[:3] == second[:3]
    assert state(shop, old)[:3] == first[:3]
    assert state(shop)[3] == [("tidy", "ENABLED")]
    assert state(shop, old)[3] == [("tidy", "SLAVESIDE_DISABLED")]
    back, undone = shop.names()
    copy.copy_database(shop.factory, old, back, 5)
    shop.swap(back, undone)
    assert state(shop) == first
    assert shop.generation() == 0


def test_a_database_can_become_empty_and_be_filled_again(mariadb: MariaDB, shop: Shop) -> None:
    first = state(shop)
    empty, old = shop.names()
    mariadb.execute(f"CREATE DATABASE {empty}")
    with shop.factory(to_database=False) as connection:
        mark_of.set_mark(connection, empty, "0badcafe")
    shop.swap(empty, old)
    assert list(state(shop)[0]) == ["alembic_version"]
    assert state(shop)[1:] == ([], "0badcafe", [])
    back, undone = shop.names()
    copy.copy_database(shop.factory, old, back, 5)
    shop.swap(back, undone)
    assert state(shop) == first


def test_nothing_at_all_can_be_swapped(mariadb: MariaDB, shop: Shop) -> None:
    empty, old = shop.names()
    mariadb.execute(f"CREATE DATABASE {empty}")
    shop.swap(empty, old)
    assert state(shop) == ({}, [], "", [])
    again, older = shop.names()
    mariadb.execute(f"CREATE DATABASE {again}")
    shop.swap(again, older)
    assert state(shop) == ({}, [], "", [])


def test_the_live_database_keeps_its_character_set_and_sequences_their_owners(mariadb: MariaDB, shop: Shop) -> None:
    mariadb.execute(f"ALTER DATABASE {LIVE} CHARACTER SET latin2")
    staging, old = staged(shop)
    mariadb.execute("CREATE SEQUENCE numbers START WITH 40", database=staging)
    mariadb.execute("CREATE TABLE numbered (id INT PRIMARY KEY DEFAULT NEXTVAL(numbers), x INT)", database=staging)
    mariadb.execute("INSERT INTO numbered (x) VALUES (1)", database=staging)
    mariadb.execute("CREATE VIEW numbers_of AS SELECT NEXTVAL(numbers) AS n", database=staging)
    shop.swap(staging, old)
    mariadb.execute("INSERT INTO numbered (x) VALUES (2)", database=LIVE)
    [(first, _), (second, _)] = mariadb.execute("SELECT * FROM numbered", database=LIVE)
    assert first == 40
    assert second > 40
    assert len(mariadb.execute("SELECT n FROM numbers_of", database=LIVE)) == 1
    for database in (LIVE, old):
        sql = "SELECT default_character_set_name FROM information_schema.schemata WHERE schema_name = %s"
        assert mariadb.execute(sql, database) == [("latin2",)]


# Others


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


# Refusals


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


def test_an_ordinary_user_is_told_what_could_not_be_done(mariadb: MariaDB, shop: Shop, clerk: Factory) -> None:
    staging, old = staged(shop)
    fence = MySqlFence(clerk, LIVE)
    with mariadb.connect(LIVE) as writer:
        with writer.cursor() as cursor:
            cursor.execute("BEGIN")
            cursor.execute("UPDATE accounts SET amount = 0 WHERE id = 1")
        with pytest.raises(LockHeld) as caught:
            swap.swap(clerk, staging, LIVE, old, CONTROL, fence, fence.token(), 0.3)
        assert "PROCESS" in " ".join(caught.value.details)
        writer.rollback()
    swap.swap(clerk, staging, LIVE, old, CONTROL, fence, fence.token(), 5)
    assert any("could not be told to checkpoint" in note for note in fence.notes)
    assert mariadb.execute("SELECT g FROM t00", database=LIVE) == [(1,)]


def test_too_few_connections_are_told_before_anything_is_done(mariadb: MariaDB, shop: Shop, clerk: Factory) -> None:
    mariadb.execute("GRANT USAGE ON *.* TO clerk WITH MAX_USER_CONNECTIONS 10")
    staging, old = staged(shop)
    before = state(shop)
    fence = MySqlFence(clerk, LIVE)
    with pytest.raises(Protected, match="16 connections"):
        swap.swap(clerk, staging, LIVE, old, CONTROL, fence, fence.token(), 5)
    assert state(shop) == before


def test_tables_of_other_databases_that_refer_to_it_are_refused(mariadb: MariaDB, shop: Shop) -> None:
    staging, old = staged(shop)
    mariadb.execute(f"CREATE DATABASE {CONTROL}_other")
    mariadb.execute(f"CREATE TABLE {CONTROL}_other.x (id INT, FOREIGN KEY (id) REFERENCES {LIVE}.accounts (id))")
    with pytest.raises(Protected, match="go on referring") as caught:
        shop.swap(staging, old)
    assert caught.value.details == [f"{CONTROL}_other.x"]


def test_a_broken_view_is_refused_by_name(mariadb: MariaDB, shop: Shop) -> None:
    staging, old = staged(shop)
    mariadb.execute("ALTER TABLE accounts DROP COLUMN amount", database=staging)
    before = state(shop)
    with pytest.raises(DoesNotFit, match="balances"):
        shop.swap(staging, old)
    assert state(shop) == before


def test_a_generation_that_is_there_is_not_overwritten(mariadb: MariaDB, shop: Shop) -> None:
    staging, old = staged(shop)
    mariadb.execute(f"CREATE DATABASE {old}")
    mariadb.execute("CREATE TABLE precious (id INT)", database=old)
    with pytest.raises(FerryError, match="has tables already"):
        shop.swap(staging, old)
    assert shop.generation() == 0


# Interrupted


def test_recovery_of_nothing(shop: Shop) -> None:
    assert shop.recover("shop__stg_none", "shop__gen_none") == []


def raising(*_: object, **__: object) -> None:
    raise pymysql.OperationalError(2013, "Lost connection (made up)")


STEPS = (
    (swap, "prepare_old"),
    (swap, "drop_triggers"),
    (swap, "Barrier"),
    (swap_barrier.Barrier, "drain"),
    (swap_barrier.Barrier, "through"),
    (swap_barrier.Barrier, "rename"),
    (swap_barrier.Barrier, "_let_start"),
    (swap, "find_late_writes"),
    (swap, "bring_routines"),
    (swap, "finish"),
    (swap_plan, "install"),
    (swap_plan, "delete_plan"),
)


@pytest.mark.parametrize(("place", "name"), STEPS, ids=[name for _, name in STEPS])
def test_a_step_that_fails_is_undone_or_finished(
    shop: Shop, monkeypatch: pytest.MonkeyPatch, place: Any, name: str
) -> None:
    before = state(shop)
    staging, old = staged(shop)
    prepared = state(shop, staging)
    with monkeypatch.context() as patch:
        patch.setattr(place, name, raising)
        with pytest.raises((FerryError, pymysql.OperationalError)):
            shop.swap(staging, old)
    shop.recover(staging, old)
    live = shop.generation()
    assert state(shop) == (before if live == 0 else (*prepared[:3], [("tidy", "ENABLED")]))
    if live == 0:
        assert state(shop, staging) == prepared
        assert not is_there(shop, old)
        shop.swap(staging, old)
    assert state(shop, old)[:3] == before[:3]


def killing(place: Any, name: str, after: bool) -> Callable[..., Any]:
    function = getattr(place, name)

    def kill(*args: Any, **options: Any) -> Any:
        if after:
            function(*args, **options)
        os.kill(os.getpid(), signal.SIGKILL)

    return kill


KILLS = [(place, name, False) for place, name in STEPS]
KILLS += [(swap_barrier.Barrier, name, True) for name in ("__init__", "through", "_let_start", "rename")]
KILLS += [(swap_plan, "delete_plan", True)]


@pytest.mark.parametrize(
    ("place", "name", "after"), KILLS, ids=[f"{'after' if after else 'before'} {name}" for _, name, after in KILLS]
)
def test_a_process_that_is_killed_at_a_step(
    mariadb: MariaDB, shop: Shop, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, after: bool
) -> None:
    before = state(shop)
    staging, old = staged(shop)
    prepared = state(shop, staging)
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            monkeypatch.setattr(place, name, killing(place, name, after))
            shop.swap(staging, old)
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)
    # Nobody waits without an end for what the process has left at the server.
    with no_endless_wait():
        mariadb.execute("UPDATE accounts SET amount = 100 WHERE id = 1", database=LIVE)
    shop.recover(staging, old)
    shop.recover(staging, old)
    live = shop.generation()
    if name != "_let_start" or not after:
        # The server carries out what waits there, even for the dead, but not what was not decided.
        decided = ("find_late_writes", "bring_routines", "finish", "delete_plan")
        assert live == int(name in decided or (name == "rename" and after))
    assert state(shop) == (before if live == 0 else (*prepared[:3], [("tidy", "ENABLED")]))
    if live == 1:
        assert state(shop, old)[:3] == before[:3]


def test_a_process_that_is_killed_any_time_among_writers(mariadb: MariaDB, shop: Shop) -> None:
    usual_s = shop.usual_s()
    chance = random.Random(5)
    outcomes, told = set(), False
    with Application(mariadb, threads=3) as application:
        # Later and later, until one came too late: how long it takes is another thing on a busy machine.
        for generation in range(2, 40):
            latest_s = usual_s * max(1.5, generation / 5)
            outcome, notes = kill_self_once(shop, chance.uniform(0, latest_s), generation)
            outcomes.add(outcome)
            told = told or bool(notes)
            if generation > 8 and len(outcomes) == 2:
                break
    application.check(audited=not told)
    assert len(outcomes) == 2, outcomes


def test_a_server_that_is_killed_any_time(tmp_path: Path) -> None:
    server = MariaDB(tmp_path / "server")
    server.prepare()
    server.start()
    outcomes: Counter[str] = Counter()
    try:
        shop = Shop(server, tables=3)
        shop.make()
        usual_s = shop.usual_s()
        chance = random.Random(3)
        for number in range(40):
            outcomes[kill_server_once(shop, chance.uniform(0, usual_s * max(1.5, number / 5)))] += 1
            counted = outcomes.total() - outcomes[LOST]
            if counted >= 10 and outcomes["all old"] and outcomes["all new"]:
                break
    finally:
        server.stop()
    print(dict(outcomes))
    assert outcomes["all old"] > 0
    assert outcomes["all new"] > 0
    assert counted >= 10, outcomes


def test_rows_that_are_in_the_old_tables_only_are_told_until_they_are_brought_over(
    mariadb: MariaDB, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    staging, old = staged(shop)
    with monkeypatch.context() as patch:
        patch.setattr(swap, "bring_routines", raising)
        with pytest.raises(CutOverUnfinished, match="interrupted"):
            shop.swap(staging, old)
    mariadb.execute("INSERT INTO t01 VALUES (77)", database=old)
    with pytest.raises(CutOverUnfinished, match=r"only in shop__gen_\w+: see the tables t01"):
        shop.recover(staging, old)
    with pytest.raises(CutOverUnfinished, match="begun and has not ended"):
        shop.swap(staging, old)
    with pytest.raises(CutOverUnfinished, match="not of"):
        shop.recover("shop__stg_other", old)
    mariadb.execute("DELETE FROM t01 WHERE g = 77", database=old)
    notes = shop.recover(staging, old)
    assert any("without these triggers" in note and "noted" in note for note in notes)
    assert shop.generation() == 1
