"""Statements that name the live database, and those that only look so."""

from __future__ import annotations

import pytest

from app.dialects.mysql.statements import find_reached

LIVE = frozenset({"shop"})

REACHING = [
    "UPDATE shop.users SET name = 'x'",
    "UPDATE `shop`.`users` SET name = 'x'",
    "UPDATE `shop` . users SET name = 'x'",
    "UPDATE shop/* a comment */./**/users SET name = 'x'",
    "UPDATE /*!50100 shop.users */ SET name = 'x'",
    "/*!UPDATE shop.users SET name = 'x' */",
    "/*M!100100 UPDATE shop.users SET name = 'x' */",
    "INSERT INTO shop.users (name) SELECT name FROM users",
    "INSERT INTO users (name) SELECT name FROM shop.users",
    "DELETE u FROM shop.users u JOIN x ON x.id = u.id",
    "DELETE shop.users FROM shop.users",
    "TRUNCATE TABLE shop.users",
    "TRUNCATE shop.users",
    "DROP TABLE IF EXISTS shop.users",
    "DROP DATABASE shop",
    "DROP DATABASE IF EXISTS `shop`",
    "DROP SCHEMA shop",
    "ALTER DATABASE shop CHARACTER SET utf8mb4",
    "CREATE TABLE x LIKE shop.users",
    "CREATE TABLE x (id INT, FOREIGN KEY (id) REFERENCES shop.users (id))",
    "ALTER TABLE x ADD FOREIGN KEY (id) REFERENCES `shop`.users (id)",
    "RENAME TABLE x TO shop.y",
    "CREATE VIEW v AS SELECT * FROM shop.users",
    "CREATE TRIGGER t AFTER INSERT ON x FOR EACH ROW DELETE FROM shop.users",
    "CREATE PROCEDURE p() BEGIN DELETE FROM shop.users; END",
    "CREATE PROCEDURE p() BEGIN PREPARE s FROM 'DELETE FROM shop.users'; EXECUTE s; END",
    "CALL shop.p()",
    "SELECT shop.f(1)",
    "SELECT shop.users.name FROM shop.users",
    "WITH x AS (SELECT * FROM shop.users) SELECT * FROM x",
    "LOCK TABLES shop.users WRITE",
    "HANDLER shop.users OPEN",
    "LOAD DATA INFILE 'f' INTO TABLE shop.users",
    "GRANT ALL ON shop.* TO anna",
    "USE shop",
    "use `shop`",
    "PREPARE s FROM 'UPDATE shop.users SET name = 1'",
    "EXECUTE IMMEDIATE 'UPDATE `shop`.users SET name = 1'",
    "SET @s = 'UPDATE shop.users SET name = 1'",
    "SELECT 'UPDATE shop.users SET name = 1' INTO @s",
    "SELECT table_name FROM information_schema.tables WHERE table_schema = 'shop'",
    'SELECT table_name FROM information_schema.tables WHERE table_schema = "shop"',
    "SHOW TABLES FROM shop",
    "SHOW COLUMNS FROM users IN shop",
    "UPDATE users SET name = 'it''s' WHERE id IN (SELECT id FROM shop.users)",
    "UPDATE users SET name = 'it\\'s' WHERE id IN (SELECT id FROM shop.users)",
    "-- shop\nUPDATE shop.users SET name = 'x'",
    "# shop\nUPDATE shop.users SET name = 'x'",
    "UPDATE users SET x = 1 -shop.f(2)",
    "UPDATE --\nshop.users SET x = 1",
    "UPDATE -- \nshop.users SET x = 1",
    "UPDATE users SET x = 1 --shop.f(2)",
]

HARMLESS = [
    "UPDATE users SET name = 'shop'",
    "INSERT INTO users (name) VALUES ('UPDATE shop.users SET x = 1')",
    "SELECT shop FROM users",
    "SELECT shop.id FROM users AS shop",
    "SELECT shop.id FROM users shop JOIN orders o ON o.id = shop.order_id",
    "UPDATE shop SET name = 1 WHERE shop.id = 2",
    "SELECT shop.id, `shop`.name FROM shop",
    "SELECT users.shop FROM users",
    "CREATE TABLE shop (id INT)",
    "ALTER TABLE users ADD COLUMN shop INT",
    "/* shop.users */ SELECT 1",
    "SELECT 1 -- shop.users",
    "SELECT 1 # shop.users",
    "SELECT * FROM workshop.users",
    "SELECT * FROM shop2.users",
    "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'shops'",
    "DELETE FROM users WHERE note = 'it''s shop.users'",
]


@pytest.mark.parametrize("sql", REACHING)
def test_a_statement_that_names_the_live_database(sql: str) -> None:
    assert find_reached(sql, LIVE, folds=False)
    assert find_reached(sql.replace("shop", "Shop"), LIVE, folds=True)


@pytest.mark.parametrize("sql", HARMLESS)
def test_a_statement_that_only_looks_so(sql: str) -> None:
    assert find_reached(sql, LIVE, folds=False) is None
    assert find_reached(sql, LIVE, folds=True) is None


def test_names_are_compared_as_the_server_does() -> None:
    assert find_reached("UPDATE Shop.users SET x = 1", LIVE, folds=False) is None
    assert find_reached("UPDATE Shop.users SET x = 1", LIVE, folds=True) == "Shop"


def test_a_long_statement_takes_no_long_time() -> None:
    rows = ", ".join(["(1, 'shop.users and more')"] * 50_000)
    assert find_reached(f"INSERT INTO users VALUES {rows}", LIVE, folds=False) is None
