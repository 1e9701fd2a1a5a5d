"""All that two databases hold, told apart."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

from app.dialects.mysql import copy, dump
from app.dialects.mysql.connect import connect_to, quote
from app.dialects.mysql.fence import content
from app.dialects.mysql.session import Factory, execute
from tests.support.servers.mariadb import ON_MYSQL, MariaDB

TORTURE = (
    "CREATE SEQUENCE `numbers` START WITH 7 INCREMENT BY 3 CACHE 5",
    """CREATE TABLE types (
        id BIGINT UNSIGNED NOT NULL AUTO_INCREMENT PRIMARY KEY, tiny TINYINT, dec65 DECIMAL(65,30), f FLOAT, d DOUBLE,
        b BIT(9), bin BINARY(4), vb VARBINARY(300), bl LONGBLOB, dt DATETIME(6), da DATE, ti TIME(3), ts TIMESTAMP(6)
        NULL, y YEAR, e ENUM('a','it''s','') , s SET('x','y'), j JSON, t LONGTEXT, l VARCHAR(20) CHARACTER SET latin1,
        u UUID, ip INET6, g GEOMETRY, twice BIGINT AS (tiny * 2) STORED, half DOUBLE AS (tiny / 2) VIRTUAL,
        hidden INT INVISIBLE DEFAULT 5, CHECK (tiny <> 99)) DEFAULT CHARSET utf8mb4""",
    """INSERT INTO types (id, tiny, dec65, f, d, b, bin, vb, bl, dt, da, ti, ts, y, e, s, j, t, l, u, ip, g) VALUES
        (0, -128, -12345678901234567890123456789012345.123456789012345678901234567890, 16777218, 5e-324, b'101010101',
        x'00ff', x'00', x'', '0000-00-00 00:00:00', '0000-00-00', '-838:59:58.999', '2038-01-19 03:14:07.999999', 0,
        'it''s', 'x,y', '{"a": [1, 1.0, "\\\\u0000"]}', '', '\u00e9', '123e4567-e89b-12d3-a456-426655440000', '::1',
        ST_GeomFromText('POLYGON((0 0, 1 0, 1 1, 0 0))', 4326)),
        (18446744073709551614, 1, 0, 2.2345678, -1.7976931348623157e308, b'0', NULL, NULL, x'00010a0d1a22275c25ff',
        '2024-02-31 00:00:00', '2024-02-00', '00:00:00', NULL, 2155, '', '', 'null', '😀\n\r\\0\\Z\\t''"\\\\;;\n-- x',
        NULL, NULL, NULL, NULL), (7, 0, NULL, -0.0, -0.0, NULL, '', '', repeat('ab', 5000), NULL, NULL, NULL, NULL,
        NULL, NULL, NULL, NULL, NULL, '', NULL, NULL, NULL)""",
    "UPDATE IGNORE types SET e = 'no member' WHERE id = 7",
    "CREATE TABLE `empty one` (id INT AUTO_INCREMENT PRIMARY KEY, x TEXT, FULLTEXT (x)) AUTO_INCREMENT=12345",
    "CREATE TABLE `weird``name.with %s ü;` (`a``b` INT PRIMARY KEY COMMENT 'x;\ny', `c d` TEXT, `100%` INT)",
    "INSERT INTO `weird``name.with %s ü;` VALUES (1, 'DELIMITER //', 5), (2, 'x\n;;\n', NULL)",
    "CREATE TABLE parents (id INT PRIMARY KEY, name VARCHAR(10), KEY (name(3)))",
    "CREATE TABLE children (id INT PRIMARY KEY, p INT, CONSTRAINT fk FOREIGN KEY (p) REFERENCES parents (id))",
    "INSERT INTO parents VALUES (1, 'one')",
    "INSERT INTO children VALUES (1, 1), (2, 77)",
    "CREATE TABLE parts (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), "
    "PARTITION p1 VALUES LESS THAN MAXVALUE)",
    "INSERT INTO parts VALUES (1, 1), (100, 2)",
    "CREATE TABLE audit (id INT AUTO_INCREMENT PRIMARY KEY, what TEXT)",
    "CREATE TABLE numbered (id BIGINT DEFAULT NEXTVAL(`numbers`) PRIMARY KEY, x INT)",
    "INSERT INTO numbered (x) VALUES (1), (2)",
    "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY) COMMENT 'ours ferry 0badcafe'",
    "CREATE FUNCTION twice (x INT) RETURNS INT DETERMINISTIC RETURN x * 2",
    "CREATE PROCEDURE `do it` (IN x INT)\nBEGIN\n  -- it's a comment;\n  IF x > 0 THEN\n    SELECT ';;', \"a\nb\";\n"
    "  END IF;\nEND",
    "CREATE VIEW `z base` AS SELECT id, twice(id) AS two FROM parents",
    "CREATE VIEW `a top` AS SELECT two, `z base`.`id` AS `a``b` FROM `z base`",
    "CREATE TRIGGER first AFTER INSERT ON parents FOR EACH ROW INSERT INTO audit (what) VALUES (concat('1;', NEW.id))",
    "CREATE TRIGGER second AFTER INSERT ON parents FOR EACH ROW BEGIN\n INSERT INTO audit (what) VALUES ('2');\nEND",
    "CREATE EVENT tidy ON SCHEDULE EVERY 1 DAY COMMENT 'ON COMPLETION PRESERVE DISABLE' DO DELETE FROM audit",
    "CREATE EVENT never ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM audit",
)


def _as_mysql(sql: str) -> str:
    for one, other in (
        ("u UUID, ip INET6", "u CHAR(36), ip VARCHAR(43)"),
        ("id BIGINT DEFAULT NEXTVAL(`numbers`)", "id BIGINT AUTO_INCREMENT"),
    ):
        sql = sql.replace(one, other)
    return sql


def make(server: MariaDB, database: str) -> Factory:
    """A database with everything in it; what connects to it."""
    server.execute(f"DROP DATABASE IF EXISTS {database}")
    server.execute(f"CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    with server.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,PIPES_AS_CONCAT', "
            "time_zone = '+00:00', foreign_key_checks = 0, collation_connection = 'utf8mb4_bin'"
        )
        for sql in TORTURE[ON_MYSQL:]:
            cursor.execute(_as_mysql(sql) if ON_MYSQL else sql)
    return functools.partial(connect_to, server.url(database), None)


def dumped(factory: Factory, database: str, to: Path) -> Path:
    with factory(to_database=False) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            cursor.execute("START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        dump.dump(connection, database, to)
    return to


def everything(server: MariaDB, database: str, spelled: str | None = None) -> Any:
    """All that a copy must have, the database's name left out."""
    with connect_to(server.url(database), None) as connection:
        rows = content(connection, database, spelled)
        # In a session of ours, as MySQL keeps such numbers in store.
        counters = execute(
            connection,
            "SELECT table_name, auto_increment FROM information_schema.tables WHERE table_schema = %s ORDER BY 1",
            database,
        )
        charset = server.execute(
            "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = %s", database
        )
        sequence = [] if ON_MYSQL else server.execute(f"SELECT * FROM {quote(database)}.numbers")
        return rows, copy.objects(connection, database), counters, charset, sequence


def events(server: MariaDB, database: str) -> set[tuple[str, str]]:
    sql = "SELECT event_name, status FROM information_schema.events WHERE event_schema = %s"
    return {(str(name), str(status)) for name, status in server.execute(sql, database)}
