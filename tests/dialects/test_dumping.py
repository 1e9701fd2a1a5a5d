"""A backup file that one thread writes and another one restores: what comes of it is what was backed up."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import URL

from app.dialects.dumping import Dump
from app.errors import BackupFailed

from .rooms import Room


def test_what_is_restored_meanwhile_is_what_was_backed_up(room: Room) -> None:
    room.fill()
    back, file = room.other("back"), room.directory / f"dump{room.dialect.backup_suffix}"
    with room.image() as image, ThreadPoolExecutor(1) as beside:
        dump = image.begin_dump(file)

        def rest() -> None:
            dump.beside()
            _restore(room, dump, back)

        restored = beside.submit(rest)
        dump.here()
        restored.result(60)
    assert room.state(back) == room.state(room.target)
    again = room.other("again")
    room.dialect.restore(file, again)
    assert room.state(again) == room.state(room.target)


def _restore(room: Room, dump: Dump, back: URL) -> None:
    if dump.restore:
        dump.restore(back)
    else:
        room.dialect.restore(room.directory / f"dump{room.dialect.backup_suffix}", back)


def test_where_the_file_cannot_be_written_nobody_waits_for_it(room: Room) -> None:
    room.fill()
    (room.directory / "file").write_text("where a directory should be")
    with room.image() as image, ThreadPoolExecutor(1) as beside:
        dump = image.begin_dump(room.directory / "file" / "dump")
        restored = beside.submit(lambda: dump.restore(room.other("back")) if dump.restore else dump.beside())
        if dump.restore:
            with pytest.raises(BackupFailed):
                dump.here()
        with pytest.raises(BackupFailed):
            restored.result(60)
