"""What was written to a live database, brought into its staging: byte for byte, and nothing that breaks a rule."""

from __future__ import annotations

import pytest

from app.dialects.rounds import CannotCatchUp
from tests.dialects.catching_up import assert_same, bring, bring_values, copy_of, keep_too
from tests.dialects.rooms import Room

ODD = {
    "varchar(40)": (["'a'", "'a'", "'e'", "''", "NULL"], ["'A'", "'a '", "'é'", "NULL", "''"]),
    "char(9)": (["'a'"], ["'A'"]),
    "float8": (["0", "'NaN'", "0.1"], ["'-0'", "1", "0.1000000000000001"]),
    "float4": (["0.1", "'infinity'"], ["0.10000001", "'-infinity'"]),
    "numeric": (["1.0", "'NaN'", "1e40"], ["1.00", "0", "1e41"]),
    "bytea": (["'\\x00ff'", "''"], ["'\\x00fe'", "NULL"]),
    "timestamptz": (["'2024-10-27 00:30:00.000001Z'", "'infinity'"], ["'2024-10-27 00:30:00.000002Z'", "'-infinity'"]),
    "json": (["'{\"a\": 1}'"], ["'{\"a\":  1}'"]),
    "jsonb": (["'{\"a\": 1.0}'"], ["'{\"a\": 1.00}'"]),
    "bit(4)": (["B'0001'"], ["B'1000'"]),
    "interval": (["'1 day'"], ["'24 hours'"]),
    "int[]": (["'{1,2}'", "'{}'"], ["'[0:1]={1,2}'", "NULL"]),
    "mood": (["'sad'"], ["'glad'"]),
    "short": (["'x'"], ["'X'"]),
    "uuid": (["'00000000-0000-0000-0000-000000000001'"], ["'00000000-0000-0000-0000-000000000002'"]),
}


@pytest.mark.parametrize("column", ODD)
def test_every_change_of_a_value_is_seen(room: Room, column: str) -> None:
    room.dialect.create(room.target)
    room.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')")
    room.execute("CREATE DOMAIN short AS varchar(3) CHECK (VALUE <> '')")
    bring_values(room, column, *ODD[column])


def test_identities_generated_columns_and_keys_that_lead_in_a_circle(room: Room) -> None:
    room.dialect.create(room.target)
    room.execute(
        "CREATE TABLE a (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, b int NOT NULL, "
        "twice int GENERATED ALWAYS AS (b * 2) STORED, up int REFERENCES a)"
    )
    room.execute("CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a DEFERRABLE)")
    room.execute("ALTER TABLE a ADD CONSTRAINT to_b FOREIGN KEY (b) REFERENCES b DEFERRABLE INITIALLY DEFERRED")
    room.execute("INSERT INTO a (b) VALUES (1); INSERT INTO b VALUES (1, 1)")
    staging = copy_of(room)
    room.execute(
        "INSERT INTO a (b, up) VALUES (2, 1), (2, 2); INSERT INTO b VALUES (2, 2); UPDATE a SET up = 3 WHERE id = 2"
    )
    before = room.dialect.schema_fingerprint(staging)
    assert bring(room, staging) == {"a": 2, "b": 1}
    assert_same(room, staging)
    assert room.dialect.schema_fingerprint(staging) == before


def test_what_on_delete_did_to_live_rows_is_done_once(room: Room) -> None:
    room.dialect.create(room.target)
    room.execute("CREATE TABLE a (id int PRIMARY KEY); INSERT INTO a VALUES (1), (2), (3)")
    room.execute(
        "CREATE TABLE b (id int PRIMARY KEY, a int REFERENCES a ON DELETE CASCADE); INSERT INTO b VALUES (1, 1), (2, 1)"
    )
    room.execute(
        "CREATE TABLE c (id int PRIMARY KEY, b int REFERENCES b ON DELETE CASCADE); INSERT INTO c VALUES (1, 1), (2, 2)"
    )
    staging = copy_of(room)
    room.execute("INSERT INTO a VALUES (4); UPDATE b SET a = 4 WHERE id = 1; DELETE FROM a WHERE id = 1")
    assert bring(room, staging) == {"a": 2, "b": 2, "c": 1}
    assert_same(room, staging)


def test_rows_that_change_places_with_a_unique_value(room: Room) -> None:
    room.fill()
    staging = copy_of(room)
    for change in ("name = 'x' WHERE id = 1", "name = 'one' WHERE id = 2", "name = 'two' WHERE id = 1"):
        room.execute(f"UPDATE parents SET {change}")
    with pytest.raises(CannotCatchUp, match="duplicate key"):
        bring(room, staging)


def test_a_column_of_another_type_is_refused(room: Room) -> None:
    room.fill()
    staging = copy_of(room)
    room.execute("ALTER TABLE children ALTER b TYPE VARCHAR(21)", url=staging)
    with pytest.raises(CannotCatchUp, match="of another type"):
        bring(room, staging)


def test_what_is_brought_over_is_kept_in_a_generation_too(room: Room) -> None:
    keep_too(room)
