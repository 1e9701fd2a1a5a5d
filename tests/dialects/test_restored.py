"""What was restored stands for a copy only where it is one."""

from __future__ import annotations

from .rooms import Room


def test_what_stands_for_a_copy_is_one(room: Room) -> None:
    room.fill()
    back, copied = room.other("back"), room.other("copied")
    room.dialect.restore(room.dump(room.directory / "dump"), back)
    if room.dialect.take_for_copy(room.target, back):
        room.dialect.copy(room.target, copied, timeout_s=10)
        assert room.state(back) == room.state(copied)
        assert room.dialect.schema_fingerprint(back) == room.dialect.schema_fingerprint(copied)
