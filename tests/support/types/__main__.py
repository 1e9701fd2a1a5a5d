"""Write docs/types.md anew: ``make types``."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.support.servers.mariadb import MariaDB
from tests.support.servers.postgresql import PostgreSQL

from .carry import places_on
from .page import PAGE, page
from .run import run


def main() -> int:
    with tempfile.TemporaryDirectory() as directory:
        mariadb, postgresql = MariaDB(Path(directory) / "mariadb"), PostgreSQL("autovacuum=off")
        try:
            mariadb.prepare()
            mariadb.start()
            postgresql.prepare()
            postgresql.start()
            outcome = run(places_on(mariadb, postgresql, Path(directory) / "places"))
        finally:
            mariadb.stop()
            postgresql.stop()
    wrong = [
        f"{one} to {other}: {title}: {words}"
        for (one, other), cells in outcome.cells.items()
        for title, cell in cells.items()
        for words in cell.wrong
    ]
    print("\n".join(wrong))
    if not wrong:
        PAGE.write_text(page(outcome.cells, outcome.exported), encoding="utf-8")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
