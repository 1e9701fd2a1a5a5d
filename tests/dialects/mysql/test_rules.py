"""Rows that break a rule, whoever made it, are named by their keys."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.dialects.model import Values
from app.dialects.samples import dangling
from tests.dialects.rooms import Room
from tests.dialects.things import load, table
from tests.support.servers.mariadb import ON_MYSQL


def test_dangling_keys_of_several_columns_are_counted_and_null_refers_to_nothing(room: Room) -> None:
    table(room, "a INT, b VARCHAR(5), PRIMARY KEY (a, b)", "pairs")
    definition = "id INT PRIMARY KEY, x INT, y VARCHAR(5), FOREIGN KEY (x, y) REFERENCES pairs (a, b)"
    to = table(room, definition, "lines_")
    wanted: list[Values] = [[1, 1, "a"], [2, 1, None], [3, None, None], *([n, n, "z"] for n in range(10, 17))]
    room.execute("INSERT INTO pairs VALUES (1, 'a')")
    assert load(room, to, wanted) == []
    expected = "lines_: 7 rows refer to rows of pairs that are not there (id 10, 11, 12, 13, 14, ...)"
    assert room.dialect.problems(room.target) == [dangling("lines_", 7, "pairs", "id 10, 11, 12, 13, 14, ...")]
    assert str(room.dialect.problems(room.target)[0]) == expected


def test_rows_that_break_a_rule_of_a_revision_are_named(room: Room) -> None:
    table(room, "id INT PRIMARY KEY, email VARCHAR(20), x INT", "users")
    table(room, "n INT PRIMARY KEY, user_id INT", "notes")
    room.execute("INSERT INTO users VALUES (1, 'a', 1), (2, 'b', NULL), (3, 'a', 1), (4, NULL, 2)")
    room.execute("INSERT INTO notes VALUES (1, 1), (2, 77), (3, 78)")

    def named(sql: str) -> list[str]:
        engine = room.dialect.engine(room.target)
        with engine.connect() as connection:
            connection.exec_driver_sql("SET SESSION foreign_key_checks = 1")
            with pytest.raises(sa.exc.DBAPIError) as caught:
                connection.exec_driver_sql(sql)
        return room.dialect.find_refused_keys(room.target, str(caught.value.orig))

    assert named("ALTER TABLE users ADD CONSTRAINT uq_users_email UNIQUE (email)") == ["users: id 1, 3"]
    assert named("ALTER TABLE users ADD UNIQUE (email)") == ["users: id 1, 3"]
    # MySQL does not say of which column.
    assert named("ALTER TABLE users MODIFY email VARCHAR(20) NOT NULL") == ([] if ON_MYSQL else ["users: id 4"])
    assert named("ALTER TABLE notes ADD FOREIGN KEY (user_id) REFERENCES users (id)") == []
    assert named("UPDATE users SET id = 1") == []
    assert named("ALTER TABLE users ADD CHECK (x > 1)") == []
    assert room.dialect.find_refused_keys(room.target, "Duplicate entry 'a' for key 'users.email'") == [
        "users: id 1, 3"
    ]
    assert room.dialect.find_refused_keys(room.target, "Column 'x' cannot be null") == ["users: id 2"]
    assert room.dialect.find_refused_keys(room.target, "anything") == []
