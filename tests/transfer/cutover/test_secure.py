"""A portable backup: what a snapshot cannot hold is refused before anything is written."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from app.dialects.base import Fence
from app.dialects.model import LateWrite
from app.dialects.sqlite.names import url_of
from app.errors import BackupFailed, VerificationFailed
from app.transfer.cutover.secure import describe_rows, take_image, write_backup, write_portable
from app.transfer.rows.snapshot import check
from tests.transfer.backup.backup import DIALECT
from tests.transfer.hosts import made_run

VERSIONS = "CREATE TABLE alembic_version (version_num TEXT); INSERT INTO alembic_version VALUES ('0001');"


def database(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.executescript(script)
    return path


def write(path: Path, to: Path) -> None:
    with DIALECT.reader(url_of(path)) as reader:
        write_portable("the app", reader, to)


def test_all_rows_are_in_it_and_alembic_s_own_is_the_revision(tmp_path: Path) -> None:
    path = database(
        tmp_path / "a.db", VERSIONS + "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)"
    )
    write(path, tmp_path / "b.json.gz")
    header, footer = check(tmp_path / "b.json.gz")
    assert (header.revision, header.source, {name: c.rows for name, c in footer.checksums.items()}) == (
        "0001",
        "the app",
        {"t": 2},
    )


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("CREATE TABLE t (id INTEGER)", "needs the revision"),
        (
            VERSIONS + "CREATE VIRTUAL TABLE words USING fts5(x, content=''); INSERT INTO words VALUES ('a')",
            r"the rows of virtual tables: words \(1 row\)",
        ),
    ],
)
def test_what_a_snapshot_cannot_hold(tmp_path: Path, script: str, words: str) -> None:
    path = database(tmp_path / "a.db", script)
    with pytest.raises(BackupFailed, match=words):
        write(path, tmp_path / "b.json")
    assert not (tmp_path / "b.json").exists()


def test_nothing_is_written_over_and_no_directory_is_guessed(tmp_path: Path) -> None:
    run = made_run(tmp_path)
    database(tmp_path / "live.db", VERSIONS)
    (tmp_path / "there.json").touch()
    with run.dialect.image(run.target, run.old_generation, None) as image:
        for to, words in ((tmp_path / "there.json", "exists already"), (tmp_path / "no" / "b.json", "no directory")):
            with pytest.raises(BackupFailed, match=words):
                write_backup(run, image, to)
        backup = write_backup(run, image, tmp_path / "b.json")
        assert (backup.portable, backup.run) == (True, run.id)
        assert write_backup(run, image, None).portable is False


@pytest.mark.parametrize("may_hold", [True, False])
def test_writers_wait_for_the_last_copy_but_for_a_rehearsal_s(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, may_hold: bool
) -> None:
    run = made_run(tmp_path)
    database(tmp_path / "live.db", VERSIONS)
    run.may_hold_writers = may_hold
    waiting, copies = [], []

    @contextmanager
    def hold(_timeout_s: float) -> Iterator[None]:
        waiting.append(len(copies))
        yield

    @contextmanager
    def disturb(*_arguments: object) -> Iterator[None]:
        copies.append(1)
        raise LateWrite
        yield

    monkeypatch.setattr(run.dialect, "image", disturb)
    words = "writers were made to wait" if may_hold else "a rehearsal keeps nobody waiting"
    with pytest.raises(VerificationFailed, match=words), take_image(run, cast(Fence, SimpleNamespace(hold=hold))):
        pytest.fail("there was an image")
    assert (len(copies), waiting) == (4, [3] if may_hold else [])


def test_tables_with_their_rows_by_name() -> None:
    assert describe_rows({"b": 1, "a": 2}) == "a (2 rows), b (1 row)"
