"""Kill a MariaDB server, or ourselves, in the middle of a cut-over, and look at what is left."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pymysql

from app.dialects.mysql import copy, swap
from app.dialects.mysql import mark as mark_of
from app.dialects.mysql.connect import connect_to
from app.dialects.mysql.session import Factory
from app.errors import FerryError
from tests.support.servers.mariadb import FilesLost, MariaDB, numbers

LIVE, CONTROL = "shop", "shop__ferry"

ACCOUNTS = 50

RETRIED = (1205, 1213)
LOST = "not counted: the server lost its own files"


class Shop:
    """A live database with accounts, a ledger, and triggers that write an audit row for each row of the ledger."""

    def __init__(self, server: MariaDB, tables: int) -> None:
        self.server, self.tables = server, [f"t{number:02}" for number in range(tables)]
        self.factory: Factory = functools.partial(connect_to, server.url(LIVE), None)
        self.runs = itertools.count(1)

    def make(self) -> None:
        """Everything anew, of generation 0."""
        self.forget()
        self.server.execute(f"CREATE DATABASE {LIVE} CHARACTER SET utf8mb4")
        statements = [
            "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)",
            "CREATE TABLE accounts (id INT PRIMARY KEY, amount INT NOT NULL)",
            f"INSERT INTO accounts SELECT seq, 100 FROM {numbers(ACCOUNTS)}",
            "CREATE TABLE ledger (id BIGINT AUTO_INCREMENT PRIMARY KEY, op VARCHAR(40) UNIQUE, account INT NOT NULL, "
            "CONSTRAINT fk_account FOREIGN KEY (account) REFERENCES accounts (id) ON DELETE CASCADE)",
            "CREATE TABLE audit (id BIGINT AUTO_INCREMENT PRIMARY KEY, op VARCHAR(40), what VARCHAR(9))",
            "CREATE TRIGGER noted AFTER INSERT ON ledger FOR EACH ROW "
            "INSERT INTO audit (op, what) VALUES (NEW.op, 'first')",
            "CREATE TRIGGER noted_again AFTER INSERT ON ledger FOR EACH ROW "
            "INSERT INTO audit (op, what) VALUES (NEW.op, 'second')",
            "CREATE TRIGGER guarded BEFORE UPDATE ON accounts FOR EACH ROW SET @seen = 1",
            "CREATE FUNCTION doubled (x INT) RETURNS INT DETERMINISTIC RETURN x * 2",
            "CREATE VIEW balances AS SELECT id, doubled(amount) AS twice FROM accounts",
            "CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY DO DELETE FROM audit WHERE id < 0",
        ]
        for name in self.tables:
            statements += [f"CREATE TABLE {name} (g INT PRIMARY KEY)", f"INSERT INTO {name} VALUES (0)"]
        self._run(statements, LIVE)

    def _run(self, statements: list[str], database: str) -> None:
        with self.server.connect(database) as connection, connection.cursor() as cursor:
            for sql in statements:
                cursor.execute(sql)

    def forget(self) -> None:
        """Drop everything that was made."""
        # What refers to another database comes after it.
        found = reversed(self.server.execute("SHOW DATABASES LIKE 'shop%'"))
        self._run([f"DROP DATABASE `{name}`" for (name,) in found], "mysql")

    def names(self) -> tuple[str, str]:
        """New names of a staging database and a generation."""
        run = next(self.runs)
        return f"{LIVE}__stg_{run}", f"{LIVE}__gen_{run:08x}__old"

    def stage(self, staging: str, generation: int) -> None:
        """A copy of what is live, of another generation, with a view and a trigger of its own."""
        copy.copy_database(self.factory, LIVE, staging, 10)
        statements = [
            *(f"UPDATE {name} SET g = {generation}" for name in self.tables),
            "CREATE TABLE IF NOT EXISTS since_one (g INT)",
            f"CREATE OR REPLACE VIEW generation AS SELECT {generation} AS g",
            "DROP TRIGGER IF EXISTS extra",
            f"CREATE TRIGGER extra BEFORE INSERT ON t00 FOR EACH ROW SET @generation = {generation}",
        ]
        self._run(statements, staging)
        with self.factory(to_database=False) as connection:
            mark_of.set_mark(connection, staging, f"{generation:08x}")

    def swap(self, staging: str, old: str, *, held: Callable[[], None] | None = None, timeout_s: float = 30) -> None:
        """Cut over; what ``held`` does is done while writers wait."""
        fence = swap.MySqlFence(self.factory, LIVE)
        with fence.hold(timeout_s) if held else contextlib.nullcontext():
            if held:
                held()
            swap.swap(self.factory, staging, LIVE, old, CONTROL, fence, fence.token(), timeout_s)

    def usual_s(self) -> float:
        """How long a cut-over takes that nobody kills."""
        staging, old = self.names()
        self.stage(staging, self.generation() + 1)
        began = time.monotonic()
        self.swap(staging, old)
        return time.monotonic() - began

    def recover(self, staging: str, old: str) -> list[str]:
        return swap.recover(self.factory, staging, LIVE, old, CONTROL)

    def generation(self) -> int:
        """Which generation is live.

        :raises AssertionError: it is a mixture, or incomplete.
        """
        tables = " UNION ALL ".join(f"SELECT g FROM {name}" for name in self.tables)
        found = {int(row[0]) for row in self.server.execute(tables, database=LIVE)}
        assert len(found) == 1, f"a mixture: {found}"
        [live] = found
        with self.factory(to_database=False) as connection:
            mark = mark_of.mark(connection, LIVE)
            objects = {item.name: item.sql for item in copy.objects(connection, LIVE) if item.kind != "sequence"}
        assert mark == (f"{live:08x}" if live else ""), (mark, live)
        wanted = {"noted", "noted_again", "guarded", "doubled", "balances", "tidy"}
        if live:
            wanted |= {"generation", "extra"}
            assert objects["extra"].endswith(f"= {live}"), objects["extra"]
            assert self.server.execute("SELECT g FROM generation", database=LIVE) == [(live,)]
        assert objects.keys() == wanted
        assert [name for name in objects if name.startswith("noted")] == ["noted", "noted_again"], "another order"
        assert self.server.execute("SELECT count(*) FROM balances", database=LIVE) == [(ACCOUNTS,)]
        events = "SELECT event_schema FROM information_schema.events WHERE status = 'ENABLED' AND event_name = 'tidy'"
        assert self.server.execute(events) == [(LIVE,)]
        tables = "SELECT 1 FROM information_schema.tables WHERE table_name = 'cutover_plan' AND table_schema = %s"
        plan = self.server.execute(tables, CONTROL)
        assert not plan or self.server.execute(f"SELECT count(*) FROM {CONTROL}.cutover_plan") == [(0,)]
        return live


class Application:
    """Threads that move amounts between accounts, and remember what they were told was done."""

    def __init__(self, server: MariaDB, threads: int) -> None:
        self.server, self.done, self.unexpected = server, set[str](), list[str]()
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._work, args=(number,)) for number in range(threads)]

    def __enter__(self) -> Application:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join(60)

    def _work(self, number: int) -> None:
        chance = random.Random(number)
        with self.server.connect(LIVE) as connection:
            for count in itertools.count():
                if self._ended.is_set():
                    return
                op = f"{id(self):x}-{number}-{count}"
                while not self._ended.is_set():
                    try:
                        self._transfer(connection, op, chance)
                        break
                    except pymysql.Error as error:
                        if error.args[0] not in RETRIED:
                            self.unexpected.append(str(error))
                            return
                        connection.rollback()

    def _transfer(self, connection: Any, op: str, chance: random.Random) -> None:
        source, to = chance.sample(range(1, ACCOUNTS + 1), 2)
        # In either order, so that two applications' transactions, and we, can wait for each other.
        steps = [
            ("UPDATE accounts SET amount = amount - 1 WHERE id = %s", source),
            ("UPDATE accounts SET amount = amount + 1 WHERE id = %s", to),
        ]
        note = ("INSERT INTO ledger (op, account) VALUES (%s, %s)", op, to)
        chosen = [note, *steps] if chance.random() < 0.5 else [*steps, note]
        with connection.cursor() as cursor:
            cursor.execute("BEGIN")
            for sql, *values in chosen:
                cursor.execute(sql, values)
            cursor.execute("COMMIT")
        self.done.add(op)

    def check(self, *, audited: bool = True) -> None:
        """Every transfer that was acknowledged is there, once and whole; triggers fired for each."""
        assert self.unexpected == []
        there = [str(op) for (op,) in self.server.execute("SELECT op FROM ledger", database=LIVE)]
        assert len(there) == len(set(there))
        lost = self.done - set(there)
        assert not lost, f"{len(lost)} acknowledged transfers are not live"
        assert self.server.execute("SELECT sum(amount) FROM accounts", database=LIVE) == [(100 * ACCOUNTS,)]
        if audited:
            # Joined by hashes: row by row it would take minutes on MySQL.
            sql = "SELECT op FROM ledger LEFT JOIN audit USING (op) GROUP BY op HAVING count(audit.id) <> 2"
            assert self.server.execute(sql, database=LIVE) == []


@contextlib.contextmanager
def killed(after_s: float, kill: Callable[[], None]) -> Iterator[None]:
    """Kill something in a while."""
    timer = threading.Timer(after_s, kill)
    timer.start()
    try:
        yield
    finally:
        timer.join()


def kill_server_once(shop: Shop, after_s: float) -> str:
    """A cut-over, the server killed meanwhile and started again, and recovery; what became of it.

    :return: ``all old`` or ``all new``; :data:`LOST` where the server could not read its own files again, which shows
        nothing of ours: it has new ones then.
    """
    before = shop.generation()
    staging, old = shop.names()
    shop.stage(staging, before + 1)
    # Whatever it says: what has become of it is to be seen, not heard.
    with killed(after_s, shop.server.kill), contextlib.suppress(FerryError, pymysql.Error):
        shop.swap(staging, old)
    try:
        shop.server.start()
    except FilesLost:
        shutil.rmtree(shop.server.data)
        shop.server.prepare()
        shop.server.start()
        shop.make()
        return LOST
    for _ in range(2):
        shop.recover(staging, old)
    after = shop.generation()
    assert after in (before, before + 1)
    if after == before:
        shop.server.execute(f"DROP DATABASE IF EXISTS {staging}")
    for name in (staging, old):
        shop.server.execute(f"DROP DATABASE IF EXISTS {name}")
    return "all new" if after > before else "all old"


def kill_self_once(shop: Shop, after_s: float, generation: int) -> tuple[str, list[str]]:
    """A cut-over by a process of its own, which is killed; what became of it, and what recovery has to say."""
    staging, old = shop.names()
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            shop.swap(staging, old, held=lambda: shop.stage(staging, generation))
        os._exit(0)
    time.sleep(after_s)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    notes = [note for _ in range(2) for note in shop.recover(staging, old)]
    live = shop.generation()
    shop.server.execute(f"DROP DATABASE IF EXISTS {staging}")
    return ("all new" if live == generation else "all old"), notes
