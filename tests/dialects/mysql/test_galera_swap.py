"""The swap in a running Galera cluster, while each node is written, and killed at each of its statements."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest
from sqlalchemy import URL

from app.dialects.model import LateWrite
from app.dialects.mysql import galera_swap
from app.dialects.mysql.session import Running
from app.errors import CutOverUnfinished, FerryError, LockHeld, Protected
from tests.support.places import spell
from tests.support.servers.cluster import LIVE, Swaps, Writers
from tests.support.servers.galera import Galera, find_lacking
from tests.support.site import ROOT

pytestmark = [pytest.mark.galera, pytest.mark.skipif(bool(find_lacking()), reason=f"no cluster: {find_lacking()}")]

LIMIT_S = 120.0
EACH = int(os.environ.get("EACH", "12"))
"""A kill at one statement in so many."""
STILL = int(os.environ.get("STILL", "2"))
STILL_S = (8.0, 25.0)
"""Longer than the others wait for a node, and than the run waits for the node's answer."""
ROUNDS = int(os.environ.get("ROUNDS", "5"))


@pytest.fixture(scope="module")
def swaps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Swaps]:
    cluster = Galera(tmp_path_factory.mktemp("galera"), "--wsrep-slave-threads=4", tells_addresses=True)
    try:
        cluster.start()
        yield Swaps(cluster)
    finally:
        cluster.stop()


def test_while_each_node_is_written_nothing_is_lost(swaps: Swaps) -> None:
    with Writers(swaps.cluster) as writers:
        for number in range(ROUNDS):
            swaps.swap(*swaps.prepare(number % 3))
            assert swaps.settle() == "new"
        swaps.check_rows(writers)
        assert all(len(numbers) > 10 for numbers in writers.acknowledged.values())
    assert set(writers.errors) <= {1213}


def run_until(swaps: Swaps, urls: tuple[URL, URL, URL], number: int, when: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "tests.support.runs.swap_once", *map(spell, urls), str(number), when]
    return subprocess.run(command, capture_output=True, text=True, timeout=LIMIT_S, check=False, cwd=ROOT)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_at_its_statements_it_is_old_or_new(swaps: Swaps, when: str) -> None:
    """Whichever node the next run is at."""
    states, number = [], 1
    with Writers(swaps.cluster) as writers:
        while True:
            target, staging, old = swaps.prepare(number % 3)
            done = run_until(swaps, (target, staging, old), number, when)
            if done.returncode == 0:
                break
            assert done.returncode == -9, done.stderr
            node = random.randrange(3)
            swaps.dialect.recover(*(url.set(port=swaps.cluster.nodes[node].port) for url in (staging, target, old)))
            states.append(swaps.settle())
            swaps.check_rows(writers)
            number += EACH
        assert swaps.settle() == "new"
        swaps.check_rows(writers)
    print(len(states), "kills", states)
    assert {*states} == {"old", "new"}
    # Once it was carried out, it is so for all later ones.
    assert states == sorted(states, reverse=True)


def test_its_node_stands_still_when_the_rename_is_sent(swaps: Swaps, monkeypatch: pytest.MonkeyPatch) -> None:
    """The others go on without it; it may send the rename yet when it is back, which then was called off."""
    pid, states, threads = swaps.cluster.nodes[0].pid, [], []

    def stand_still(for_s: float) -> None:
        time.sleep(random.random() * 0.002)
        os.kill(pid, signal.SIGSTOP)
        time.sleep(for_s)
        os.kill(pid, signal.SIGCONT)

    class Sent(Running):
        def __init__(self, connection: Any, sql: str) -> None:
            if sql.startswith("RENAME"):
                threads.append(threading.Thread(target=stand_still, args=(STILL_S[len(threads) % 2],)))
                threads[-1].start()
                time.sleep(random.random() * 0.002)
            super().__init__(connection, sql)

    monkeypatch.setattr(galera_swap, "Running", Sent)
    with Writers(swaps.cluster) as writers:
        for number in range(STILL):
            target, staging, old = swaps.prepare(0)
            ending = "done"
            try:
                swaps.swap(target, staging, old)
            except (FerryError, pymysql.Error, OSError) as error:
                ending = type(error).__name__
            threads[-1].join(LIMIT_S)
            swaps.cluster.wait()
            node = 1 + number % 2
            swaps.dialect.recover(*(url.set(port=swaps.cluster.nodes[node].port) for url in (staging, target, old)))
            states.append((ending, swaps.settle()))
            assert states[-1] != ("done", "old")
            swaps.check_rows(writers)
            time.sleep(1)
            assert swaps.settle() in ("old", "new")
    print(states)


