"""What AUTO_INCREMENT and sequences would give out next goes on where it stood, and never back."""

from __future__ import annotations

from sqlalchemy import URL

from app.dialects.model import Counter
from tests.dialects.rooms import Room
from tests.support.servers.mariadb import ON_MYSQL

SEQUENCES = (
    "CREATE SEQUENCE up START WITH 5 INCREMENT BY 5 NOCACHE",
    "CREATE SEQUENCE down START WITH -1 INCREMENT BY -1 MINVALUE -100 MAXVALUE -1 NOCACHE",
)[: 0 if ON_MYSQL else 2]
"""MySQL has none."""


def ask(room: Room, url: URL, sql: str) -> list[int]:
    with room.connect(url) as connection, connection.begin():
        return [int(value) for (value,) in connection.exec_driver_sql(sql).fetchall()]


def test_counters_are_read_and_go_on_and_what_has_none_is_told(room: Room) -> None:
    staging = room.other("one")
    room.dialect.create(staging)
    for sql in (
        "CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, x VARCHAR(60) DEFAULT ') AUTO_INCREMENT=99')"
        " COMMENT 'AUTO_INCREMENT=7'",
        "CREATE TABLE `empty` (id INT AUTO_INCREMENT PRIMARY KEY)",
        "INSERT INTO t (id) VALUES (41)",
        "DELETE FROM t",
        *SEQUENCES,
    ):
        room.execute(sql, url=staging)
    assert ON_MYSQL or ask(room, staging, "SELECT NEXTVAL(up)") == [5]
    with room.dialect.reader(staging) as reader:
        counters = {counter.name: counter for counter in reader.counters()}
    assert counters == {
        "t.id": Counter("t.id", 42, "t", "id"),
        "empty.id": Counter("empty.id", 1, "empty", "id"),
    } | ({"up": Counter("up", 10, step=5), "down": Counter("down", -1, step=-1)} if SEQUENCES else {})
    wanted = [
        Counter("t_id_seq", 50, "t", "id"),
        Counter("empty.id", 1, "empty", "id"),
        *([Counter("up", 20, step=5), Counter("down", -9, step=-1)] if SEQUENCES else []),
        Counter("none", 3),
        Counter("t.x", 3, "t", "x"),
    ]
    assert [one.name for one in room.dialect.set_counters(staging, wanted)] == ["none", "t.x"]
    # Set back it is not.
    assert (
        room.dialect.set_counters(
            staging, [Counter("t.id", 3, "t", "id"), *([Counter("up", 5, step=5)] if SEQUENCES else [])]
        )
        == []
    )
    room.execute("INSERT INTO t (x) VALUES ('new')", url=staging)
    assert ask(room, staging, "SELECT id FROM t") == [50]
    if SEQUENCES:
        assert ask(room, staging, "SELECT NEXTVAL(up)") == [20]
        assert ask(room, staging, "SELECT NEXTVAL(down)") == [-9]
