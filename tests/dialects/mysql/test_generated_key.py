"""The key that MySQL generates for a table without one: no app's, unless other rows refer to it."""

from __future__ import annotations

from app.dialects.model import Definition
from tests.dialects.rooms import Room
from tests.dialects.things import table as make_table
from tests.support.servers import of_mysql

GENERATED = "my_row_id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT INVISIBLE PRIMARY KEY"


def definitions(room: Room) -> list[Definition]:
    with room.dialect.reader(room.target) as reader:
        return [item for item in reader.definitions() if item.kind == "primary key"]


@of_mysql
def test_a_generated_key_is_no_column(room: Room) -> None:
    assert make_table(room, f"{GENERATED}, words VARCHAR(10)").column_names == ("words",)
    assert definitions(room) == []


@of_mysql
def test_one_that_rows_refer_to_keeps_its_values(room: Room) -> None:
    to = make_table(room, f"{GENERATED}, words VARCHAR(10)")
    room.execute("CREATE TABLE referring (r BIGINT UNSIGNED, FOREIGN KEY (r) REFERENCES things (my_row_id))")
    with room.dialect.reader(room.target) as reader:
        to = reader.tables()["things"]
        counters = [counter.table for counter in reader.counters()]
    assert to.column_names == ("my_row_id", "words")
    assert counters == ["things"]
    assert [item.columns for item in definitions(room)] == [("my_row_id",)]
    room.dialect.load(room.target, to, [[2, "two"], [3, "three"]], batch_rows=2)
    assert room.state()["things"] == [[2, "two"], [3, "three"]]


@of_mysql
def test_an_apps_own_column_of_that_name_is_its_own(room: Room) -> None:
    to = make_table(room, "my_row_id INT PRIMARY KEY, words VARCHAR(10)")
    assert to.column_names == ("my_row_id", "words")
    assert [item.columns for item in definitions(room)] == [("my_row_id",)]
