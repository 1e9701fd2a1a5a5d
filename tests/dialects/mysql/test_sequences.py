"""Numbers that are drawn from a sequence while its database is cut over: nobody gets one that was given out before."""

from __future__ import annotations

import contextlib
import functools
import os
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pymysql
import pytest

from app.dialects.model import LateWrite
from app.dialects.mysql import copy, sequences, swap, swap_barrier
from app.dialects.mysql.counters import set_counters
from app.dialects.mysql.fence import MySqlFence
from app.dialects.mysql.session import execute
from app.errors import FerryError, VerificationFailed
from tests.dialects.mysql.chaos import CONTROL, LIVE, LOST, Shop, killed
from tests.support.drawing import Drawing
from tests.support.limits import no_endless_wait
from tests.support.runs.commands import until
from tests.support.servers import of_mariadb
from tests.support.servers.mariadb import FilesLost, MariaDB

from .shops import is_there, staged, state
from .test_swap import KILLS, killing

pytestmark = of_mariadb

NUMBERED = (
    "CREATE SEQUENCE numbers CACHE 10",
    "CREATE TABLE numbered (id BIGINT PRIMARY KEY DEFAULT NEXTVAL(numbers), how VARCHAR(9))",
)


@pytest.fixture
def numbered(mariadb: MariaDB, shop: Shop) -> Shop:
    for sql in NUMBERED:
        mariadb.execute(sql, database=LIVE)
    return shop


def stage(shop: Shop, staging: str, generation: int, *changes: str) -> None:
    """A copy of what is live, with what the command does before a cut-over, and changes of a revision."""
    shop.stage(staging, generation)
    sql = "ALTER TABLE numbered ALTER COLUMN id SET DEFAULT (NEXTVAL(numbers))"
    for change in (sql, *changes):
        shop.server.execute(change, database=staging)
    with shop.factory(to_database=False) as connection:
        live = [*sequences.read_all(connection, LIVE).values()]
        connection.select_db(staging)
        set_counters(functools.partial(execute, connection), staging, live)


def draw(mariadb: MariaDB, name: str, database: str = LIVE) -> int:
    [(number,)] = mariadb.execute(f"SELECT NEXTVAL({name})", database=database)
    return int(number)


def test_a_number_that_is_drawn_is_no_write_of_the_live_database_but_is_one_of_a_source(
    mariadb: MariaDB, numbered: Shop
) -> None:
    fence = MySqlFence(numbered.factory, LIVE)
    with numbered.factory(to_database=False) as connection:
        before = fence.token(), sequences.token_with_draws(connection, LIVE)
        draw(mariadb, "numbers")
        after = fence.token(), sequences.token_with_draws(connection, LIVE)
    assert after[0] == before[0]
    assert after[1] != before[1]
    mariadb.execute("ALTER SEQUENCE numbers CACHE 20", database=LIVE)
    assert fence.token() != before[0]


def test_who_draws_all_the_time_goes_on_and_gets_no_number_twice(mariadb: MariaDB, numbered: Shop) -> None:
    with Drawing(mariadb, LIVE, "numbers") as drawing:
        for generation in (1, 2, 3):
            staging, old = numbered.names()
            held = functools.partial(stage, numbered, staging, generation)
            numbered.swap(staging, old, held=held)
            assert numbered.generation() == generation
            assert mariadb.execute(f"SHOW CREATE SEQUENCE {old}.numbers")
        drawn = len(drawing.numbers)
        until(lambda: len(drawing.numbers) > drawn)
    drawing.check()


ALTERED = "ALTER SEQUENCE numbers CACHE 20 MAXVALUE 1000000"


@pytest.mark.parametrize("change", ["DO 1", ALTERED], ids=["the same", "altered"])
def test_who_only_draws_gets_no_number_twice_whether_it_stays_or_not(
    mariadb: MariaDB, numbered: Shop, change: str
) -> None:
    staging, old = numbered.names()
    stage(numbered, staging, 1, change)
    with Drawing(mariadb, LIVE, "numbers", rows=False) as drawing:
        until(lambda: len(drawing.numbers) > 100)
        numbered.swap(staging, old)
        drawn = len(drawing.numbers)
        until(lambda: len(drawing.numbers) > drawn + 100)
    drawing.check()
    [(_, sql)] = mariadb.execute("SHOW CREATE SEQUENCE numbers", database=LIVE)
    assert ("maxvalue 1000000 " in sql) == (change == ALTERED)


CLOSING = [
    (swap.sequences, "go_on", False),
    (swap_barrier.Barrier, "inside", False),
    (swap_barrier.Barrier, "inside", True),
]
CASES = [(*kill, "DO 1") for kill in KILLS] + [(*kill, ALTERED) for kill in [*KILLS, *CLOSING]]


