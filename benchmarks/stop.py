"""For how long writers wait while a live database is brought to head, by its size and their rate: ``make stop``.

Each figure is of one whole ``flask db-migrate-data self``, with writers beside it that insert, change and delete rows.
What the report says of the wait is put beside the longest time in which no writer was acknowledged anything. After each
run everything that was acknowledged is looked for in the new database.
"""

from __future__ import annotations

import argparse
import itertools
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson

from benchmarks.data import fill
from benchmarks.host.forum import MIGRATIONS
from tests.support.site import ROOT

from .speed.contenders import FORUM
from .speed.stores import SOURCE, MariaStore, PostgresStore, SqliteStore, Store, fill_tables
from .writing import Writers

RESULTS = ROOT / "benchmarks" / "results" / "stop.json"
SERVERS, SIZES, RATES = ("mariadb", "postgresql", "sqlite"), ("XS", "S"), (10, 100, 1000)
HOWS = ("whole", "short")
LEAD_S = 0.5
"""For so long writers write before the command begins, and after it ended."""


@dataclass(frozen=True)
class Stop:
    """One run.

    :ivar how: ``whole``: a whole pass while writers wait, as it was before; ``short``: as it is.
    :ivar written: transactions a second that were acknowledged while nobody waited.
    :ivar waited_ms: as the report says.
    :ivar stalled_ms: the longest time in which nothing was acknowledged.
    :ivar brought: rows that were brought over, and those of them for which writers waited; None: a whole pass.
    :ivar status: of the command.
    :ivar lost: acknowledged, and not there or otherwise.
    :ivar failed: refused twice, so not acknowledged.
    """

    server: str
    size: str
    rows: int
    rate: int
    how: str
    status: int
    seconds: float
    written: float
    waited_ms: int | None
    stalled_ms: int
    brought: tuple[int, int] | None
    lost: int
    failed: int
    load: float
    notes: list[str]


def make_second(directory: Path) -> Path:
    """The forum's revisions with one more."""
    shutil.copytree(MIGRATIONS, directory)
    for path in MIGRATIONS.with_name("second").glob("*.py"):
        shutil.copy(path, directory / "versions")
    return directory


def environ_of(directory: Path, url: str, **further: str) -> dict[str, str]:
    return {
        **os.environ,
        "FORUM_DATABASE": url,
        "FORUM_DIRECTORY": str(directory / "instance"),
        "FLASK_SKIP_DOTENV": "1",
        "FLASK_FERRY_BACKUPS": str(directory / "backups"),
        "PYTHONPATH": str(ROOT),
        **further,
    }


def run_once(directory: Path, store: Store, server: str, size: str, rows: int, rate: int, how: str) -> Stop:
    """Bring a copy of the source to head while it is written."""
    name = store.copy()
    url = store.url(name)
    module = "benchmarks.whole_pass" if how == "whole" else "flask"
    to = directory / "report.json"
    command = [
        sys.executable,
        "-m",
        module,
        "--app",
        FORUM,
        "db-migrate-data",
        "self",
        "--yes",
        "--quiet",
        "--report",
        str(to),
    ]
    environ = environ_of(directory, url, FORUM_MIGRATIONS=str(directory / "second"))
    with Writers(url, rate) as writers:
        time.sleep(LEAD_S)
        began = time.monotonic()
        process = subprocess.run(
            command, cwd=directory, env=environ, capture_output=True, text=True, timeout=3600, check=False
        )
        seconds = time.monotonic() - began
        time.sleep(LEAD_S)
    pauses = [later - earlier for earlier, later in itertools.pairwise(writers.times)]
    lost = writers.find_lost(url)
    report = orjson.loads(to.read_bytes()) if to.exists() else {}
    to.unlink(missing_ok=True)
    waited = report.get("seconds", {}).get("writers waited")
    over = report.get("brought_over") or []
    if process.returncode or lost:
        print(process.stderr[-2000:], lost[:5], file=sys.stderr, flush=True)
    return Stop(
        server,
        size,
        rows,
        rate,
        how,
        process.returncode,
        round(seconds, 2),
        round(len(writers.times) / (sum(pauses) - max(pauses)), 1),
        None if waited is None else round(waited * 1000),
        round(max(pauses) * 1000),
        (sum(one["rows"] for one in over), sum(one["while_waiting"] for one in over)) if over else None,
        len(lost),
        len(writers.failures),
        round(os.getloadavg()[0], 1),
        report.get("notes", []),
    )


def open_store(server: str, directory: Path, size: str) -> tuple[Store, int]:
    """A private server, or a directory of files, with a forum of a size."""
    sqlite = SqliteStore(directory / "files")
    sqlite.directory.mkdir()
    makers = {"mariadb": MariaStore, "postgresql": PostgresStore, "sqlite": lambda: sqlite}
    store: Store = makers[server]()
    for one in {sqlite.url(SOURCE), store.url(SOURCE)}:
        line = [sys.executable, "-m", "flask", "--app", FORUM, "db", "upgrade"]
        subprocess.run(line, cwd=ROOT, env=environ_of(directory, one), check=True, capture_output=True)
    rows = fill(sqlite.source, size)
    if isinstance(store, MariaStore | PostgresStore):
        fill_tables(sqlite.source, store.server, SOURCE)
    if isinstance(store, PostgresStore):
        store.server.execute("ANALYZE", database=SOURCE)
    return store, rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--servers", nargs="+", default=SERVERS, choices=SERVERS)
    parser.add_argument("--sizes", nargs="+", default=SIZES)
    parser.add_argument("--rates", type=int, nargs="+", default=RATES)
    parser.add_argument("--hows", nargs="+", default=HOWS, choices=HOWS)
    parser.add_argument("--to", type=Path, default=RESULTS, help="where the results go; those of other runs stay")
    options = parser.parse_args()
    for server, size in itertools.product(options.servers, options.sizes):
        with tempfile.TemporaryDirectory(prefix="ferry-stop-") as place:
            directory = Path(place)
            make_second(directory / "second")
            store, rows = open_store(server, directory, size)
            try:
                for rate, how in itertools.product(options.rates, options.hows):
                    stop = run_once(directory, store, server, size, rows, rate, how)
                    store.clear()
                    keep(options.to, stop)
                    print(stop, flush=True)
            finally:
                store.stop()


def keep(file: Path, stop: Stop) -> None:
    """Put a run into the results, in the place of one of the same."""
    known = orjson.loads(file.read_bytes()) if file.exists() else []
    same = ("server", "size", "rate", "how")
    one = asdict(stop)
    rest = [other for other in known if any(other[name] != one[name] for name in same)]
    file.write_bytes(orjson.dumps([*rest, one], option=orjson.OPT_INDENT_2) + b"\n")


if __name__ == "__main__":
    main()
