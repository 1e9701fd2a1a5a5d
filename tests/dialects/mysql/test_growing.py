"""A backup file restored as far as it is written: every statement once, no half of one, no file that is not whole."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.dialects.mysql import restore
from app.dialects.mysql.growing import Growing
from app.dialects.mysql.session import Factory
from app.errors import BackupFailed
from tests.support.servers.mariadb import MariaDB

from .tortured import dumped, everything

BACK = "torture__stg_growing"


@pytest.fixture
def whole(torture: Factory, tmp_path: Path) -> bytes:
    """A backup file of the tortured database."""
    return dumped(torture, "torture", tmp_path / "whole.sql").read_bytes()


def ends_of(whole: bytes) -> list[int]:
    """The places behind each statement of a file, as whoever writes it tells them."""
    places, place = [], 0
    for line in whole.splitlines(keepends=True):
        place += len(line)
        if (line.endswith(b";\n") and not line.startswith(b"DELIMITER ")) or line == b"DELIMITER ;\n":
            places.append(place)
    return places


def test_statements_are_run_as_they_come(mariadb: MariaDB, torture: Factory, whole: bytes, tmp_path: Path) -> None:
    path = tmp_path / "growing.sql"
    growing = Growing(path)
    first = whole.index(b"INSERT INTO")
    with ThreadPoolExecutor(1) as beside, path.open("wb", buffering=0) as file:
        restored = beside.submit(restore.restore_growing, torture, growing, BACK)
        # Also what is behind the last statement that was told: it is not looked at yet.
        file.write(whole[: first + 9])
        growing.reach(max(place for place in ends_of(whole) if place <= first))
        _wait_for_a_table(mariadb)
        assert not restored.done()
        file.write(whole[first + 9 :])
        growing.reach(ends_of(whole)[-1])
        growing.end(whole=True)
        restored.result(60)
    try:
        assert everything(mariadb, BACK) == everything(mariadb, "torture")
    finally:
        mariadb.execute(f"DROP DATABASE {BACK}")


def _wait_for_a_table(server: MariaDB) -> None:
    deadline = time.monotonic() + 30
    while not server.execute(f"SELECT 1 FROM information_schema.tables WHERE table_schema = '{BACK}'"):
        assert time.monotonic() < deadline
        time.sleep(0.02)


@pytest.mark.parametrize("change", ["other", "cut"])
def test_what_the_disk_does_not_hold_is_no_backup(
    mariadb: MariaDB, torture: Factory, whole: bytes, tmp_path: Path, change: str
) -> None:
    """Every statement was run as it was written; the file has changed behind that."""
    path = tmp_path / "growing.sql"
    growing, ends = Growing(path), ends_of(whole)
    path.write_bytes(whole)
    with ThreadPoolExecutor(1) as beside:
        restored = beside.submit(restore.restore_growing, torture, growing, BACK)
        growing.reach(ends[-1])
        deadline = time.monotonic() + 30
        while growing._read < ends[-1]:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        at = whole.index(b"INSERT INTO") + 3
        path.write_bytes(whole[: ends[-1]] if change == "cut" else whole[:at] + b"X" + whole[at + 1 :])
        growing.end(whole=True)
        with pytest.raises(BackupFailed, match=r"is damaged|is not complete"):
            restored.result(60)
    mariadb.execute(f"DROP DATABASE {BACK}")


def test_a_file_that_is_given_up_is_no_backup(torture: Factory, whole: bytes, tmp_path: Path, mariadb: MariaDB) -> None:
    path = tmp_path / "growing.sql"
    growing = Growing(path)
    path.write_bytes(whole)
    growing.reach(ends_of(whole)[3])
    growing.end(whole=False)
    with pytest.raises(BackupFailed, match="not written to its end"):
        restore.restore_growing(torture, growing, BACK)
    mariadb.execute(f"DROP DATABASE IF EXISTS {BACK}")


def test_a_statement_that_is_none_of_ours_is_not_run(torture: Factory, tmp_path: Path, mariadb: MariaDB) -> None:
    path = tmp_path / "growing.sql"
    text = restore.MAGIC + b"\nCREATE TABLE `t` (`id` int);\nINSERT INTO `t` (`id`) VALUES ((SELECT 1));\n"
    path.write_bytes(text)
    growing = Growing(path)
    growing.reach(len(text))
    growing.end(whole=True)
    with pytest.raises(BackupFailed, match="statement 2 is none"):
        restore.restore_growing(torture, growing, BACK)
    mariadb.execute(f"DROP DATABASE {BACK}")