@pytest.mark.parametrize(
    ("place", "name", "after", "change"),
    CASES,
    ids=[
        f"{'after' if after else 'before'} {name}, {'altered' if change == ALTERED else 'the same'}"
        for _, name, after, change in CASES
    ],
)
def test_a_process_that_is_killed_at_a_step_lets_no_number_be_given_out_twice(
    mariadb: MariaDB, numbered: Shop, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, after: bool, change: str
) -> None:
    staging, old = numbered.names()
    stage(numbered, staging, 1, change)
    with Drawing(mariadb, LIVE, "numbers", rows=False) as drawing:
        until(lambda: len(drawing.numbers) > 20)
        _killed(monkeypatch, place, name, killing(place, name, after), lambda: numbered.swap(staging, old))
        drawn = len(drawing.numbers)
        with no_endless_wait():
            until(lambda: len(drawing.numbers) > drawn + 20)
        for _ in range(2):
            numbered.recover(staging, old)
        drawn = len(drawing.numbers)
        until(lambda: len(drawing.numbers) > drawn + 20)
    drawing.check()
    assert is_there(numbered, staging) == (numbered.generation() == 0)


def _killed(
    monkeypatch: pytest.MonkeyPatch, place: Any, name: str, kill: Callable[..., Any], work: Callable[[], None]
) -> None:
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            monkeypatch.setattr(place, name, kill)
            work()
        os._exit(0)
    _, status = os.waitpid(child, 0)
    assert os.WIFSIGNALED(status)


class Settled(Drawing):
    """Draws, and counts a number as given out only when a row is committed behind it.

    A server that is killed gives out again what was drawn in the last second, whoever does what with it (seen).
    """

    def _draw(self, connection: pymysql.Connection[tuple[int, ...]]) -> None:
        number = self._ask(connection, f"SELECT NEXTVAL({self._sequence})")
        self._ask(connection, "INSERT INTO settled.numbers VALUES (%s)", number)
        self.numbers.append(number)


def test_a_server_that_is_killed_any_time_lets_no_number_be_given_out_twice(tmp_path: Path) -> None:
    server = MariaDB(tmp_path / "server")
    server.prepare()
    server.start()
    chance, outcomes, numbers = random.Random(7), set[str](), Counter[int]()
    try:
        shop = Shop(server, tables=3)
        shop.make()
        for sql in ("CREATE DATABASE settled", "CREATE TABLE settled.numbers (number BIGINT)", *NUMBERED):
            server.execute(sql, database=LIVE)
        usual_s = shop.usual_s()
        for number in range(16):
            outcome, drawn = _kill_server_once(shop, chance.uniform(0, usual_s * (1 + number / 2)), number)
            outcomes.add(outcome)
            numbers.update(drawn)
            if outcome == LOST or (number >= 5 and len(outcomes) == 2):
                break
    finally:
        server.stop()
    assert [one for one, count in numbers.items() if count > 1] == []
    assert LOST in outcomes or outcomes == {"all old", "all new"}


def _kill_server_once(shop: Shop, after_s: float, number: int) -> tuple[str, list[int]]:
    """A cut-over of a sequence that stays or is altered, in turns; what became of it, and which numbers were drawn."""
    server, before = shop.server, shop.generation()
    staging, old = shop.names()
    stage(shop, staging, before + 1, f"ALTER SEQUENCE numbers CACHE {10 + number // 2}")
    with Settled(server, LIVE, "numbers", rows=False) as drawing:
        until(lambda: len(drawing.numbers) > 5)
        with killed(after_s, server.kill), contextlib.suppress(FerryError, pymysql.Error):
            shop.swap(staging, old)
        try:
            server.start()
        except FilesLost:
            return LOST, []
    for _ in range(2):
        shop.recover(staging, old)
    after = shop.generation()
    for name in (staging, old):
        server.execute(f"DROP DATABASE IF EXISTS {name}")
    with Settled(server, LIVE, "numbers", rows=False) as again:
        until(lambda: len(again.numbers) > 50)
    return ("all new" if after > before else "all old"), [*drawing.numbers, *again.numbers]


