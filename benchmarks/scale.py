"""What a row, a table and a round trip cost on each route, and what follows for more rows: ``make scale``.

Seconds are those of a whole command, all processes and servers on one machine. A row's cost is the slope of a line
through the measured numbers of rows, with the rest as the cost of a run; a table's is that of 100 more small tables;
the number of round trips is how much longer the smallest run takes when each takes 10 ms more.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

import orjson

from benchmarks.data import fill_times
from benchmarks.host.forum import MIGRATIONS
from benchmarks.host.many import write_migrations
from tests.support.site import ROOT

from .speed.__main__ import list_programs, make_second, run_once, upgrade
from .speed.contenders import ROUND_TRIP_S, Contender, Places, carry, forum_environ, upgrade_self
from .speed.process import Cost, measure
from .speed.stores import SOURCE, Store, fill_tables

RESULTS = ROOT / "benchmarks" / "results" / "scale.json"
COUNTS = (10_000, 100_000, 1_000_000)
FIXED, GROWING = 40, 81_000
"""Of the rows of size S: tags are as many in each size, the others grow with it."""
TABLES = (10, 110)
ROUTES = (
    "sqlite-sqlite",
    "mariadb-mariadb",
    "postgresql-postgresql",
    "mariadb-postgresql",
    "self-sqlite",
    "self-mariadb",
    "self-postgresql",
)
MANY = "benchmarks.host.many:create_app"
BILLION = 10**9


@dataclass
class Measured:
    """One route.

    :ivar seconds: of a run, by its number of rows.
    :ivar cpu_s: of the command and the servers, by the number of rows.
    :ivar peak_mib: of the command's largest process.
    :ivar table_s: of one more small table; None where it was not measured.
    :ivar round_trips: of a run of the smallest number of rows; None where no server is far.
    """

    seconds: dict[int, float] = field(default_factory=dict)
    cpu_s: dict[int, float] = field(default_factory=dict)
    peak_mib: dict[int, float] = field(default_factory=dict)
    table_s: float | None = None
    round_trips: int | None = None


def fit(points: Sequence[tuple[float, float]]) -> tuple[float, float]:
    """The line through points, by least squares of the relative error, so that small runs count as large ones do.

    :return: what a run costs without a row, never less than 0, and what each row adds.
    """
    weights = [1 / max(y, 1e-9) ** 2 for _, y in points]
    total = sum(weights)
    mean_x = sum(w * x for w, (x, _) in zip(weights, points, strict=True)) / total
    mean_y = sum(w * y for w, (_, y) in zip(weights, points, strict=True)) / total
    spread = sum(w * (x - mean_x) ** 2 for w, (x, _) in zip(weights, points, strict=True))
    slope = sum(w * (x - mean_x) * (y - mean_y) for w, (x, y) in zip(weights, points, strict=True)) / spread
    return max(0.0, mean_y - slope * mean_x), slope


def find_bend(points: Sequence[tuple[float, float]]) -> float | None:
    """How many times the cost of a row between the two largest runs is that between the two smallest.

    :return: None where there are fewer than three.
    """
    if len(points) < 3:
        return None
    (a, b), (y, z) = sorted(points)[:2], sorted(points)[-2:]
    return ((z[1] - y[1]) / (z[0] - y[0])) / ((b[1] - a[1]) / (b[0] - a[0]))


@contextmanager
def open_filled(count: int, routes: Sequence[str] = ROUTES) -> Iterator[tuple[Places, int]]:
    """All stores that routes have to do with, with about so many rows; with them how many there are."""
    with tempfile.TemporaryDirectory(prefix="ferry-scale-") as directory:
        places = Places(Path(directory))
        try:
            make_second(places.directory / "second")
            upgrade(places, places.sqlite)
            rows = fill_times(places.sqlite.source, (count - FIXED) / GROWING, f"{count} rows")
            stores = {"mariadb": places.maria, "postgresql": places.postgres}
            for store in [store for name, store in stores.items() if any(name in route for route in routes)]:
                upgrade(places, store)
                fill_tables(places.sqlite.source, store.server, SOURCE)
                if store is places.postgres:
                    places.postgres.server.execute("ANALYZE", database=SOURCE)
            yield places, rows
        finally:
            places.stop()


def list_routes(places: Places) -> dict[str, Contender]:
    """Our command on each route; from PostgreSQL to PostgreSQL is a copy within one server."""
    maria, postgres, sqlite = places.maria, places.postgres, places.sqlite
    return {
        "sqlite-sqlite": carry(places, sqlite.url(SOURCE), sqlite),
        "mariadb-mariadb": carry(places, maria.url(SOURCE), places.second),
        "postgresql-postgresql": carry(places, postgres.url(SOURCE), postgres),
        "mariadb-postgresql": carry(places, maria.url(SOURCE), postgres),
        "self-sqlite": upgrade_self(places, sqlite),
        "self-mariadb": upgrade_self(places, maria),
        "self-postgresql": upgrade_self(places, postgres),
    }


def list_far(places: Places) -> dict[str, Contender]:
    """Routes whose target's server is 10 ms away."""
    return {
        "mariadb-postgresql": carry(places, places.maria.url(SOURCE), places.postgres, places.far_postgres.port),
        "sqlite-mariadb": carry(places, places.sqlite.url(SOURCE), places.maria, places.far_maria.port),
    }


