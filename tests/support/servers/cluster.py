"""Databases in a Galera cluster, with an application that writes at every node and keeps what was acknowledged."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import pymysql
from sqlalchemy import URL, make_url

from app.dialects.mysql.dialect import MySqlDialect

from .galera import Galera

LIMIT_S = 60.0
LIVE = "live"
TABLES = {
    "parents": "CREATE TABLE {} (id BIGINT PRIMARY KEY, word VARCHAR(99))",
    "children": "CREATE TABLE {0} (id BIGINT PRIMARY KEY, parent BIGINT REFERENCES {1}.parents (id))",
    "others": "CREATE TABLE {} (id BIGINT PRIMARY KEY, word VARCHAR(99))",
    "keyless": "CREATE TABLE {} (id BIGINT, word VARCHAR(99))",
}
MARK = "version_{}"
"""A table that only one state of the database has."""


class Writers:
    """At each node one that writes single rows, and one that writes several tables in a transaction."""

    def __init__(self, cluster: Galera) -> None:
        self.acknowledged: dict[str, set[int]] = {table: set() for table in TABLES}
        self.errors: list[int] = []
        self._cluster, self._stop, self._lock, self._last = cluster, threading.Event(), threading.Lock(), 0
        self._threads = [
            threading.Thread(target=self._write, args=(node, together), daemon=True)
            for node in range(len(cluster.nodes))
            for together in (False, True)
        ]

    def __enter__(self) -> Writers:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(LIMIT_S)

    def _next(self) -> int:
        with self._lock:
            self._last += 1
            return self._last

    def _write(self, node: int, together: bool) -> None:
        while not self._stop.is_set():
            try:
                with self._cluster.nodes[node].connect(LIVE) as connection, connection.cursor() as cursor:
                    while not self._stop.is_set():
                        self._write_once(connection, cursor, together)
                        time.sleep(random.random() * 0.03)
            except pymysql.Error as error:
                self.errors.append(error.args[0])

    def _write_once(self, connection: Any, cursor: Any, together: bool) -> None:
        rows: list[tuple[str, int]] = []
        connection.begin()
        for table in random.sample(["parents", "others", "keyless"], 3 if together else 1):
            rows.append((table, self._next()))
            cursor.execute(f"INSERT INTO {table} (id, word) VALUES ({rows[-1][1]}, 'x')")
            if table == "parents":
                rows.append(("children", self._next()))
                cursor.execute(f"INSERT INTO children VALUES ({rows[-1][1]}, {rows[-2][1]})")
        connection.commit()
        for table, number in rows:
            self.acknowledged[table].add(number)


class Swaps:
    """A database that is swapped again and again; each time it has a table more that tells which one is live."""

    def __init__(self, cluster: Galera) -> None:
        self.cluster, self.number = cluster, 0
        self.dialect = MySqlDialect(Path("/nonexistent"), None)
        cluster.nodes[0].execute(f"CREATE DATABASE {LIVE}")
        cluster.nodes[0].execute(f"CREATE DATABASE {LIVE}__ferry")
        self._fill(0, LIVE, 0)
        self.live = 0

    def url(self, node: int, database: str) -> URL:
        return make_url(f"mysql+pymysql://root@127.0.0.1:{self.cluster.nodes[node].port}/{database}")

    def _fill(self, node: int, database: str, number: int) -> None:
        for name, sql in TABLES.items():
            self.cluster.nodes[node].execute(sql.format(f"`{database}`.{name}", f"`{database}`"))
        self.cluster.nodes[node].execute(f"CREATE TABLE `{database}`.{MARK.format(number)} (id INT PRIMARY KEY)")

    def prepare(self, node: int) -> tuple[URL, URL, URL]:
        """A staging database, made at a node: target, staging and generation."""
        self.number += 1
        stem = f"20260101T000000-{self.number:06x}"
        staging = f"{LIVE}__stg_{stem}"
        self.cluster.nodes[node].execute(f"CREATE DATABASE `{staging}`")
        self._fill(node, staging, self.number)
        return self.url(node, LIVE), self.url(node, staging), self.url(node, f"{LIVE}__gen_{stem}-old")

    def swap(self, target: URL, staging: URL, old: URL) -> None:
        with self.dialect.fence(target) as fence, fence.hold(20):
            self.dialect.swap(staging, target, old, fence, fence.token(), timeout_s=20)

    def settle(self) -> str:
        """Which database every node has now, ``old`` or ``new``; anything else fails."""
        self.wait()
        sql = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{LIVE}'"
        states = {tuple(sorted(str(name) for (name,) in node.execute(sql))) for node in self.cluster.nodes}
        old, new = (tuple(sorted([*TABLES, MARK.format(number)])) for number in (self.live, self.number))
        assert states in ({old}, {new}), states
        if states == {new}:
            self.live = self.number
            return "new"
        return "old"

    def wait(self) -> None:
        """Let every node apply what was acknowledged anywhere."""
        for node in self.cluster.nodes:
            with node.connect() as connection, connection.cursor() as cursor:
                cursor.execute("SET SESSION wsrep_sync_wait = 15")
                cursor.execute("SHOW DATABASES")

    def rows(self, node: int) -> dict[str, set[int]]:
        """All numbers in the live database and in all former ones, by table."""
        server = self.cluster.nodes[node]
        names = [
            name for (name,) in server.execute("SHOW DATABASES") if name == LIVE or name.startswith(f"{LIVE}__gen")
        ]
        return {
            table: {int(number) for name in names for (number,) in server.execute(f"SELECT id FROM `{name}`.{table}")}
            for table in TABLES
        }

    def check_rows(self, writers: Writers) -> None:
        """See that nothing that was acknowledged is lost, at any node."""
        acknowledged = {table: set(numbers) for table, numbers in writers.acknowledged.items()}
        self.wait()
        for node in range(len(self.cluster.nodes)):
            rows = self.rows(node)
            lost = {table: numbers - rows[table] for table, numbers in acknowledged.items()}
            assert not any(lost.values()), lost
