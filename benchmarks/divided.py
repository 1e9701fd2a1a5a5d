"""How the work of a run divides between processes, of this machine or of a cluster: ``make bench JOBS=1,2``.

The same source is carried over by the run alone, with so many processes that help (``--jobs``), and with so many
workers of a cluster on this machine. With few cores seconds say little; how the CPU seconds and the rows divide says
whether more machines would help.
"""

from __future__ import annotations

import argparse
import os
import re
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import orjson
import psutil

from tests.support.servers.dask import DaskCluster, dask_cluster
from tests.support.site import ROOT

from .speed.__main__ import list_programs, open_places, run_once
from .speed.contenders import Contender, Job, Places, carry
from .speed.stores import SOURCE, Store

RESULTS = ROOT / "benchmarks" / "results"
ROUTES = ("sqlite-mariadb", "mariadb-postgresql", "postgresql-mariadb")
ROWS_OF = re.compile(r"process (\d+): ([\d,]+) rows?")


@dataclass(frozen=True)
class Divided:
    """One run.

    :ivar helped: by whom: "alone", "2 processes", "4 workers".
    :ivar cpu_s: of the run and the processes of this machine that it started.
    :ivar workers_cpu_s: of each worker of the cluster, the busiest first.
    :ivar workers_rows: how many rows each of these loaded, in the same order.
    :ivar workers_read: how many it read of the source.
    """

    route: str
    helped: str
    seconds: float
    cpu_s: float
    server_cpu_s: float
    workers_cpu_s: Sequence[float] = ()
    workers_rows: Sequence[int] = ()
    workers_read: Sequence[int] = ()


def find_route(places: Places, name: str) -> Contender:
    """Our command on a route."""
    source, target = name.split("-")
    stores: dict[str, Store] = {"sqlite": places.sqlite, "mariadb": places.maria, "postgresql": places.postgres}
    urls = {name: store.url(SOURCE) for name, store in stores.items()}
    return carry(places, urls[source], places.second if target == "mariadb" else places.postgres)


def with_settings(contender: Contender, *arguments: str, **further: str) -> Contender:
    """The same command with more arguments and settings."""

    def prepare() -> Job:
        job = contender.prepare()
        return replace(job, line=" ".join([job.line, *arguments]), environ={**job.environ, **further})

    return replace(contender, prepare=prepare)


def measure_jobs(places: Places, route: str, rows: int, jobs: int) -> Divided:
    """A run with processes of this machine; 0 for none."""
    contender = with_settings(find_route(places, route), "--jobs", str(jobs))
    cost = run_once(places, contender, rows)
    return Divided(
        route, count(jobs, "process", "es") if jobs else "alone", cost.seconds, cost.cpu_s, cost.server_cpu_s
    )


def measure_workers(places: Places, route: str, rows: int, workers: int) -> Divided:
    """A run with workers of a cluster."""
    report = places.directory / "report.json"
    with (
        tempfile.TemporaryDirectory(prefix="ferry-bench-") as directory,
        dask_cluster(Path(directory), workers) as cluster,
    ):
        before = list_cpu_s(cluster)
        contender = with_settings(
            find_route(places, route), "--report", str(report), "--jobs", "0", FLASK_FERRY_EXECUTOR=cluster.url
        )
        cost = run_once(places, contender, rows)
        took = [after - former for former, after in zip(before, list_cpu_s(cluster), strict=True)]
        notes = orjson.loads(report.read_bytes())["notes"]
        loaded, read = (find_rows(notes, what) for what in ("Loaded", "Read"))
        busiest = sorted(range(workers), key=took.__getitem__, reverse=True)
    report.unlink()
    return Divided(
        route,
        count(workers, "worker", "s"),
        cost.seconds,
        cost.cpu_s,
        cost.server_cpu_s,
        [took[number] for number in busiest],
        *([rows.get(cluster.workers[number].pid, 0) for number in busiest] for rows in (loaded, read)),
    )


def list_cpu_s(cluster: DaskCluster) -> list[float]:
    """User and system time of each worker so far."""
    return [sum(psutil.Process(worker.pid).cpu_times()[:2]) for worker in cluster.workers]


def find_rows(notes: Sequence[str], what: str) -> dict[int, int]:
    """How many rows each process of a cluster loaded, or read, by what a receipt says."""
    text = next((note for note in notes if note.startswith(f"{what} on the cluster: ")), "")
    return {int(pid): int(rows.replace(",", "")) for pid, rows in ROWS_OF.findall(text)}


def count(number: int, word: str, ending: str) -> str:
    return f"{number} {word}" if number == 1 else f"{number} {word}{ending}"


def to_table(results: Sequence[Divided]) -> str:
    """The results for a page."""
    lines = [
        "| route | helped by | seconds | CPU s of the run | of each worker | read by each | loaded by each | server |",
        "|---|---|--:|--:|---|---|---|--:|",
    ]
    for one in results:
        took = "; ".join(f"{s:.1f}" for s in one.workers_cpu_s)
        read, loaded = (_join(rows) for rows in (one.workers_read, one.workers_rows))
        own = f"{one.seconds:.1f} | {one.cpu_s:.1f}"
        lines.append(f"| {one.route} | {one.helped} | {own} | {took} | {read} | {loaded} | {one.server_cpu_s:.1f} |")
    return "\n".join(lines)


def _join(rows: Sequence[int]) -> str:
    return "; ".join(f"{number:,}" for number in rows) if any(rows) else ""


def numbers(text: str) -> list[int]:
    """Whole numbers, with commas or spaces between them."""
    return [int(word) for word in text.replace(",", " ").split()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", default="S")
    parser.add_argument("--jobs", type=numbers, default=[1, 2])
    parser.add_argument("--workers", type=numbers, default=[1, 2, 4])
    parser.add_argument("--routes", default=" ".join(ROUTES))
    options = parser.parse_args()
    results: list[Divided] = []
    with open_places(options.size) as (places, rows, _small):
        for route in options.routes.replace(",", " ").split():
            results += [measure_jobs(places, route, rows, jobs) for jobs in (0, *options.jobs)]
            results += [measure_workers(places, route, rows, workers) for workers in options.workers]
            print(to_table(results), flush=True)
    machine = {"cpus": os.cpu_count(), "load": round(os.getloadavg()[0], 1), "programs": list_programs()}
    everything = {"machine": machine, "size": options.size, "rows": rows, "runs": [asdict(one) for one in results]}
    packed = orjson.dumps(everything, option=orjson.OPT_INDENT_2)
    (RESULTS / "divided.json").write_bytes(packed + b"\n")


if __name__ == "__main__":
    main()
