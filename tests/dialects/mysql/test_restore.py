"""Backup files with statements that no backup of ours holds: refused by line, before the first of all is run."""

from __future__ import annotations

from pathlib import Path

import pymysql
import pytest
import xxhash

from app.dialects.mysql import dump as mysql_dump
from app.dialects.mysql import restore
from app.dialects.mysql.connect import connect_to
from app.errors import BackupFailed
from tests.support.places import execute, new_name, rows_of
from tests.support.servers.mariadb import MariaDB

HOSTILE = [
    "DELETE FROM LIVE.posts;",
    "DROP TABLE LIVE.posts;",
    "UPDATE LIVE.posts SET x = 'y';",
    "/*!50000 DELETE FROM LIVE.posts */;",
    "INSERT INTO LIVE.posts (x) VALUES ('y');",
    "INSERT INTO `LIVE`.`posts` (`x`) VALUES ('y');",
    "INSERT INTO `posts` (`id`,`x`) VALUES (9,'y');",
    "INSERT INTO `posts` (`id`, `x`) VALUES (9,(SELECT 1));",
    "INSERT INTO `posts` (`id`, `x`) VALUES (9,SLEEP(9));",
    "INSERT INTO `posts` (`id`, `x`) VALUES (9,'y') ON DUPLICATE KEY UPDATE x = 'z';",
    "INSERT INTO `posts` (`id`, `x`) SELECT id, x FROM LIVE.posts;",
    "INSERT INTO `other` (`id`) VALUES (1);",
    "INSERT INTO `posts` (`id`, `x`) VALUES (9,'y'); DELETE FROM LIVE.posts;",
    "INSERT INTO `posts` (`id`, `x`) VALUES (9,'\\''), (8,(DELETE));",
    "CREATE TABLE `t` SELECT * FROM LIVE.posts;",
    "CREATE TABLE `t` LIKE LIVE.posts;",
    "CREATE TABLE `t` (`id` int) VALUES (9);",
    "CREATE TABLE `t` (`id` int) VALUES ROW(SLEEP(9));",
    "CREATE TABLE `t` (`id` int) TABLE `posts`;",
    "CREATE TABLE `t` (`id` int, `x` text DEFAULT (LOAD_FILE('/etc/passwd')));",
    "CREATE TABLE LIVE.t (id INT);",
    "CREATE TABLE `LIVE`.`t` (`id` int);",
    "CREATE TABLE `t` (`id` int REFERENCES `LIVE`.`posts` (`id`)) ENGINE=InnoDB;",
    "CREATE TABLE `t` (`id` int) ENGINE=FEDERATED CONNECTION='mysql://h/LIVE/posts';",
    "CREATE TABLE `t` (`id` int) ENGINE=InnoDB DATA DIRECTORY='/tmp';",
    "CREATE TRIGGER `t` AFTER INSERT ON `LIVE`.`posts` FOR EACH ROW DELETE FROM x;",
    "CREATE TRIGGER `LIVE`.`t` AFTER INSERT ON `posts` FOR EACH ROW DELETE FROM x;",
    "CREATE PROCEDURE `LIVE`.`p`() DELETE FROM posts;",
    "CREATE USER x;",
    "CREATE DATABASE x;",
    "ALTER TABLE LIVE.posts ADD y INT;",
    "ALTER DATABASE LIVE CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;",
    "USE LIVE;",
    "CALL LIVE.p();",
    "PREPARE s FROM 'DELETE FROM LIVE.posts';",
    "SET GLOBAL max_connections = 1;",
    "SET SESSION sql_mode = '', GLOBAL max_connections = 1;",
    "SET SESSION sql_mode = (SELECT 1);",
    "SET NAMES gbk;",
    "GRANT ALL ON *.* TO x;",
    "LOAD DATA INFILE '/etc/passwd' INTO TABLE posts;",
    "DO SLEEP(9);",
    "DO SETVAL(LIVE.s, 1, 0, 0);",
    "DELIMITER ;;\nDELETE FROM LIVE.posts\n;;\nDELIMITER ;",
    "DELIMITER $$\nCREATE TABLE `t` (`id` int); DELETE FROM LIVE.posts\n$$\nDELIMITER ;",
    "TRUNCATE LIVE.posts;",
    # Bodies that the rest of the restore would run.
    "CREATE TRIGGER `t` AFTER INSERT ON `posts` FOR EACH ROW DELETE FROM LIVE.posts;\n"
    "INSERT INTO `posts` (`id`, `x`) VALUES (9,'y');",
    "CREATE FUNCTION `f`() RETURNS int DELETE FROM LIVE.posts;\nSET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES';\n"
    "INSERT INTO `posts` (`id`, `x`) VALUES (9,'\\',f(),'');",
    "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES';\nINSERT INTO `posts` (`id`, `x`) VALUES (9,'\\',f(),'');",
    "SET SESSION sql_mode = 'ANSI_QUOTES';\nCREATE TABLE `t` (`id` int);",
    "CREATE  EVENT `e` ON SCHEDULE EVERY 1 SECOND ON COMPLETION NOT PRESERVE ENABLE DO DELETE FROM LIVE.posts;",
    "CREATE OR REPLACE EVENT `e` ON SCHEDULE EVERY 1 SECOND ENABLE DO DELETE FROM LIVE.posts;",
    "CREATE EVENT `e` ON SCHEDULE EVERY 1 SECOND DO DELETE FROM LIVE.posts;",
    "CREATE EVENT `e` ON SCHEDULE EVERY 1 SECOND ENABLE COMMENT ' DISABLE' DO DELETE FROM LIVE.posts;",
    "CREATE EVENT `e` ON SCHEDULE AT '\\' ENABLE DO DELETE FROM LIVE.posts -- ' ON COMPLETION PRESERVE ENABLE DO x;",
    "CREATE EVENT `LIVE`.`e` ON SCHEDULE EVERY 1 SECOND ON COMPLETION NOT PRESERVE ENABLE DO DELETE FROM posts;",
    "CREATE /* x */ TRIGGER `t` AFTER INSERT ON `LIVE`.`posts` FOR EACH ROW DELETE FROM x;",
    "CREATE TABLE `t` (`id` int --\n, FOREIGN KEY (`id`) REFERENCES LIVE.posts (`id`)) ENGINE=InnoDB;",
    "\0DELETE FROM LIVE.posts;",
]


