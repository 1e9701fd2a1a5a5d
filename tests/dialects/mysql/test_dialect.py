"""Quirks of MySQL and MariaDB: types, values that the server would change, rules, and reading."""

from __future__ import annotations

import math
import random
import struct
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa

from app.dialects.model import Values
from app.dialects.mysql import connect
from app.dialects.mysql.load import _Loading
from app.dialects.samples import dangling
from app.errors import DatabaseUnreachable, FerryError
from tests.dialects.rooms import PARENTS, Room
from tests.dialects.things import load, rows, table
from tests.support.servers.mariadb import MariaDB

# Types

TYPES = """
    id INT NOT NULL AUTO_INCREMENT PRIMARY KEY,
    yes TINYINT(1), tiny TINYINT, small SMALLINT UNSIGNED, medium MEDIUMINT, big BIGINT, huge BIGINT UNSIGNED,
    zeros INT(8) UNSIGNED ZEROFILL, bits BIT(64), made YEAR,
    price DECIMAL(12,2), exact DECIMAL(65,30), whole DECIMAL(20,0), padded DECIMAL(9,3) UNSIGNED ZEROFILL,
    one FLOAT, two DOUBLE, cut FLOAT(7,2), fixed DOUBLE(15,3),
    c CHAR(5), v VARCHAR(300), t LONGTEXT, latin VARCHAR(20) CHARACTER SET latin1,
    old VARCHAR(20) CHARACTER SET utf8mb3,
    e ENUM('a','b''c','x,y','back\\\\slash','','Ä') CHARACTER SET utf8mb4 COLLATE utf8mb4_bin, s SET('x','y','z'),
    b BINARY(4), vb VARBINARY(300), lb LONGBLOB,
    d DATE, t0 TIME, t6 TIME(6), dt0 DATETIME, dt6 DATETIME(6), ts TIMESTAMP(3) NULL, j JSON,
    u UUID, i4 INET4, i6 INET6, g POINT,
    sum_ INT AS (tiny + 1) STORED, virtual_ INT AS (tiny + 2) VIRTUAL
"""
LOGICAL = {
    "id": "int", "yes": "bool", "tiny": "int", "small": "int", "medium": "int", "big": "int", "huge": "int",
    "zeros": "int", "bits": "int", "made": "int", "price": "decimal", "exact": "decimal", "whole": "decimal",
    "padded": "decimal", "one": "float", "two": "float", "cut": "float", "fixed": "float", "c": "text", "v": "text",
    "t": "text", "latin": "text", "old": "text", "e": "text", "s": "text", "b": "bytes", "vb": "bytes", "lb": "bytes",
    "d": "date", "t0": "time", "t6": "time", "dt0": "timestamp", "dt6": "timestamp", "ts": "timestamptz", "j": "json",
    "u": "uuid", "i4": "text", "i6": "text", "g": "bytes",
}  # fmt: skip
ALL_BYTES = (
    "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8gISIjJCUmJygpKissLS4vMDEyMzQ1Njc4OTo7PD0+P0BBQkNERUZHSElKS0xNTk9QUVJT"
    "VFVWV1hZWltcXV5fYGFiY2RlZmdoaWprbG1ub3BxcnN0dXZ3eHl6e3x9fn+AgYKDhIWGh4iJiouMjY6PkJGSk5SVlpeYmZqbnJ2en6ChoqOkpaan"
    "qKmqq6ytrq+wsbKztLW2t7i5uru8vb6/wMHCw8TFxsfIycrLzM3Oz9DR0tPU1dbX2Nna29zd3t/g4eLj5OXm5+jp6uvs7e7v8PHy8/T19vf4+fr7"
    "/P3+/w=="
)
POINT = "AAAAAAEBAAAAAAAAAAAA8D8AAAAAAAAAQA=="
VALUES: dict[str, list[Any]] = {
    "yes": [True, False, {"$int": "2"}, {"$int": "-128"}, {"$int": "127"}],
    "tiny": [-128, 127],
    "small": [0, 65535],
    "medium": [-8388608, 8388607],
    "big": [-(2**63), 2**63 - 1],
    "huge": [0, 2**64 - 1],
    "zeros": [0, 7, 2**32 - 1],
    "bits": [0, 1, 49, 2**64 - 1],
    "made": [0, 1901, 2000, 2155],
    "price": ["0.00", "-0.01", "9999999999.99", "-9999999999.99"],
    "exact": ["0." + "0" * 29 + "1", "-" + "9" * 35 + "." + "9" * 30],
    "whole": ["0", "-99999999999999999999"],
    "padded": ["0.000", "7.500", "999999.999"],
    "one": [0.0, 16777218.0, 0.10000000149011612, 1.401298464324817e-45, 3.4028234663852886e38, -1.5],
    "two": [0.0, 0.1, 1 / 3, 5e-324, 1.7976931348623157e308, -1e16, 123456789.12345678, 2.2250738585072014e-308],
    "cut": [1.12, -99999.99],
    "fixed": [1234.568, -0.001, 999999999999.999],
    "c": ["", "abc", " a", "é😀ü\t"],
    "v": ["", " ", "x  ", "NULL", "\\N", "\\", "'", '"', "a\tb\nc\rd\0e\x1af", "😀", "مرحبا", "%s %(x)s", "x" * 300],
    "t": ["x" * 70_000, "ß" * 70_000, "\r\n", "\\\n\\t"],
    "latin": ["é€", "a "],
    "old": ["é中"],
    "e": ["a", "b'c", "x,y", "back\\slash", "", "Ä"],
    "s": ["", "x", "x,z", "x,y,z"],
    "b": ["AAAAAA==", "AP8nXA==", "ICAgIA=="],
    "vb": ["", "AA==", ALL_BYTES, "IA=="],
    "lb": ["", ALL_BYTES],
    "d": ["0001-01-01", "9999-12-31", "2024-02-29", {"$text": "0000-00-00"}, {"$text": "2024-00-10"},
          {"$text": "2023-02-31"}],
    "t0": ["00:00:00.000000", "23:59:59.000000", {"$text": "838:59:59.000000"}, {"$text": "-838:59:59.000000"},
           {"$text": "24:00:00.000000"}],
    "t6": ["23:59:59.999999", {"$text": "-25:00:00.500000"}, {"$text": "-00:00:00.000001"}],
    "dt0": ["1000-01-01 00:00:00.000000", {"$text": "0000-00-00 00:00:00.000000"}],
    "dt6": ["9999-12-31 23:59:59.999999", "0001-01-01 00:00:00.000001", {"$text": "2023-02-31 01:00:00.000000"}],
    "ts": [
        "1970-01-01 00:00:01.000000+00:00",
        "2038-01-19 03:14:07.999000+00:00",
        {"$text": "0000-00-00 00:00:00.000000"},
    ],
    "j": ["null", '""', "1.0", "12345678901234567890123", '{"b": 1, "a": [1.50, "\\u00e9\\\\ 😀"]}', "[]"],
    "u": ["00000000-0000-0000-0000-000000000000", "123e4567-e89b-12d3-a456-426614174000"],
    "i4": ["0.0.0.0", "255.255.255.255"],
    "i6": ["::", "::1", "2001:db8::ff", "::ffff:1.2.3.4"],
    "g": [POINT],
}  # fmt: skip