KINDS = {
    "upwards": ("INCREMENT 5 MINVALUE 1 MAXVALUE 5000 CACHE 3", "ALTER SEQUENCE s MAXVALUE 6000"),
    "downwards": ("INCREMENT -1 MINVALUE -5000 MAXVALUE -1 CACHE 3", "ALTER SEQUENCE s MINVALUE -6000"),
    "by other steps": ("NOCACHE", "ALTER SEQUENCE s INCREMENT 10"),
    "round": ("MINVALUE 1 MAXVALUE 50 CACHE 3 CYCLE", "ALTER SEQUENCE s CACHE 5"),
}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("altered", [False, True])
def test_it_goes_on_behind_what_was_drawn_after_the_copy(
    mariadb: MariaDB, shop: Shop, kind: str, altered: bool
) -> None:
    options, change = KINDS[kind]
    mariadb.execute(f"CREATE SEQUENCE s {options}", database=LIVE)
    numbers = [draw(mariadb, "s") for _ in range(7)]
    staging, old = staged(shop)
    if altered:
        mariadb.execute(change, database=staging)
    numbers += [draw(mariadb, "s") for _ in range(7)]
    shop.swap(staging, old)
    numbers += [draw(mariadb, "s") for _ in range(3)]
    assert len(set(numbers)) == 17
    back, undone = shop.names()
    copy.copy_database(shop.factory, old, back, 5)
    shop.swap(back, undone)
    numbers += [draw(mariadb, "s") for _ in range(3)]
    assert len(set(numbers)) == 20


def test_one_that_staging_is_ahead_of_goes_on_where_staging_stands(mariadb: MariaDB, shop: Shop) -> None:
    mariadb.execute("CREATE SEQUENCE s NOCACHE", database=LIVE)
    staging, old = staged(shop)
    mariadb.execute("DO SETVAL(s, 70, 0)", database=staging)
    assert draw(mariadb, "s") == 1
    shop.swap(staging, old)
    assert draw(mariadb, "s") == 70


@pytest.mark.parametrize("options", ["NOCACHE", "NOCACHE MAXVALUE 50 CYCLE"])
@pytest.mark.parametrize("early", [True, False])
def test_what_both_drew_from_is_a_late_write(
    mariadb: MariaDB, shop: Shop, monkeypatch: pytest.MonkeyPatch, early: bool, options: str
) -> None:
    """Also where the number is drawn in the last moment, when the sequence is about to be closed."""
    mariadb.execute(f"CREATE SEQUENCE s {options}", database=LIVE)
    staging, old = staged(shop)
    assert draw(mariadb, "s", staging) == 1
    before = state(shop)
    fence = MySqlFence(shop.factory, LIVE)
    fence.drawn_beside = {"s": 1}
    with monkeypatch.context() as patch:
        if early:
            draw(mariadb, "s")
            patch.setattr(swap, "write_plan", lambda *_: pytest.fail("it is known by now"))
        else:
            write_plan = swap.write_plan
            patch.setattr(swap, "write_plan", lambda *all_: (draw(mariadb, "s"), write_plan(*all_)))
        with pytest.raises(LateWrite):
            swap.swap(shop.factory, staging, LIVE, old, CONTROL, fence, fence.token(), 5)
    assert state(shop) == before
    assert not is_there(shop, old)
    fence.drawn_beside = {"s": 2}
    swap.swap(shop.factory, staging, LIVE, old, CONTROL, fence, fence.token(), 5)
    assert draw(mariadb, "s") == 2


def test_one_that_counts_the_other_way_is_another_one(mariadb: MariaDB, shop: Shop) -> None:
    mariadb.execute("CREATE SEQUENCE s NOCACHE", database=LIVE)
    staging, old = staged(shop)
    mariadb.execute("CREATE OR REPLACE SEQUENCE s INCREMENT -1 MINVALUE -50 MAXVALUE -1", database=staging)
    assert draw(mariadb, "s") == 1
    shop.swap(staging, old)
    assert draw(mariadb, "s") == -1


