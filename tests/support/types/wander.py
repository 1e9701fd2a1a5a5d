"""Random databases by random routes, compared byte for byte: ``make routes``."""

from __future__ import annotations

import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import orjson
import sqlalchemy as sa

from app.transfer.rows.encode import encode, hash_rows
from app.transfer.rows.header import header_of, order_parents_first
from tests.support.servers.mariadb import ON_MYSQL, MariaDB
from tests.support.servers.postgresql import PostgreSQL

from .carry import Place, load_snapshot, places_on, sections, snapshot
from .generated import MadeTable, database
from .kinds import SERVERS

TOGETHER = 20
"""Databases that share one database of a server, and a route."""


def wander(places: Mapping[str, Place], seed: int, count: int = TOGETHER) -> tuple[str, ...]:
    """Make databases of a seed, carry them along a route, and compare the rows at each server; returns the route.

    :raises AssertionError: names seed, route and table.
    """
    tables = [table for number in range(count) for table in database(seed * TOGETHER + number, f"d{number:02}_")]
    r = random.Random(seed)
    route = tuple(r.choice(SERVERS) for _ in range(r.randint(1, 3)))
    path: Path | None = None
    for step, server in enumerate(route):
        at = places[server]
        staging = at.other(f"walk-{step}")
        at.dialect.prepare_staging(staging, at.target)
        _build(at, staging, tables)
        path = path or _first(at, staging, tables)
        loaded = load_snapshot(at, staging, path)
        where = f"seed {seed}, route {' > '.join(route[: step + 1])}"
        assert loaded.refused == {}, f"{where}: {loaded.refused}"
        path = snapshot(at, staging, at.directory / f"walk-{step}.json")
        _compare(sections(path), tables, server, where)
        at.dialect.drop(staging)
    return route


def _build(at: Place, url: sa.URL, tables: list[MadeTable]) -> None:
    metadata = sa.MetaData()
    for table in tables:
        table.table(at.name, metadata)
    engine = at.dialect.engine(url)
    with engine.begin() as connection:
        metadata.create_all(connection, checkfirst=False)
    engine.dispose()


def _first(at: Place, url: sa.URL, tables: list[MadeTable]) -> Path:
    """A snapshot with the made-up rows, as one of this server would be."""
    of_url = at.tables(url)
    header = replace(header_of("made up", "made up", "0001", of_url), tables=tuple(order_parents_first(of_url)))
    lines = {table.name: table.lines(at.name) for table in tables}
    found = ((table.name, hash_rows(table, map(orjson.loads, lines[table.name]))) for table in header.tables)
    path = at.directory / "made-up.json"
    path.write_bytes(b"".join(encode(header, found)))
    return path


def _compare(found: Mapping[str, list[bytes]], tables: list[MadeTable], server: str, where: str) -> None:
    assert set(found) == {table.name for table in tables}, where
    for table in tables:
        # Texts are sorted by each server's own rules.
        mine, theirs = sorted(table.lines(server)), sorted(found[table.name])
        if ON_MYSQL:
            mine, theirs = (sorted(_respell(table, line) for line in lines) for lines in (mine, theirs))
        assert mine == theirs, f"{where}: {table.name}: {set(mine) - set(theirs)} became {set(theirs) - set(mine)}"


def _respell(table: MadeTable, line: bytes) -> bytes:
    """A row with JSON in one spelling: MySQL has its own order of keys, and no escapes that need not be."""
    values = json.loads(line)
    for place, kind in enumerate(table.columns.values()):
        if kind == "json" and isinstance(values[place], str):
            values[place] = json.dumps(json.loads(values[place]), sort_keys=True)
    return json.dumps(values).encode()


def main(count: int, seed: int) -> int:
    began, routes = time.monotonic(), Counter[str]()
    with tempfile.TemporaryDirectory() as directory:
        mariadb, postgresql = MariaDB(Path(directory) / "mariadb"), PostgreSQL("autovacuum=off")
        try:
            mariadb.prepare()
            mariadb.start()
            postgresql.prepare()
            postgresql.start()
            places = places_on(mariadb, postgresql, Path(directory) / "places")
            print(f"seed {seed}", flush=True)
            for number in range(-(-count // TOGETHER)):
                routes[" > ".join(wander(places, seed + number))] += TOGETHER
                if number % 25 == 24:
                    print(f"{sum(routes.values())} databases, {time.monotonic() - began:.0f} s", flush=True)
        finally:
            mariadb.stop()
            postgresql.stop()
    for route, number in sorted(routes.items()):
        print(f"{number:6} {route}")
    print(f"{sum(routes.values())} databases carried exactly in {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else random.SystemRandom().randrange(10**9)))