def wide_rows() -> list[Values]:
    """Rows of :data:`TYPES`: each value of each column once, the first row with the key 0, one with nothing."""
    most = max(map(len, VALUES.values()))
    found: list[Values] = [[0, *[values[0] for values in VALUES.values()]]]
    for index in range(1, most):
        found.append([index * 7, *[values[index] if index < len(values) else None for values in VALUES.values()]])
    return [*found, [2**31 - 1, *[None] * len(VALUES)]]


def test_every_type_is_described(room: Room) -> None:
    found = table(room, TYPES)
    assert {column.name: str(column.type) for column in found.columns} == LOGICAL
    columns = {column.name: column for column in found.columns}
    assert (columns["v"].length, columns["c"].length, columns["id"].length) == (300, 5, None)
    assert (columns["price"].scale, columns["whole"].scale, columns["fixed"].scale) == (2, 0, None)
    assert [name for name, column in columns.items() if not column.nullable] == ["id"]


NOT_IN_FILES = ("bits", "b", "vb", "lb", "i4", "i6", "g")
"""Columns that LOAD DATA is not used for."""


@pytest.mark.parametrize("columns", ["all", "those for files"])
def test_every_value_of_every_type_comes_back_as_it_was_loaded(room: Room, way: str, columns: str) -> None:
    to, wanted = table(room, TYPES), wide_rows()
    if columns == "those for files":
        room.execute(f"ALTER TABLE things {', '.join(f'DROP COLUMN {name}' for name in NOT_IN_FILES)}")
        kept = [index for index, name in enumerate(to.column_names) if name not in NOT_IN_FILES]
        to = replace(to, columns=tuple(to.columns[index] for index in kept))
        wanted = [[row[index] for index in kept] for row in wanted]
    result = room.dialect.load(room.target, to, wanted, batch_rows=4)
    assert result.refused == []
    assert bool(result.note) is (way == "INSERT" and columns == "those for files")
    assert rows(room) == wanted
    with room.dialect.reader(room.target) as reader:
        for column in to.column_names[1:]:
            assert sorted(map(repr, reader.values(to, column))) == sorted(map(repr, VALUES[column])), column