def measure_rows(count: int, results: dict[str, Measured], repeats: int, routes: Sequence[str] = ROUTES) -> None:
    """Add a number of rows to routes."""
    with open_filled(count, routes) as (places, rows):
        for name, contender in list_routes(places).items():
            if name not in routes:
                continue
            costs = [run_once(places, contender, rows) for _ in range(repeats)]
            add_costs(results.setdefault(name, Measured()), rows, costs)
            print(f"{name}, {rows:,} rows: {results[name].seconds[rows]:.2f} s", flush=True)


def add_costs(measured: Measured, rows: int, costs: Sequence[Cost]) -> None:
    """Keep the median of each figure."""
    measured.seconds[rows] = round(median(cost.seconds for cost in costs), 3)
    measured.cpu_s[rows] = round(median(cost.cpu_s + cost.server_cpu_s for cost in costs), 3)
    measured.peak_mib[rows] = round(median(cost.peak_mib for cost in costs), 1)


def measure_round_trips(count: int, results: dict[str, Measured]) -> None:
    """Count round trips by what a delay adds; rows go in few of them, so a small run shows them all."""
    with open_filled(count) as (places, rows):
        near = {**list_routes(places), "sqlite-mariadb": carry(places, places.sqlite.url(SOURCE), places.maria)}
        for name, far in list_far(places).items():
            longer_s = run_once(places, far, rows).seconds - run_once(places, near[name], rows).seconds
            results.setdefault(name, Measured()).round_trips = round(longer_s / ROUND_TRIP_S)
            print(f"{name}: {results[name].round_trips} round trips", flush=True)


def measure_tables(results: dict[str, Measured]) -> None:
    """Add what one more table costs, by runs with few and with many."""
    with tempfile.TemporaryDirectory(prefix="ferry-scale-") as directory:
        places = Places(Path(directory))
        migrations = places.directory / "many"
        write_migrations(migrations, MIGRATIONS / "env.py")
        try:
            pairs: dict[str, tuple[Store, Store]] = {
                "sqlite-sqlite": (places.sqlite, places.sqlite),
                "mariadb-mariadb": (places.maria, places.second),
                "postgresql-postgresql": (places.postgres, places.postgres),
            }
            for name, (source, target) in pairs.items():
                few, many = (_time_tables(places, migrations, source, target, count) for count in TABLES)
                results.setdefault(name, Measured()).table_s = round((many - few) / (TABLES[1] - TABLES[0]), 4)
                print(f"{name}: {results[name].table_s} s for a table", flush=True)
        finally:
            places.stop()