def test_a_rename_that_comes_after_it_was_called_off_renames_nothing(swaps: Swaps) -> None:
    _target, staging, old = swaps.prepare(0)
    server = swaps.cluster.nodes[0]
    ticket = galera_swap._spell_ticket(str(staging.database), f"{LIVE}__ferry")
    server.execute(f"CREATE TABLE {ticket} (id INT PRIMARY KEY)")
    server.execute(f"CREATE DATABASE `{old.database}`")
    server.execute(f"DROP TABLE {ticket}")
    with pytest.raises(pymysql.Error, match="doesn't exist"):
        server.execute(
            f"RENAME TABLE {ticket} TO {ticket.replace('ticket', 'used')}, "
            f"{LIVE}.parents TO `{old.database}`.parents, `{staging.database}`.parents TO {LIVE}.parents"
        )
    assert swaps.settle() == "old"
    server.execute(f"DROP DATABASE `{old.database}`")


def test_what_cannot_go_along_is_refused(swaps: Swaps) -> None:
    target, staging, old = swaps.prepare(0)
    swaps.wait()
    sql = "CREATE TRIGGER tried BEFORE INSERT ON others FOR EACH ROW SET @a = 1"
    swaps.cluster.nodes[1].execute(sql, database=staging.database)
    swaps.wait()
    with pytest.raises(Protected, match="only tables and views") as caught:
        swaps.swap(target, staging, old)
    assert caught.value.details == ["trigger tried"]
    assert swaps.settle() == "old"


def test_others_ddl_that_waits_for_our_locks_lets_the_cluster_go_on(swaps: Swaps) -> None:
    """All writes of the cluster wait behind it, ours as well; so the locks are let go, and nothing is cut over."""
    target, staging, old = swaps.prepare(0)
    with swaps.dialect.fence(target) as fence, fence.hold(20):
        token = fence.token()
        altering = threading.Thread(
            target=swaps.cluster.nodes[1].execute, args=(f"ALTER TABLE {LIVE}.others ADD COLUMN more INT",)
        )
        altering.start()
        began = time.monotonic()
        with pytest.raises((LateWrite, LockHeld)):
            swaps.dialect.swap(staging, target, old, fence, token, timeout_s=20)
        assert time.monotonic() - began < 40
        altering.join(LIMIT_S)
        assert not altering.is_alive()
    swaps.dialect.recover(staging, target, old)
    assert swaps.settle() == "old"
    swaps.cluster.nodes[1].execute(f"ALTER TABLE {LIVE}.others DROP COLUMN more")


def test_rows_that_are_in_the_old_tables_alone_are_told(swaps: Swaps, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where locks were no use after all, nobody is told that all is well."""
    target, staging, old = swaps.prepare(0)
    rename = galera_swap._rename

    def let_go_first(here: Any, plan: Any, control: str, fence: Any) -> None:
        fence.release()
        swaps.cluster.nodes[2].execute(f"INSERT INTO {LIVE}.others (id, word) VALUES (-1, 'late')")
        fence.lock(20)
        rename(here, plan, control, fence)

    monkeypatch.setattr(galera_swap, "_rename", let_go_first)
    with pytest.raises(CutOverUnfinished, match="see the tables others"):
        swaps.swap(target, staging, old)