def test_numbers_of_any_bits_are_exact(room: Room, way: str) -> None:
    source = random.Random(7)
    doubles = [struct.unpack("<d", source.randbytes(8))[0] for _ in range(3000)]
    singles = [struct.unpack("<f", source.randbytes(4))[0] for _ in range(3000)]
    pairs = [(a, b) for a, b in zip(doubles, singles, strict=True) if math.isfinite(a) and math.isfinite(b)]
    wanted: list[Values] = [[n, a, b] for n, (a, b) in enumerate(pairs)]
    assert load(room, table(room, "id INT PRIMARY KEY, two DOUBLE, one FLOAT"), wanted) == []
    assert rows(room) == wanted


def test_new_keys_go_on_above_those_that_were_loaded(room: Room, way: str) -> None:
    staging = room.other("one")
    room.dialect.prepare_staging(staging, room.target)
    to = table(room, "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, n INT", url=staging)
    with room.dialect.loading(staging):
        assert room.dialect.load(staging, to, [[0, 1], [70, 2], [-5, 3]], batch_rows=10).loaded == 3
    room.execute("INSERT INTO things (n) VALUES (4)", url=staging)
    assert room.state(staging)["things"] == [[-5, 3], [0, 1], [70, 2], [71, 4]]


def test_a_table_without_a_key_keeps_its_equal_rows(room: Room, way: str) -> None:
    to = table(room, "n INT, words VARCHAR(10)")
    assert to.primary_key == ()
    wanted: list[Values] = [[1, "a"], [1, "a"], [None, None], [2, "b"]]
    assert load(room, to, wanted, batch_rows=2) == []
    assert sorted(map(repr, rows(room))) == sorted(map(repr, wanted))


def test_a_key_of_several_columns_may_lie_anywhere(room: Room) -> None:
    definition = "x INT, b VARCHAR(5) NOT NULL, y INT, a INT NOT NULL, part VARCHAR(300), `odd ``name%` INT, "
    definition += "PRIMARY KEY (a, b), UNIQUE both_ (y, x), UNIQUE parts (part(10)), INDEX (x)"
    found = table(room, definition)
    assert found.primary_key == ("a", "b")
    assert found.unique == (("y", "x"),)
    assert load(room, found, [[1, "z", 1, 2, None, 5], [1, "a", 2, 2, None, 6], [1, "q", 3, 1, None, 7]]) == []
    assert [row[1] for row in rows(room)] == ["q", "a", "z"]
    some = replace(found, columns=(found.columns[5], found.columns[1]))
    with room.dialect.reader(room.target) as reader:
        assert list(reader.rows(some)) == [[7, "q"], [6, "a"], [5, "z"]]


def test_what_is_no_base_table_is_no_table(room: Room) -> None:
    room.fill()
    room.execute("CREATE SEQUENCE numbers_")
    room.execute("CREATE TABLE versions (id INT PRIMARY KEY) WITH SYSTEM VERSIONING")
    with room.dialect.reader(room.target) as reader:
        assert sorted(reader.tables()) == ["children", "parents", "versions"]


