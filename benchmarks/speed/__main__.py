"""Run every contender of every route, in turns, and write what they took.

``make bench``; ``SIZE`` is XS, S, L or M, ``ROUTES`` names of routes (all where it is empty), ``REPEATS`` how often.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from benchmarks.data import fill
from benchmarks.host.forum import MIGRATIONS
from tests.support.site import ROOT

from .contenders import PEERS, Contender, Places, Route, flask, forum_environ
from .plot import plot
from .process import Cost, Failed, measure
from .results import Comparison, Results, Series, left_out_lines, table
from .routes import all_routes
from .stores import SOURCE, SqliteStore, Store, fill_tables

RESULTS = ROOT / "benchmarks" / "results"
SECOND = MIGRATIONS.with_name("second")
PROGRAMS = ("mariadbd --version", "psql --version", "sqlite3 --version", "pgloader --version", "mydumper --version",
            f"{PEERS / 'pip'} list --format freeze")  # fmt: skip


@contextmanager
def open_places(size: str) -> Iterator[tuple[Places, int, int]]:
    """All stores filled; with them the rows of the source and of the small one."""
    with tempfile.TemporaryDirectory(prefix="ferry-bench-") as directory:
        places = Places(Path(directory))
        try:
            make_second(places.directory / "second")
            rows = fill_file(places, places.sqlite, size)
            small = fill_file(places, places.small, "XS")
            for store in (places.maria, places.postgres):
                upgrade(places, store)
                fill_tables(places.sqlite.source, store.server, SOURCE)
            places.postgres.server.execute("ANALYZE", database=SOURCE)
            yield places, rows, small
        finally:
            places.stop()


def make_second(directory: Path) -> None:
    """The forum's revisions with one more."""
    shutil.copytree(MIGRATIONS, directory)
    for path in SECOND.glob("*.py"):
        shutil.copy(path, directory / "versions")


def fill_file(places: Places, store: SqliteStore, size: str) -> int:
    """Make a store's source; the number of its rows."""
    upgrade(places, store)
    return fill(store.source, size)


def upgrade(places: Places, store: Store) -> None:
    """Make the source's tables, at the first revision."""
    measure(flask("db", "upgrade"), forum_environ(places, store.url(SOURCE)), ROOT, places.server_cpu_s)


def run_once(places: Places, contender: Contender, rows: int) -> Cost:
    """Prepare, measure, count.

    :raises Failed: the command failed, or left another number of rows than the source has.
    """
    places.clear()
    job = contender.prepare()
    cost = measure(job.line, job.environ, places.directory, places.server_cpu_s)
    if job.store and (arrived := job.store.count(job.name)) != rows:
        raise Failed(f"{arrived:,} of {rows:,} rows arrived")
    return cost


def add_run(places: Places, contender: Contender, series: Series, rows: int) -> None:
    """Add one run to a contender's, or how it failed."""
    try:
        cost = run_once(places, contender, rows)
    except Failed as error:
        series.runs.append(None)
        series.failures.append(str(error))
        print(f"  {contender.name}: FAILED, {error}", flush=True)
        return
    series.runs.append(cost)
    print(f"  {contender.name}: {cost.seconds:.2f} s, CPU {cost.cpu_s:.2f} s, {cost.peak_mib:.0f} MiB", flush=True)


def compare(places: Places, routes: list[Route], results: Results, small: int, repeats: int) -> Iterator[None]:
    """Run all routes ``repeats`` times and yield after each; in each round another contender is first."""
    contenders = {route.name: [c for c in route.contenders if c.is_installed] for route in routes}
    for route in routes:
        series = [Series(contender.name) for contender in contenders[route.name]]
        results.routes.append(Comparison(route.name, route.title, small if route.small else results.rows, series))
    for number in range(repeats):
        for comparison in results.routes:
            print(f"{comparison.name} ({number + 1} of {repeats})", flush=True)
            results.repeats = number + 1
            pairs = list(zip(contenders[comparison.name], comparison.series, strict=True))
            first = number % len(pairs)
            for contender, runs in pairs[first:] + pairs[:first]:
                add_run(places, contender, runs, comparison.rows)
            yield
        results.load.append(round(os.getloadavg()[0], 1))


def list_missing(routes: list[Route]) -> dict[str, str]:
    """The contenders that are not installed."""
    return {c.name: "is not installed" for route in routes for c in route.contenders if not c.is_installed}


def list_programs() -> dict[str, str]:
    """The versions of what takes part."""
    versions = {"Python": platform.python_version()}
    for line in PROGRAMS:
        if shutil.which(line.split()[0]):
            output = subprocess.run(line.split(), capture_output=True, text=True, check=False).stdout
            versions[Path(line.split()[0]).name] = " ".join(output.split())
    versions["peers"] = " ".join(word for word in versions.pop("pip", "").split() if "sqlite" in word.lower())
    return versions


def pick_routes(places: Places, names: str) -> list[Route]:
    """The routes of these names; all where there are none.

    :raises SystemExit: there is no such route.
    """
    routes = all_routes(places)
    wanted = set(names.replace(",", " ").split())
    if unknown := wanted - {route.name for route in routes}:
        raise SystemExit(f"No such route: {', '.join(sorted(unknown))}. There are {', '.join(r.name for r in routes)}.")
    return [route for route in routes if not wanted or route.name in wanted]


def write(results: Results, path: Path) -> None:
    """Write the results and their plot."""
    path.write_bytes(orjson.dumps(results.to_json(), option=orjson.OPT_INDENT_2) + b"\n")
    path.with_suffix(".svg").write_text(plot(results), encoding="utf-8")


def main() -> None:
    size, names = os.environ.get("SIZE") or "S", os.environ.get("ROUTES") or ""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{size}-{time.strftime('%Y%m%d-%H%M%S')}.json"
    load = [round(os.getloadavg()[0], 1)]
    with open_places(size) as (places, rows, small):
        routes = pick_routes(places, names)
        left_out = list_missing(routes)
        results = Results(size, rows, 0, os.cpu_count() or 1, load, list_programs(), left_out, [])
        # It takes long: what was measured is there when the rest is interrupted.
        for _ in compare(places, routes, results, small, int(os.environ.get("REPEATS") or 3)):
            write(results, path)
    write(results, path)
    print(f"\n{table(results)}\nNot measured, or failed:\n{left_out_lines(results)}")
    print(f"{path.relative_to(ROOT)}, and its plot beside it")


if __name__ == "__main__":
    main()
