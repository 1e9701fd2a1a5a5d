"""A database at one instant: what others write meanwhile is neither in what is read nor in what is dumped."""

from __future__ import annotations

from pathlib import Path

from app.dialects.mysql.image import MySqlImage
from tests.dialects.rooms import Room


def test_a_dump_is_of_the_instant_that_is_read(room: Room, tmp_path: Path) -> None:
    room.fill()
    before = room.state(room.target)
    with room.image() as image:
        assert isinstance(image, MySqlImage)
        room.execute("DELETE FROM children")
        image.begin_dump(tmp_path / "dump.sql").here()
    assert room.state(room.target) != before
    room.dialect.restore(tmp_path / "dump.sql", room.other("back"))
    assert room.state(room.other("back")) == before