def test_a_rename_that_is_undone_leaves_it_where_it_was(
    mariadb: MariaDB, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    mariadb.execute("CREATE SEQUENCE s NOCACHE", database=LIVE)
    staging, old = staged(shop)
    prepared = state(shop, staging)
    with monkeypatch.context() as patch:
        patch.setattr(swap, "find_late_writes", lambda *_: draw(mariadb, "s") and ["t00"])
        with pytest.raises(LateWrite):
            shop.swap(staging, old)
    assert state(shop, staging) == prepared
    assert draw(mariadb, "s") == 2


def test_a_part_of_a_rename_is_undone_for_it_too(mariadb: MariaDB, shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    mariadb.execute("CREATE SEQUENCE s NOCACHE", database=LIVE)
    staging, old = staged(shop)
    prepared = state(shop, staging)

    def stop(*_: object) -> None:
        mariadb.execute(f"RENAME TABLE {staging}.s TO {old}.s")
        pytest.exit("as if killed")

    with monkeypatch.context() as patch:
        patch.setattr(swap, "_rename", stop)
        with pytest.raises(pytest.exit.Exception):
            shop.swap(staging, old)
    shop.recover(staging, old)
    assert state(shop, staging) == prepared
    assert not is_there(shop, old)


def test_one_that_is_beyond_its_new_end_has_run_out(mariadb: MariaDB, shop: Shop) -> None:
    mariadb.execute("CREATE SEQUENCE s MAXVALUE 500 NOCACHE", database=LIVE)
    staging, old = staged(shop)
    mariadb.execute("ALTER SEQUENCE s MAXVALUE 50", database=staging)
    mariadb.execute("DO SETVAL(s, 100, 0)", database=LIVE)
    shop.swap(staging, old)
    with pytest.raises(pymysql.Error, match="has run out"):
        draw(mariadb, "s")


def test_one_that_does_not_go_on_is_not_swapped_in(
    mariadb: MariaDB, shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    mariadb.execute("CREATE SEQUENCE s NOCACHE", database=LIVE)
    staging, old = staged(shop)
    mariadb.execute("ALTER SEQUENCE s CACHE 5", database=staging)
    assert draw(mariadb, "s") == 1
    before = state(shop)
    with monkeypatch.context() as patch:
        patch.setattr(sequences, "_set_next", lambda *_: None)
        with pytest.raises(VerificationFailed, match="does not go on at 2"):
            shop.swap(staging, old)
    assert state(shop) == before
    assert draw(mariadb, "s") == 2


def test_those_that_come_and_go_alone(mariadb: MariaDB, shop: Shop) -> None:
    mariadb.execute("CREATE SEQUENCE gone NOCACHE", database=LIVE)
    draw(mariadb, "gone")
    staging, old = staged(shop)
    mariadb.execute("DROP SEQUENCE gone", database=staging)
    mariadb.execute("CREATE SEQUENCE coming START 7 NOCACHE", database=staging)
    shop.swap(staging, old)
    assert draw(mariadb, "coming") == 7
    back, undone = shop.names()
    copy.copy_database(shop.factory, old, back, 5)
    shop.swap(back, undone)
    assert draw(mariadb, "gone") == 2


def test_a_database_of_nothing_but_a_sequence(mariadb: MariaDB, shop: Shop) -> None:
    empty, old = shop.names()
    mariadb.execute(f"CREATE DATABASE {empty}")
    mariadb.execute("CREATE SEQUENCE s NOCACHE", database=empty)
    shop.swap(empty, old)
    assert draw(mariadb, "s") == 1
    again, older = shop.names()
    copy.copy_database(shop.factory, LIVE, again, 5)
    assert draw(mariadb, "s") == 2
    shop.swap(again, older)
    assert draw(mariadb, "s") == 3
    assert draw(mariadb, "s", older) == 2


DRAWING = {
    "two columns": ("o BIGINT DEFAULT NEXTVAL(more)", ("o", "NEXTVAL(more)")),
    "two in one": ("o BIGINT DEFAULT (NEXTVAL(numbers) + NEXTVAL(more))", ("o", "NEXTVAL(numbers) + NEXTVAL(more)")),
    "the last one": ("o BIGINT DEFAULT LASTVAL(numbers)", ("o", "LASTVAL(numbers)")),
    "one of the live database": ("o BIGINT DEFAULT NEXTVAL(more)", ("z", "1")),
    "odd names": ("o BIGINT DEFAULT NEXTVAL(`ne``xtval(\nx`)", ("o", "NEXTVAL(`ne``xtval(\nx`)")),
}


@pytest.mark.parametrize("change", ["DO 1", "ALTER SEQUENCE more CACHE 20"], ids=["both stay", "one is altered"])
@pytest.mark.parametrize("kind", DRAWING)
def test_a_table_whose_defaults_name_several(mariadb: MariaDB, shop: Shop, kind: str, change: str) -> None:
    """The server opens all of them at each change of one, so it has to find all, and none that is closed."""
    column, (name, default) = DRAWING[kind]
    table = f"CREATE TABLE numbered (id BIGINT PRIMARY KEY DEFAULT NEXTVAL(numbers), z INT, {column})"
    fires = "CREATE TRIGGER fires BEFORE INSERT ON numbered FOR EACH ROW SET NEW.z = 5"
    sequences_of = [f"CREATE SEQUENCE {one}" for one in ("numbers", "more", "`ne``xtval(\nx`")]
    for sql in (*sequences_of, table, fires):
        mariadb.execute(sql, database=LIVE)
    staging, old = shop.names()
    stage(shop, staging, 1, f"ALTER TABLE numbered ALTER COLUMN {name} SET DEFAULT ({default})", change)
    shop.swap(staging, old)
    [(_, sql)] = mariadb.execute("SHOW CREATE TABLE numbered", database=LIVE)
    assert staging not in sql
    mariadb.execute("INSERT INTO numbered () VALUES ()", database=LIVE)
    assert mariadb.execute("SELECT z FROM numbered", database=LIVE) == [(5,)]
    assert not is_there(shop, staging)