def _time_tables(places: Places, migrations: Path, source: Store, target: Store, count: int) -> float:
    """The seconds of a run that carries so many tables."""
    further = {"MANY_TABLES": str(count), "FORUM_MIGRATIONS": str(migrations)}
    places.clear()
    url = source.url(source.make())
    flask = [sys.executable, "-m", "flask", "--app", MANY]
    measure(shlex.join([*flask, "db", "upgrade"]), forum_environ(places, url, **further), ROOT, places.server_cpu_s)
    environ = forum_environ(places, target.url(target.make()), FLASK_FERRY_SOURCE=url, **further)
    line = shlex.join([*flask, "db-migrate-data", "--yes", "--quiet"])
    return measure(line, environ, places.directory, places.server_cpu_s).seconds


def summarise(results: dict[str, Measured]) -> dict[str, dict[str, float | None]]:
    """Of each route that was measured at two numbers of rows: its line, its bend, and hours for a billion rows."""
    lines = {}
    for name, measured in results.items():
        points = [(float(rows), seconds) for rows, seconds in sorted(measured.seconds.items())]
        if len(points) < 2:
            continue
        run_s, row_s = fit(points)
        lines[name] = {
            "run_s": round(run_s, 2),
            "row_us": round(row_s * 1e6, 2),
            "bend": find_bend(points),
            "billion_h": round((run_s + row_s * BILLION) / 3600, 1),
        }
    return lines


def to_table(kept: Mapping[str, Any]) -> str:
    """The table of the page: what was measured, by about how many rows, and the lines through it."""
    numbers = sorted({round(int(rows), -3) for one in kept["routes"].values() for rows in one["seconds"]})
    head = ["route", *(f"{number:,} rows" for number in numbers), "a run", "a row", "the last rows to the first"]
    lines = [f"| {' | '.join([*head, 'a billion rows, on this machine'])} |", f"|---|{'---:|' * (len(head))}"]
    for name, line in kept["lines"].items():
        seconds = {round(int(rows), -3): value for rows, value in kept["routes"][name]["seconds"].items()}
        cells = [f"{seconds[number]:.1f} s" if number in seconds else "" for number in numbers]
        bend = "" if line["bend"] is None else f"{line['bend']:.1f} times"
        cells += [f"{line['run_s']:.1f} s", f"{line['row_us']:.0f} µs", bend, f"{line['billion_h']:.0f} h"]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def read_results(file: Path) -> dict[str, Measured]:
    """What an earlier run kept."""
    kept = orjson.loads(file.read_bytes())["routes"]
    measured = {name: Measured(**one) for name, one in kept.items()}
    for one in measured.values():
        one.seconds, one.cpu_s, one.peak_mib = (
            {int(rows): value for rows, value in of.items()} for of in (one.seconds, one.cpu_s, one.peak_mib)
        )
    return measured


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--routes", nargs="+", default=ROUTES, choices=ROUTES)
    parser.add_argument("--more", action="store_true", help="add numbers of rows to the results that are there")
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS, help="numbers of rows; 10000000 takes hours")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the results go")
    options = parser.parse_args()
    results = read_results(options.to) if options.more else {}
    machine = {"cpus": os.cpu_count(), "load": [round(os.getloadavg()[0], 1)], "programs": list_programs()}
    if not options.more:
        measure_tables(results)
        measure_round_trips(min(options.counts), results)
    for count in sorted(options.counts):
        measure_rows(count, results, options.repeats, options.routes)
        machine["load"] = [*machine["load"], round(os.getloadavg()[0], 1)]  # type: ignore[misc]
        # It takes long: what was measured is there when the rest is interrupted.
        everything = {"machine": machine, "routes": {name: asdict(one) for name, one in results.items()}}
        packed = orjson.dumps(
            {**everything, "lines": summarise(results)}, option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
        )
        options.to.write_bytes(packed + b"\n")
    print(f"{options.to}:\n{to_table(orjson.loads(options.to.read_bytes()))}")


if __name__ == "__main__":
    main()
