"""Rows summed up by the server: the same for the same rows, whatever an index of them is made of."""

from __future__ import annotations

import pytest

from app.dialects.mysql import summed
from app.dialects.mysql.connect import connect_to
from app.dialects.mysql.fence import content
from tests.dialects.rooms import PARENTS, Room
from tests.dialects.things import table
from tests.support.servers import of_mysql

from .columns import TYPES


def digest(room: Room, name: str) -> str | None:
    with room.dialect.reader(room.target) as reader:
        return reader.digest(reader.tables()[name])


def test_a_table_of_every_type_is_summed_up(room: Room) -> None:
    described = table(room, TYPES)
    assert digest(room, described.name) is not None


def test_a_table_is_summed_up_alike_however_many_hashes_are_made_at_once(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    room.fill()
    sums = []
    for most in (200_000, len(PARENTS), len(PARENTS) - 1, 0):
        monkeypatch.setattr(summed, "HASHES_AT_ONCE", most)
        sums.append(digest(room, "parents"))
    assert sums[0] is not None
    assert set(sums) == {sums[0]}


def test_the_same_bytes_in_another_character_set_are_another_text(room: Room) -> None:
    """As who repairs texts that were encoded twice leaves them: an upgrade that this is not to pass by."""
    room.dialect.create(room.target)
    room.execute("CREATE TABLE texts (a VARCHAR(20) CHARACTER SET latin1)")
    room.execute("INSERT INTO texts VALUES (CONVERT(0xC3A9 USING latin1))")
    before = digest(room, "texts")
    room.execute("ALTER TABLE texts MODIFY a VARBINARY(20)")
    room.execute("ALTER TABLE texts MODIFY a VARCHAR(20) CHARACTER SET utf8mb4")
    assert digest(room, "texts") != before


# An index of several values of each row: MariaDB has none.
@of_mysql
def test_a_table_that_the_server_has_no_checksum_of(room: Room) -> None:
    room.dialect.create(room.target)
    room.execute(
        "CREATE TABLE items (id INT PRIMARY KEY, doc JSON, raw VARBINARY(9), x FLOAT,"
        " KEY tagged ((CAST(doc->'$.tags' AS UNSIGNED ARRAY))))"
    )
    room.execute("CREATE TABLE others (id INT PRIMARY KEY)")
    insert = "INSERT INTO items VALUES (1, '{\"tags\": [1, 2]}', 0x00ff, 0.1), (2, NULL, NULL, NULL)"
    room.execute(insert)

    def look() -> dict[str, str]:
        with connect_to(room.target, None) as connection:
            return content(connection, str(room.target.database))

    first = look()
    assert [look() for _ in range(3)] == [first] * 3
    for change in (
        """UPDATE items SET doc = '{"tags": [1, 3]}' WHERE id = 1""",
        "UPDATE items SET raw = 0x00fe WHERE id = 1",
        "UPDATE items SET x = 0.10000001 WHERE id = 1",
        "DELETE FROM items WHERE id = 2",
    ):
        room.execute(change)
        assert look()["items"] != first["items"], change
        assert look()["others"] == first["others"]
        room.execute("DELETE FROM items")
        room.execute(insert)
        assert look() == first


def test_what_a_definition_says_of_it() -> None:
    assert summed.has_no_checksum("KEY `t` ((cast(json_extract(`doc`,_utf8mb4'$.tags') as unsigned array)))")
    assert not summed.has_no_checksum("CREATE TABLE `array` (`id` int, KEY `t` ((lower(`name`))))")
