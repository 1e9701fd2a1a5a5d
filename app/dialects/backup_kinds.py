"""Which server a backup file is of, by how it begins: known before anything is done with it."""

from __future__ import annotations

from pathlib import Path

_BEGINNINGS = {
    b"SQLite format 3\x00": "SQLite",
    b"PGDMP": "PostgreSQL",
    b"-- Flask-Ferry backup of a MySQL or MariaDB database": "MySQL/MariaDB",
    b"-- MySQL dump": "MySQL/MariaDB",
    b"-- MariaDB dump": "MySQL/MariaDB",
    b"/*!999999\\- enable the sandbox mode": "MySQL/MariaDB",
    b"/*M!999999\\- enable the sandbox mode": "MySQL/MariaDB",
}


def find_server(backup: Path) -> str | None:
    """The name of the room that a backup file is of; None where it begins as none that is known.

    :raises OSError: it cannot be read.
    """
    with backup.open("rb") as file:
        beginning = file.read(max(map(len, _BEGINNINGS)))
    return next((server for begins, server in _BEGINNINGS.items() if beginning.startswith(begins)), None)
