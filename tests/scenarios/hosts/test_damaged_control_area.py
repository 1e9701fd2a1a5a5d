"""Every damage to the control area of a SQLite file is said, with the place and what to type; live rows stay."""

from __future__ import annotations

import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from .foreign import Foreign


def truncate(area: Path) -> None:
    file = area / "control.db"
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def zero(area: Path) -> None:
    file = area / "control.db"
    file.write_bytes(bytes(file.stat().st_size))


def not_a_database(area: Path) -> None:
    (area / "control.db").write_text("no database at all, but a text of some length\n" * 200)


def directory_for_the_file(area: Path) -> None:
    (area / "control.db").unlink()
    (area / "control.db").mkdir()


def directory_for_the_lock(area: Path) -> None:
    (area / "lock").unlink(missing_ok=True)
    (area / "lock").mkdir()


def file_for_the_area(area: Path) -> None:
    area.rename(area.with_name("moved"))
    area.write_text("not a directory")


def said(*statements: str) -> Callable[[Path], None]:
    def damage(area: Path) -> None:
        with closing(sqlite3.connect(area / "control.db")) as connection, connection:
            for statement in statements:
                connection.execute(statement)

    return damage


LEASE = (
    "(id, run_id, command, host, pid, process, user, started_at, heartbeat_at) "
    "VALUES (1, 'r', 'db-init', 'elsewhere', 1234, '1', 'u',"
)
DAMAGES: dict[str, Callable[[Path], None]] = {
    "truncated": truncate,
    "zeroed": zero,
    "not a database": not_a_database,
    "a directory for the file": directory_for_the_file,
    "a directory for the lock": directory_for_the_lock,
    "a file for the area": file_for_the_area,
    "no ledger": said("DROP TABLE ledger"),
    "no journal": said("DROP TABLE journal"),
    "no identity": said("DROP TABLE identity"),
    "other columns": said("DROP TABLE lease", "CREATE TABLE lease (x)"),
    "half an entry": said("UPDATE ledger SET entry = substr(entry, 1, 40)"),
    "an entry that is a list": said("UPDATE ledger SET entry = '[1]'"),
    "an unknown key of a newer version": said("UPDATE ledger SET entry = json_set(entry, '$.newer', 1)"),
    "NUL": said("UPDATE ledger SET entry = char(0) || entry"),
    "not UTF-8": said("UPDATE ledger SET entry = CAST(x'ff' AS TEXT)"),
    "deep JSON": said(f"UPDATE ledger SET entry = '{'[' * 100_000}'"),
    "half a value": said("UPDATE identity SET value = '\"x'"),
    "a lease of no time": said(f"INSERT INTO lease {LEASE} 'yesterday', 'yesterday')"),
    "a lease of times that are none": said(f"INSERT INTO lease {LEASE} x'ff', x'ff')"),
    "a lease of NULL": said(
        "DROP TABLE lease",
        "CREATE TABLE lease (id, run_id, command, host, pid, process, user, started_at, heartbeat_at)",
        "INSERT INTO lease (id) VALUES (NULL)",
    ),
    "a process that cannot be": said(
        f"INSERT INTO lease {LEASE.replace('1234', '1099511627776')} '2026-01-01 00:00:00', '2026-01-01 00:00:00')",
        f"UPDATE lease SET host = '{socket.gethostname()}'",
    ),
    "half a detail": said("UPDATE journal SET detail = '{\"a\": '"),
}
COMMANDS = {
    "db-status": [],
    "db-migrate-data": ["self", "--yes"],
    "db-rollback": ["--yes"],
    "db-backup": [],
    "db-verify": [],
}


@pytest.mark.parametrize("name", DAMAGES)
def test_a_damage_is_said(tmp_path: Path, name: str) -> None:
    host = Foreign(tmp_path)
    host.at("one")
    host.ok("db-migrate-data", "self", "--yes")
    host.add("three", "two", "op.add_column('thing', sa.Column('size', sa.Integer))")
    rows = host.rows()
    DAMAGES[name](host.directory / "live.db.ferry")
    failed = 0
    for command, arguments in COMMANDS.items():
        ended = host.run(command, *arguments)
        assert "Traceback" not in ended.stderr
        if ended.status == 1:
            assert ".ferry" in ended.stderr, (command, ended.stderr)
        if ended.status:
            assert len(ended.stderr.strip().splitlines()) > 1, (command, ended.stderr)
        failed += bool(ended.status)
        if command != "db-migrate-data" or ended.status:
            assert [row[:2] for row in host.rows()] == [row[:2] for row in rows], command
    assert failed