# Refusals


@pytest.mark.parametrize(
    ("definition", "values"),
    [
        ("INT", [True, "1", 1.0, 2**31, {"$int": "1"}, {"$text": "1"}]),
        ("TINYINT(1)", [1, "1", {"$int": "1"}, {"$int": "128"}, {"$float": "0.5"}, {"$text": "2"}]),
        ("BIGINT UNSIGNED", [-1, 2**64]),
        ("BIT(3)", [8, -1, "1"]),
        ("YEAR", [1, 99, 1900, 2156, "2000"]),
        ("DECIMAL(5,2)", ["1.234", "1.5", "1000.00", "-0.00", "01.00", "1e2", "NaN", 1.5, 1]),
        ("FLOAT", [0.1, 1e39, 1e-46, -0.0, 1, "1.0", {"$float": "inf"}, math.nan]),
        ("DOUBLE", [-0.0, 1, {"$float": "-inf"}, math.inf]),
        ("DOUBLE(15,3)", [0.0001]),
        ("FLOAT(10,2)", [12345678.91, 1.1200000047683716]),
        ("CHAR(3)", ["a ", "   ", "abcd", 1, {"$int": "1"}]),
        ("VARCHAR(3)", ["abcd", "abc ", "\ud800", b"x", {"$bytes": "eA=="}]),
        ("VARCHAR(3) CHARACTER SET latin1", ["中"]),
        ("VARCHAR(3) CHARACTER SET utf8mb3", ["😀"]),
        ("TEXT", ["x" * 65536]),
        ("ENUM('a','1')", ["A", "2", "b", "a ", ""]),
        ("SET('x','y')", ["y,x", "X", "x,x", "x,", "z"]),
        ("BINARY(3)", ["eA==", "eHh4eA==", "not base64", "eA"]),
        ("VARBINARY(2)", ["eHh4"]),
        ("DATE", ["2024-2-1", "2024-02-30", "24-01-01", {"$text": "2024-02-01"}, {"$text": "x"}]),
        ("DATE", [{"$text": "2024-13-00"}, {"$text": "2024-02-32"}]),
        ("TIME", ["10:00:00", "10:00:00.000001", {"$text": "839:00:00.000000"}, {"$text": "10:00:00.000000"}]),
        ("TIME(3)", ["10:00:00.000100"]),
        ("DATETIME", ["2024-01-01 00:00:00", "2024-01-01 00:00:00.500000", "2024-01-01T00:00:00.000000"]),
        ("DATETIME(2)", ["2024-01-01 00:00:00.129999"]),
        (
            "TIMESTAMP NULL",
            [f"{day}.000000+00:00" for day in ("1969-12-31 23:59:59", "1970-01-01 00:00:00", "2039-01-01 00:00:00")],
        ),
        ("JSON", ["{", "", '"\\ud800"', {"$text": "{"}, {"$text": "1"}, 1]),
        ("UUID", ["123E4567-E89B-12D3-A456-426614174000", "123e4567e89b12d3a456426614174000", "x"]),
        ("INET4", ["1.2.3.04", "256.0.0.0"]),
        ("INET6", ["2001:DB8::1", "0::1", "::0:1", "x"]),
        ("POINT", ["AAA="]),
        ("INT CHECK (v > 5)", [5]),
    ],
)  # fmt: skip
def test_what_the_server_would_change_is_refused(room: Room, way: str, definition: str, values: list[Any]) -> None:
    to = table(room, f"id INT PRIMARY KEY, v {definition}")
    wanted: list[Values] = [[0, None], *([n, value] for n, value in enumerate(values, 1)), [99, None]]
    refused = load(room, to, wanted)
    assert [number for number, _ in refused] == list(range(2, len(values) + 2))
    assert all(words for _, words in refused)
    assert rows(room) == [[0, None], [99, None]]


