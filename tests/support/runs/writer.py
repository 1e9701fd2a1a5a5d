"""An application that writes: one row after the other in one connection, each acknowledged in a file.

Run as a program: ``python -m tests.support.runs.writer DATABASE LOG PAUSE_S``. It ends when the file LOG.stop is there.
A statement that finds the database locked, or the schema changed, is tried once more.
"""

from __future__ import annotations

import sqlite3
import sys
import time
from pathlib import Path

BUSY_S = 30.0
LIMIT_S = 180.0


def main(database: str, log: str, pause_s: float) -> None:
    stop, number, until = Path(f"{log}.stop"), 0, time.monotonic() + LIMIT_S
    connection = sqlite3.connect(database, timeout=BUSY_S, isolation_level=None)
    with Path(log).open("w") as acknowledged:
        while not stop.exists() and time.monotonic() < until:
            number += 1
            try:
                _write(connection, number)
            except sqlite3.OperationalError as error:
                acknowledged.write(f"again {number} {error}\n")
                _write(connection, number)
            acknowledged.write(f"{number}\n")
            acknowledged.flush()
            time.sleep(pause_s)
    connection.close()


def _write(connection: sqlite3.Connection, number: int) -> None:
    connection.execute(
        "INSERT INTO studies (id, topic, subtopic, timestamp) VALUES (?, 'written', ?, '')", (10_000 + number, number)
    )


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
