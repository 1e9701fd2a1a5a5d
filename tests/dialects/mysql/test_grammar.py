"""What a backup file may say: tables with their rows, then bodies, and nothing that reaches another database."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.mysql.dump import _bytes
from app.dialects.mysql.dump import _render as render
from app.dialects.mysql.grammar import Grammar
from app.errors import BackupFailed

HEADER = "SET SESSION foreign_key_checks = 0"
TABLE = b"CREATE TABLE `t` (`a` decimal(4,2) DEFAULT 1.50, KEY (`a`)) ENGINE=InnoDB"
GOOD = [
    HEADER.encode(),
    b"ALTER DATABASE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    TABLE,
    b"CREATE SEQUENCE `s` start with 1 ENGINE=InnoDB",
    b"DO SETVAL(`s`, 5, 0, 0)",
    b"INSERT INTO `t` (`a`, `b`) VALUES (1.5,'it; -- \\' x'),(NULL,x'00ff'),(-7,_binary'\\0')",
    b"INSERT INTO `t` () VALUES ()",
    b"SET @ferry_part_0 = _binary'a\\'b'",
    b"SET @ferry_part_0 = CONCAT(@ferry_part_0, _binary'c')",
    b"INSERT INTO `t` (`a`, `b`) VALUES (@ferry_part_0,CONVERT(@ferry_part_1 USING utf8mb4))",
    b"CREATE ALGORITHM=UNDEFINED SQL SECURITY INVOKER VIEW `v` AS SELECT 1",
    b"SET SESSION sql_mode = 'ANSI_QUOTES'",
    b"CREATE FUNCTION `f`(x int) RETURNS int RETURN x",
    b"CREATE TRIGGER `tr` BEFORE INSERT ON `t` FOR EACH ROW SET NEW.a = 1",
]


def check(*statements: bytes) -> None:
    grammar = Grammar("a.sql", [HEADER])
    for number, sql in enumerate(statements, 1):
        grammar.check(sql, number, 10 * number)


def test_what_a_dump_of_ours_holds() -> None:
    check(*GOOD)


@pytest.mark.parametrize(
    "sql",
    [
        b"DROP TABLE `t`",
        b"SET GLOBAL sql_mode = ''",
        b"SET SESSION foreign_key_checks = 1",
        b"SET SESSION sql_mode = CONCAT('a')",
        b"INSERT INTO `other` (`a`) VALUES (1)",
        b"INSERT INTO `t` (`a`) VALUES (SLEEP(5))",
        b"INSERT INTO `t` (`a`) VALUES (1); DROP TABLE t",
        b"INSERT INTO `t` (`a`) VALUES (1) ON DUPLICATE KEY UPDATE a = 1",
        b"INSERT INTO `t` (`a`) SELECT 1",
        b"INSERT INTO `live`.`t` (`a`) VALUES (1)",
        b"CREATE TABLE `t2` AS SELECT * FROM live.users",
        b"CREATE TABLE `t2` (`a` int) ENGINE=FEDERATED CONNECTION='mysql://x'",
        b"CREATE TABLE `t2` (`a` int) DATA DIRECTORY='/tmp'",
        b"CREATE TABLE `t2` (`a` int REFERENCES `live`.`users` (`id`))",
        b"CREATE TABLE `live`.`t2` (`a` int)",
        b"CREATE TEMPORARY TABLE `t2` (`a` int)",
        b"CREATE TABLE `t2` LIKE `t`",
        b"DO SETVAL(`none`, 5, 0, 0)",
        b"DO SLEEP(5)",
        b"SET @ferry_part_0 = CONCAT(@ferry_part_1, _binary'c')",
        b"SET @ferry_part_0 = _binary'c', GLOBAL max_connections = 1",
        b"SET @other = _binary'c'",
        b"INSERT INTO `t` (`a`) VALUES (@other)",
        b"ALTER DATABASE `live` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
        b"CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY ENABLE DO DELETE FROM t",
        b"CREATE EVENT `e` ON SCHEDULE EVERY 1 DAY DO DELETE FROM t",
        b"CREATE DEFINER=`root`@`%` TRIGGER `tr` BEFORE INSERT ON `t` FOR EACH ROW SET NEW.a = 1",
        b"",
        b"\xff\xfe",
    ],
)
def test_anything_else_is_refused_by_its_line(sql: bytes) -> None:
    with pytest.raises(BackupFailed, match=r"a\.sql, line 20: statement 2 is none") as caught:
        check(TABLE, sql)
    assert "Nothing of it was run" in str(caught.value.hint)


@pytest.mark.parametrize("body", GOOD[-4:])
def test_behind_a_body_no_row_and_no_table_comes(body: bytes) -> None:
    for sql in (b"INSERT INTO `t` (`a`) VALUES (1)", TABLE.replace(b"`t`", b"`u`")):
        with pytest.raises(BackupFailed, match="line 30"):
            check(TABLE, body, sql)


def test_a_refusal_shows_no_value() -> None:
    with pytest.raises(BackupFailed) as caught:
        check(b"REPLACE INTO users VALUES ('s3cret', \"s3cret\")")
    assert "s3cret" not in caught.value.message + "".join(caught.value.details)


def test_of_a_file_of_this_process_the_rows_of_a_table_are_looked_at_once() -> None:
    head, rows = b"INSERT INTO `t` (`a`) VALUES ", b"(1),(2)"
    grammar = Grammar("a.sql", [HEADER], knows_rows=True)
    for number, sql in enumerate([TABLE, head + rows, head + b"(3,", TABLE.replace(b"`t`", b"`u`")], 1):
        grammar.check(sql, number, number)
    for wrong in (b"INSERT INTO `u` (`a`) VALUES (SLEEP(9))", b"INSERT INTO `v` (`a`) VALUES (1)"):
        with pytest.raises(BackupFailed):
            grammar.check(wrong, 5, 5)
    with pytest.raises(BackupFailed):
        check(TABLE, head + rows, head + b"(3,")


NUMBERS = st.from_regex(rb"-?[0-9]{1,30}(\.[0-9]{1,20})?", fullmatch=True)


@given(numbers=st.lists(NUMBERS, max_size=3), texts=st.lists(st.binary(max_size=60), max_size=3))
def test_however_a_dump_spells_a_value_the_grammar_knows_it(numbers: list[bytes], texts: list[bytes]) -> None:
    """So one statement of a table's rows stands for all of those that this process writes."""
    values = [render("decimal")(number) for number in numbers]
    values += [render(kind)(text) for text in texts for kind in ("longtext", "blob", "float", "bit")]
    values += [_bytes(text * 2000) for text in texts]
    row = b"(" + b",".join([*values, b"NULL"]) + b")"
    check(TABLE, b"INSERT INTO `t` (`a`) VALUES " + row + b"," + row)
