"""PostgreSQL: names, places and types."""

from __future__ import annotations

from tests.dialects.rooms import Room

from .schemas import ask


def test_two_apps_in_two_schemas_of_one_database_do_not_meet(room: Room) -> None:
    room.fill()
    other = room.target.update_query_dict({"options": "-c statement_timeout=60s -csearch_path=second"})
    assert not room.dialect.exists(other)
    assert room.dialect.create(other)
    assert not room.dialect.create(other)
    assert room.state(other) == {}
    first, second = room.other("a"), room.dialect.staging_url(other, "a")
    assert room.dialect.control_area(room.target) != room.dialect.control_area(other)
    room.dialect.prepare_staging(second, other)
    assert (room.dialect.exists(first), room.dialect.exists(second)) == (False, True)
    assert room.dialect.beside(room.target) == []
    assert [item.url for item in room.dialect.beside(other)] == [second]
    assert room.dialect.identity(other).uid != room.dialect.identity(room.target).uid
    assert ask(room, "SHOW statement_timeout", url=second) == ["1min"]
    room.execute("CREATE TABLE t (x int); INSERT INTO t VALUES (1)", url=second)
    with room.dialect.fence(other) as fence:
        old = room.dialect.generation_url(other, "0000000c-old")
        room.dialect.swap(second, other, old, fence, fence.token(), timeout_s=5)
    assert room.state(other) == {"t": [[1]]}
    assert set(room.state()) == {"parents", "children"}
