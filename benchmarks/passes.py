"""How often each kind of run reads, encodes, parses and hashes a row: ``make passes`` prints a table.

``read`` is what a reader gives to our process. Rows that a client program or a copy in the server carries are not in
it; what the server adds up by itself to prove such a copy is ``summed``. Digests of whole files, which go over their
bytes and know no rows, are not in ``hashed``.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.support.site import ROOT

from .speed.__main__ import open_places
from .speed.contenders import FORUM, Places, forum_environ
from .speed.stores import SOURCE, Store

SIZE = "XS"
COLUMNS = ("source", "live", "staging", "summed", "encoded", "parsed", "hashed")


@dataclass(frozen=True)
class Passes:
    """Times per row of the source.

    :ivar source: reads of the source's database.
    :ivar live: reads of the target's database as it was when the run began.
    :ivar staging: reads of any other: staging, copies and generations.
    """

    source: float
    live: float
    staging: float
    summed: float
    encoded: float
    parsed: float
    hashed: float


def count_passes(arguments: list[str], environ: dict[str, str], rows: int, *, source: str, live: str) -> Passes:
    """Run a command of the forum's and count.

    :param rows: of the source.
    :param source, live: the databases' names as :func:`.counting.name_database` gives them.
    :raises RuntimeError: the command failed.
    """
    file = Path(environ["FORUM_DIRECTORY"]).with_name("counts.json")
    line = [sys.executable, "-m", "benchmarks.counting", str(file), "--app", FORUM, *arguments]
    process = subprocess.run(line, cwd=ROOT, env={**os.environ, **environ}, capture_output=True, text=True, check=False)
    if process.returncode:
        raise RuntimeError(process.stderr)
    counts: Counter[str] = Counter()
    for what, where, count in json.loads(file.read_text()):
        counts[{source: "source", live: "live"}.get(where, "staging") if what == "read" else what] += count
    return Passes(**{name: round(counts[name] / rows, 2) for name in COLUMNS})


def database_name(places: Places, store: Store, name: str) -> str:
    """A store's database as the counts name it."""
    if store is places.postgres:
        return f"{name}.public"
    return name if store in (places.maria, places.second) else str(places.sqlite.path(name))


def count_carry(places: Places, rows: int, origin: Store, to: Store) -> Passes:
    """A whole run from a source."""
    name = to.make()
    environ = forum_environ(places, to.url(name), FLASK_FERRY_SOURCE=origin.url(SOURCE))
    source, live = database_name(places, origin, SOURCE), database_name(places, to, name)
    return count_passes(["db-migrate-data", "--yes", "--quiet"], environ, rows, source=source, live=live)


def count_on_live(places: Places, rows: int, store: Store, *arguments: str) -> Passes:
    """A run on a database that has the rows; there is a second revision."""
    name = store.copy()
    environ = forum_environ(places, store.url(name), FORUM_MIGRATIONS=str(places.directory / "second"))
    return count_passes([*arguments], environ, rows, source="", live=database_name(places, store, name))


def list_runs(places: Places, rows: int) -> dict[str, Callable[[], Passes]]:
    """Every kind of run."""
    stores = {"SQLite": places.sqlite, "MariaDB": places.maria, "PostgreSQL": places.postgres}
    runs = {
        f"{old} to {new}": lambda a=a, b=b: count_carry(places, rows, a, b)
        for old, a in stores.items()
        for new, b in stores.items()
    }
    for name, store in stores.items():
        runs[f"self, one revision, {name}"] = lambda s=store: count_on_live(
            places, rows, s, "db-migrate-data", "self", "--yes", "--quiet"
        )
        runs[f"db-backup, {name}"] = lambda s=store: count_on_live(places, rows, s, "db-backup")
    return runs


def main() -> None:
    print(f"| run, times per row | {' | '.join(COLUMNS)} |\n|---|{'--:|' * len(COLUMNS)}", flush=True)
    with open_places(SIZE) as (places, rows, _):
        for title, run in list_runs(places, rows).items():
            places.clear()
            passes = run()
            print(f"| {title} | {' | '.join(f'{getattr(passes, name):g}' for name in COLUMNS)} |", flush=True)


if __name__ == "__main__":
    main()