def test_null_is_never_taken_for_a_default(room: Room, way: str, mariadb: MariaDB) -> None:
    definition = "id INT NOT NULL AUTO_INCREMENT PRIMARY KEY, n INT NOT NULL DEFAULT 5, "
    definition += "t TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, words TEXT NOT NULL"
    to = table(room, definition)
    at = "2024-01-01 00:00:00.000000+00:00"
    wanted: list[Values] = [[None, 1, at, ""], [1, None, at, ""], [2, 1, None, ""], [3, 1, at, None], [4, 1, at, ""]]
    refused = load(room, to, wanted)
    assert refused == [
        (1, "Column 'id' cannot be null"),
        (2, "Column 'n' cannot be null"),
        (3, "Column 't' cannot be null"),
        (4, "Column 'words' cannot be null"),
    ]
    assert rows(room) == [[4, 1, at, ""]]


def test_words_of_a_refusal_do_not_show_the_value(room: Room) -> None:
    to = table(room, "id INT PRIMARY KEY, password VARCHAR(20)")
    [(_, words)] = load(room, to, [[1, {"$bytes": "hunter2="}]])
    assert "password" in words
    assert "hunter2" not in words


def test_a_row_above_the_largest_packet_is_refused_and_others_of_many_megabytes_go_in(
    room: Room, way: str, mariadb: MariaDB
) -> None:
    to = table(room, "id INT PRIMARY KEY, t LONGTEXT, b LONGBLOB")
    half = 700_000
    wanted: list[Values] = [
        [1, "'" * half, None],
        [2, "x" * 1_100_000, None],
        [3, "y" * (2 * half), None],
        [4, None, "eHh4" * (half // 3)],
        [5, "\\" * half, "AAAA" * 100],
    ]
    mariadb.execute(f"SET GLOBAL max_allowed_packet = {1 << 20}")
    try:
        refused = load(room, to, wanted)
    finally:
        mariadb.execute(f"SET GLOBAL max_allowed_packet = {16 << 20}")
    assert [number for number, _ in refused] == [1, 2, 3, 5]
    assert all("max_allowed_packet" in words for _, words in refused)
    assert [row[0] for row in rows(room)] == [4]
    assert load(room, to, [wanted[n] for n in (0, 1, 2, 4)]) == []
    assert rows(room) == wanted


def test_many_rows_in_batches_of_any_size(room: Room, way: str) -> None:
    to = table(room, "id INT PRIMARY KEY, words VARCHAR(50) NOT NULL, UNIQUE (words)")
    wanted: list[Values] = [[n, f"row {n} \\ '\t"] for n in range(3000)]
    with_repeats = [row for n, row in enumerate(wanted) for row in ([row, row] if n % 500 == 3 else [row])]
    refused = load(room, to, with_repeats, batch_rows=97)
    assert [number for number, _ in refused] == [5, 506, 1007, 1508, 2009, 2510]
    assert all(
        words == f"Duplicate entry '{number - 2 - i}' for key 'PRIMARY'" for i, (number, words) in enumerate(refused)
    )
    assert rows(room) == wanted


def test_a_reason_that_is_no_rows_own_ends_the_load(room: Room, way: str) -> None:
    to = table(room, "id INT PRIMARY KEY")

    def locked() -> Iterator[Values]:
        yield [1]
        room.execute("RENAME TABLE things TO elsewhere")
        yield [2]

    with pytest.raises(FerryError, match="things"):
        room.dialect.load(room.target, to, locked(), batch_rows=1)
    with pytest.raises(FerryError, match="things"):
        room.dialect.load(room.target, to, [[1]], batch_rows=1)
    assert room.state() == {"elsewhere": []}


def test_no_file_is_sent_but_the_one_that_was_written(room: Room, tmp_path: Path) -> None:
    table(room, "words VARCHAR(50)")
    secret = tmp_path / "secret"
    secret.write_text("a file of this host\n")
    sql = f"LOAD DATA LOCAL INFILE '{secret}' INTO TABLE things"
    options: dict[str, Any] = {"driver": _Loading, "local_infile": True}
    with (
        pytest.raises(DatabaseUnreachable, match="not offered"),
        connect.connect_to(room.target, None, **options) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(sql)
    assert rows(room) == []
    with connect.connect_to(room.target, None, **options) as connection, connection.cursor() as cursor:
        connection.permitted = str(secret).encode()
        cursor.execute(sql)
    assert rows(room) == [["a file of this host"]]


def test_loading_leaves_no_file(room: Room) -> None:
    before = sorted(room.directory.rglob("*"))
    room.fill()
    assert sorted(room.directory.rglob("*")) == before


def test_triggers_keep_their_settings_and_their_order(room: Room) -> None:
    staging = room.staged()
    with room.connect(staging) as connection:
        for mode, name, letter in (("", "second", "ü"), ("ANSI_QUOTES,PIPES_AS_CONCAT", "first", "中")):
            connection.exec_driver_sql(f"SET SESSION sql_mode = '{mode}', collation_connection = utf8mb4_bin")
            place = "" if name == "second" else "PRECEDES second"
            text = f"concat(NEW.name, '{letter}')" if not mode else f"NEW.\"name\" || '{letter}'"
            connection.exec_driver_sql(
                f"CREATE TRIGGER {name} BEFORE INSERT ON parents FOR EACH ROW {place} SET NEW.name = {text}"
            )
    query = (
        "SELECT trigger_name, action_order, sql_mode, collation_connection, character_set_client, definer, "
        "action_statement FROM information_schema.triggers WHERE trigger_schema = DATABASE() ORDER BY trigger_name"
    )

    def triggers() -> list[Any]:
        with room.connect(staging) as connection:
            return list(connection.exec_driver_sql(query).fetchall())

    before = triggers()
    assert [row[0] for row in before] == ["first", "second"]
    with room.dialect.loading(staging):
        assert triggers() == []
    assert triggers() == before
    with pytest.raises(LookupError), room.dialect.loading(staging):
        raise LookupError
    assert triggers() == before
    room.execute("INSERT INTO parents VALUES (500, 'x')", url=staging)
    assert room.state(staging)["parents"][-1] == [500, "x中ü"]


# Reading


def test_a_table_that_is_altered_between_two_looks_is_an_error(room: Room) -> None:
    room.fill()
    with room.dialect.reader(room.target) as reader:
        parents = reader.tables()["parents"]
        room.execute("ALTER TABLE parents FORCE")
        with pytest.raises(FerryError, match="parents was altered"):
            list(reader.rows(parents))


def test_a_connection_used_behind_the_readers_back_is_an_error(room: Room) -> None:
    room.fill()
    with room.dialect.reader(room.target) as reader:
        parents = reader.tables()["parents"]
        found = reader.rows(parents)
        next(found)
        with pytest.warns(UserWarning, match="unbuffered"), reader._connection.cursor(pymysql.cursors.Cursor) as cursor:  # type: ignore[attr-defined]
            cursor.execute("SELECT 1")
        with pytest.raises(FerryError, match="something else"):
            list(found)


def test_settings_of_the_server_do_not_lose_rows(room: Room, mariadb: MariaDB) -> None:
    room.fill()
    hostile = {"sql_select_limit": 1, "sql_mode": "'PAD_CHAR_TO_FULL_LENGTH,ANSI_QUOTES'", "sql_safe_updates": 1}
    former = {name: mariadb.execute(f"SELECT @@GLOBAL.{name}")[0][0] for name in hostile}
    for name, value in hostile.items():
        mariadb.execute(f"SET GLOBAL {name} = {value}")
    try:
        assert rows(room, "parents") == PARENTS
        room.staged("other")
    finally:
        for name, value in former.items():
            mariadb.execute(f"SET GLOBAL {name} = %s", value)


# Rules that do not hold


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
    assert named("ALTER TABLE users MODIFY email VARCHAR(20) NOT NULL") == ["users: id 4"]
    assert named("ALTER TABLE notes ADD FOREIGN KEY (user_id) REFERENCES users (id)") == []
    assert named("UPDATE users SET id = 1") == []
    assert named("ALTER TABLE users ADD CHECK (x > 1)") == []
    assert room.dialect.find_refused_keys(room.target, "Duplicate entry 'a' for key 'users.email'") == [
        "users: id 1, 3"
    ]
    assert room.dialect.find_refused_keys(room.target, "Column 'x' cannot be null") == ["users: id 2"]
    assert room.dialect.find_refused_keys(room.target, "anything") == []
