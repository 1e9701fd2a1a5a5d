"""MySQL and MariaDB: the cut-over among writers, readers, late writes and kills."""

from __future__ import annotations

import contextlib
import os
import random
import signal
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from app.dialects.mysql import copy, swap, swap_barrier, swap_plan
from app.dialects.mysql import mark as mark_of
from app.dialects.mysql.fence import MySqlFence
from app.dialects.mysql.session import Factory
from app.errors import LockHeld
from tests.dialects.mysql.chaos import CONTROL, LIVE, LOST, Application, Shop, kill_self_once, kill_server_once
from tests.support.limits import no_endless_wait
from tests.support.servers import of_mariadb
from tests.support.servers.mariadb import NOT_RUN, ON_MYSQL, MariaDB

from .shops import STEPS, is_there, staged, state

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
    assert state(shop, old)[3] == [("tidy", NOT_RUN)]
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


@of_mariadb
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


# Refusals


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
    # MySQL is not told to.
    assert ON_MYSQL or any("could not be told to checkpoint" in note for note in fence.notes)
    assert mariadb.execute("SELECT g FROM t00", database=LIVE) == [(1,)]


# Interrupted


def test_recovery_of_nothing(shop: Shop) -> None:
    assert shop.recover("shop__stg_none", "shop__gen_none") == []


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
            if counted >= 6 and outcomes["all old"] and outcomes["all new"]:
                break
    finally:
        server.stop()
    print(dict(outcomes))
    assert outcomes["all old"] > 0
    assert outcomes["all new"] > 0
    assert counted >= 6, outcomes
