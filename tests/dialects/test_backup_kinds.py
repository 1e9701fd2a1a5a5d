"""Which server a backup file is of, by its first bytes and no name."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.dialects.backup_kinds import find_server


@pytest.mark.parametrize(
    ("content", "server"),
    [
        (b"SQLite format 3\x00" + bytes(84), "SQLite"),
        (b"SQLite format 3", None),
        (b"PGDMP\x01\x0e", "PostgreSQL"),
        (b"-- Flask-Ferry backup of a MySQL or MariaDB database\n", "MySQL/MariaDB"),
        (b"/*M!999999\\- enable the sandbox mode */\n-- MariaDB dump", "MySQL/MariaDB"),
        (b"-- MySQL dump 10.13", "MySQL/MariaDB"),
        (b"\n-- MySQL dump 10.13", None),
        (b"-- PostgreSQL database dump", None),
        (b"", None),
    ],
)
def test_it_is_known_by_how_it_begins(tmp_path: Path, content: bytes, server: str | None) -> None:
    (tmp_path / "app.sqlite3").write_bytes(content)
    assert find_server(tmp_path / "app.sqlite3") == server


def test_what_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        find_server(tmp_path / "none")