@pytest.fixture
def live(mariadb: MariaDB) -> str:
    """The name of a live database with two rows."""
    name = new_name()
    mariadb.execute(f"CREATE DATABASE {name}")
    url = mariadb.url(name)
    execute(url, "CREATE TABLE posts (id INT PRIMARY KEY, x VARCHAR(99))")
    execute(url, "INSERT INTO posts VALUES (1, 'a'), (2, 'it''s; -- ` \\\\ b')")
    return name


def forged(dump: Path, more: str) -> None:
    """Put statements before a dump's end, and make its count and its hash fit."""
    head, _, _ = dump.read_bytes().rpartition(b"-- end of the backup")
    head += more.encode() + b"\n"
    count = sum(1 for _ in restore.statements(_reader(head)))
    dump.write_bytes(head + restore.END % (count, xxhash.xxh3_128(head).hexdigest().encode()))


def _reader(text: bytes) -> object:
    import io

    return io.BytesIO(text)


@pytest.mark.parametrize("more", HOSTILE)
def test_nothing_but_what_a_backup_holds_is_run(mariadb: MariaDB, live: str, tmp_path: Path, more: str) -> None:
    url, staging = mariadb.url(live), f"{live}__stg_x"
    dump = tmp_path / "b.sql"
    with connect_to(url, None) as connection:
        connection.begin()
        mysql_dump.dump(connection, live, dump)
    before = rows_of(url)
    forged(dump, more.replace("LIVE", live))

    def factory(**options: object) -> object:
        return connect_to(url, None, **options)

    with pytest.raises(BackupFailed, match=r"b\.sql, line [0-9]+: statement [0-9]+ is none") as refused:
        restore.restore(factory, dump, staging)
    assert "Nothing of it was run" in str(refused.value.hint)
    assert rows_of(url) == before
    with connect_to(url, None) as connection, connection.cursor() as cursor:
        assert cursor.execute("SHOW DATABASES LIKE %s", (staging.replace("_", r"\_"),)) == 0


def test_what_a_backup_holds_is_run(mariadb: MariaDB, live: str, tmp_path: Path) -> None:
    url, staging = mariadb.url(live), f"{live}__stg_x"
    dump = tmp_path / "b.sql"
    with connect_to(url, None) as connection:
        connection.begin()
        mysql_dump.dump(connection, live, dump)
    restore.restore(lambda **options: connect_to(url, None, **options), dump, staging)
    try:
        assert rows_of(mariadb.url(staging)) == rows_of(url)
    finally:
        mariadb.execute(f"DROP DATABASE {staging}")


def test_a_session_takes_one_statement_at_a_time(mariadb: MariaDB, live: str) -> None:
    with connect_to(mariadb.url(live), None) as connection, pytest.raises(pymysql.err.ProgrammingError):
        connection.query("SELECT 1; SELECT 2")
