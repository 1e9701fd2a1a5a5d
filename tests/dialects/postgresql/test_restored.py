"""A restored schema stands for a copy of the live one, unless large objects would be others."""

from __future__ import annotations

from tests.dialects.rooms import Room


def test_a_restored_schema_has_the_comment_of_a_copy(room: Room) -> None:
    room.fill()
    room.execute("COMMENT ON SCHEMA public IS 'of the app'")
    room.dialect.set_mark(room.target, "00000abc")
    back, copied = room.other("back"), room.other("copied")
    room.dialect.restore(room.dump(room.directory / "dump"), back)
    assert room.dialect.take_for_copy(room.target, back)
    room.dialect.copy(room.target, copied, timeout_s=10)
    assert room.state(back) == room.state(copied) == room.state()
    assert room.dialect.schema_fingerprint(back) == room.dialect.schema_fingerprint(copied)
    assert room.dialect.mark(back) == room.dialect.mark(copied) == "00000abc"


def test_large_objects_are_others_in_it(room: Room) -> None:
    room.fill()
    room.execute("SELECT lo_from_bytea(0, 'x')")
    back = room.other("back")
    room.dialect.restore(room.dump(room.directory / "dump"), back)
    assert not room.dialect.take_for_copy(room.target, back)
