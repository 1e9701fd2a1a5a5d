"""A backup on its way: read back while the rows are read, and nothing of it is left where either fails."""

from __future__ import annotations

import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from app.dialects.sqlite.connect import Files
from app.dialects.sqlite.functions import Functions
from app.dialects.sqlite.image import SqliteImage
from app.dialects.sqlite.names import url_of
from app.errors import BackupFailed
from app.transfer.backup.making import Making

from .backup import DIALECT, KEY

FILES = Files(Functions())


def _of(source: Path) -> dict[str, Any]:
    scratch = url_of(source.with_name("scratch.db"))
    return {"scratch": scratch, "command": "db-backup", "run": "run", "database": str(source), "key": KEY}


def test_a_dump_that_is_not_what_was_dumped_is_no_backup(source: Path, directory: Path) -> None:
    class Forgetful(SqliteImage):
        def dump(self, to: Path) -> None:
            super().dump(to)
            with closing(sqlite3.connect(to)) as connection, connection:
                connection.execute("DELETE FROM t WHERE id = 2")

    copy = source.with_name("copy.db")
    with (
        DIALECT.image(url_of(source), url_of(copy), None) as image,
        pytest.raises(BackupFailed, match=r"does not read back .*: t"),
    ):
        Making(DIALECT, Forgetful(FILES, copy, b"", image.reader), directory / "b", **_of(source)).make()
    assert list(directory.iterdir()) == []


def test_it_is_written_and_read_back_while_the_rows_are_read(source: Path, directory: Path) -> None:
    threads: list[threading.Thread] = []

    class Noted(SqliteImage):
        def dump(self, to: Path) -> None:
            threads.append(threading.current_thread())
            super().dump(to)

    copy = source.with_name("copy.db")
    with DIALECT.image(url_of(source), url_of(copy), None) as image:
        backup = Making(DIALECT, Noted(FILES, copy, b"", image.reader), directory / "b", **_of(source)).make()
    assert threads != [threading.current_thread()]
    assert len(threads) == 1
    assert (backup.rows, backup.revision) == (2, "0001")


# Ended between open() and the block that closes it (Python 3.13): nothing refers to the file then, so it is closed.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_where_the_rows_cannot_be_read_nothing_of_it_is_left(source: Path, directory: Path) -> None:
    with DIALECT.image(url_of(source), url_of(source.with_name("copy.db")), None) as image:
        making = Making(DIALECT, image, directory / "b", **_of(source))
        with pytest.raises(KeyError), making.going_on():
            raise KeyError
    assert list(directory.iterdir()) == []
    assert not source.with_name("scratch.db").exists()
