"""What a session prepares out of texts put together on the server, and how it reads names; live rows stay."""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa
from pymysql.constants import CLIENT

from app.dialects import dialect_for
from app.dialects.base import OutsideStaging
from app.dialects.mysql import connect
from app.dialects.mysql.prepared import Guarded, GuardedConnection, WholeCursor, guard
from tests.support.servers.mariadb import ON_MYSQL, MariaDB

ENDS_ELSEWHERE = "UPDATE users AS a JOIN (SELECT '丁\\' AS x) AS b JOIN LIVE.users AS o SET o.name = '2'"
"""In gbk the backslash is the second half of a character, so that the first text ends before AS."""
WRITE = "CONCAT('UPDATE ', 'LI', 'VE', '.users SET name = 2')"
# MySQL has no EXECUTE IMMEDIATE.
OF_MARIADB = (
    {} if ON_MYSQL else {"names, by a prepared text": ["EXECUTE IMMEDIATE CONCAT('SET NA', 'MES gbk')", ENDS_ELSEWHERE]}
)
REACHING = {
    "variable": [f"SET @s = {WRITE}", "PREPARE x FROM @s", "EXECUTE x"],
    "variable, named later": ["PREPARE x FROM 'SELECT 1'", f"SELECT {WRITE} INTO @s", "prepare x from @s", "EXECUTE x"],
    "expression": [f"PREPARE x FROM {WRITE}", "EXECUTE x"],
    "immediate": [f"EXECUTE IMMEDIATE {WRITE}"],
    "immediate, with a value": [
        "EXECUTE IMMEDIATE CONCAT('UPDATE ', CONVERT('LI' USING utf8mb4), 'VE.users SET name = ?') USING 2"
    ],
    "immediate, a literal": ["EXECUTE IMMEDIATE 'DROP DATABASE LIVE'"],
    "comments": [f"SET @s = {WRITE}", "/* x */ PREPARE -- y\n `x` # z\n FROM/**/@s /*!50000 */", "EXECUTE x"],
    "versioned": [f"SET @s = {WRITE}", "/*!50000 PREPARE x FROM @s */", "EXECUTE x"],
    "bytes": [f"SET @s = CAST({WRITE} AS BINARY)", "PREPARE x FROM @s", "EXECUTE x"],
    "another at each look": [
        "SET @n = 0",
        f"PREPARE x FROM IF((@n := @n + 1) > 1, {WRITE}, 'SELECT 1')",
        "EXECUTE x",
        f"PREPARE x FROM IF((@n := @n + 1) > 1, {WRITE}, 'SELECT 1')",
        "EXECUTE x",
    ],
    "procedure": [
        f"CREATE PROCEDURE p() BEGIN SET @s = {WRITE}; PREPARE x FROM @s; EXECUTE x; END",
        "CALL p()",
    ],
    "procedure, a literal": [
        "CREATE PROCEDURE p() BEGIN PREPARE x FROM 'DROP DATABASE LIVE'; EXECUTE x; END",
        "CALL p()",
    ],
    "procedure, literals": [
        "CREATE PROCEDURE p() BEGIN PREPARE x FROM 'DROP DATABASE ' 'LIVE'; EXECUTE x; END",
        "CALL p()",
    ],
    "procedure, immediate": [f"CREATE PROCEDURE p() EXECUTE IMMEDIATE {WRITE}", "CALL p()"],
    "procedure, by a prepared text": [
        "EXECUTE IMMEDIATE CONCAT('CREATE PROCEDURE p() EXECUTE IMMEDIATE CONCAT(''UPDATE LI'', ''VE.users "
        "SET name = 2'')')",
        "CALL p()",
    ],
    "procedure, another mode": [
        "CREATE PROCEDURE p() BEGIN SET sql_mode = 'NO_BACKSLASH_ESCAPES'; "
        "PREPARE x FROM 'UPDATE users SET name = 2'; EXECUTE x; END",
        "CALL p()",
    ],
    "block": [f"BEGIN NOT ATOMIC EXECUTE IMMEDIATE {WRITE}; END"],
    "trigger": [f"CREATE TRIGGER t AFTER INSERT ON users FOR EACH ROW EXECUTE IMMEDIATE {WRITE}"],
    "event": [f"CREATE EVENT e ON SCHEDULE EVERY 1 SECOND DO EXECUTE IMMEDIATE {WRITE}"],
    "sys": ["CALL sys.execute_prepared_stmt(CONCAT('UPDATE LI', 'VE.users SET name = 2'))"],
    "ansi quotes": ["SET sql_mode = 'ANSI_QUOTES'", 'UPDATE "LIVE"."users" SET name = 2'],
    "ansi quotes, an alias's look": [
        "SET sql_mode = CONCAT(@@sql_mode, ',ANSI')",
        'INSERT INTO users SELECT "users\\", LIVE.users.name FROM LIVE.users # "',
    ],
    "no backslashes": [
        "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'",
        "UPDATE users SET name = '\\'; UPDATE LIVE.users SET name = '2'",
    ],
    "no backslashes, in one": [
        "SET @@sql_mode = 'NO_BACKSLASH_ESCAPES'",
        "UPDATE users, LIVE.users AS o SET o.name = '\\', users.name = '' WHERE '' = '\\' OR LIVE.users.name = ''",
    ],
    "mode of a prepared text": [
        "PREPARE x FROM CONCAT('SET sql_', 'mode = ''NO_BACKSLASH_ESCAPES''')",
        "EXECUTE x",
        "UPDATE users SET name = '\\' WHERE name IN (SELECT name FROM LIVE.users WHERE name <> '')",
    ],
    "names": ["SET NAMES gbk", ENDS_ELSEWHERE],
    "names, in a list": ["SET @a = 1, NAMES 'sjis'", ENDS_ELSEWHERE],
    "names, versioned": ["/*!40101 SET NAMES gbk */", ENDS_ELSEWHERE],
    **OF_MARIADB,
    "names, prepared": ["PREPARE x FROM 'SET NAMES gbk'", "EXECUTE x", ENDS_ELSEWHERE],
    "character set": ["SET CHARACTER SET big5", ENDS_ELSEWHERE],
    "charset": ["SET CHARSET cp932", ENDS_ELSEWHERE],
    "client": ["SET @@SESSION.character_set_client = 'gbk'", ENDS_ELSEWHERE],
    "client by number": ["SET character_set_client = 28", ENDS_ELSEWHERE],
    "an answer in another encoding": [
        "SET character_set_results = utf16",
        "SET sql_mode = 'ANSI_QUOTES'",
        'UPDATE "LIVE"."users" SET name = 2',
    ],
}
HARMLESS = [
    ["SET NAMES latin1", "SET NAMES utf8mb4", "UPDATE users SET name = 'é'", "CHECK SELECT COUNT(*) FROM users"],
    [
        "SET @former = @@character_set_client",
        "SET character_set_client = utf8",
        "ALTER TABLE users ADD COLUMN names VARCHAR(9) CHARACTER SET gbk",
        *([] if ON_MYSQL else ["EXECUTE IMMEDIATE 'CREATE TABLE more (name INT) DEFAULT CHARSET = utf8mb4'"]),
        "SET character_set_client = @former",
        "CHECK SELECT COUNT(*) FROM users WHERE names IS NULL",
    ],
    [
        "SET @s = IF((SELECT COUNT(*) FROM information_schema.columns WHERE table_schema = DATABASE() "
        "AND table_name = 'users' AND column_name = 'extra') > 0, 'SELECT 1', "
        "'ALTER TABLE users ADD COLUMN extra VARCHAR(9) DEFAULT ''it\\'\\'s''')",
        "PREPARE x FROM @s",
        "EXECUTE x",
        "DEALLOCATE PREPARE x",
        "INSERT INTO users (name) VALUES ('y')",
        "CHECK SELECT COUNT(*) FROM users WHERE name = 'y' AND extra = 'it''s'",
    ],
    [
        "PREPARE `a ``b` FROM 'UPDATE users SET name = ?'",
        "SET @v = 'LIVE users'",
        "EXECUTE `a ``b` USING @v",
        "CHECK SELECT COUNT(*) FROM users WHERE name = 'LIVE users'",
    ],
    *(
        []
        if ON_MYSQL
        else [
            [
                "EXECUTE IMMEDIATE CONCAT('UPDATE us', 'ers SET name = ?') USING 'z'",
                "CHECK SELECT COUNT(*) FROM users WHERE name = 'z'",
            ]
        ]
    ),
    [
        "CREATE PROCEDURE p() BEGIN PREPARE x FROM 'UPDATE users SET name = 5'; EXECUTE x; DEALLOCATE PREPARE x; END",
        "CALL p()",
        "CHECK SELECT COUNT(*) FROM users WHERE name = '5'",
    ],
    [
        "SET @former = @@sql_mode",
        "SET sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES'",
        "UPDATE \"users\" SET name = '\\'",
        "SET @s = CONCAT('UPDATE \"users\" SET name = CONCAT(name, ''', 'q\\', ''')')",
        "PREPARE x FROM @s",
        "EXECUTE x",
        "SET sql_mode = @former",
        "UPDATE users SET name = CONCAT(name, 'it\\'s LIVE.users')",
        "CHECK SELECT COUNT(*) FROM users WHERE name = '\\\\q\\\\it''s LIVE.users'",
    ],
]


class Places:
    """A live database and a staging one, each with one user."""

    def __init__(self, server: MariaDB) -> None:
        self.server, name = server, f"t{secrets.token_hex(4)}"
        self.live, self.staging = f"{name}live", f"{name}st"
        for database in (self.live, self.staging):
            server.execute(f"CREATE DATABASE {database}")
            server.execute(f"CREATE TABLE {database}.users (name VARCHAR(60))")
            server.execute(f"INSERT INTO {database}.users VALUES ('1')")

    def forget(self) -> None:
        for database in (self.live, self.staging):
            self.server.execute(f"DROP DATABASE IF EXISTS {database}")

    def run(self, statements: list[str], **options: Any) -> None:
        with connect.connect_to(self.server.url(self.staging), None, driver=GuardedConnection, **options) as connection:
            guard(connection, Guarded(frozenset({self.live}), folds=False))
            for statement in statements:
                # Put together by the statement, the name is in halves.
                self._send(connection, statement.replace("'LI', 'VE'", self._halves()).replace("LIVE", self.live))

    def _halves(self) -> str:
        return f"'{self.live[:4]}', '{self.live[4:]}'"

    def _send(self, connection: pymysql.Connection[Any], statement: str) -> None:
        for written in ("'LI' USING utf8mb4), 'VE", "LI'', ''VE", "LI', 'VE"):
            statement = statement.replace(written, written.replace("LI", self.live[:4]).replace("VE", self.live[4:]))
        with connection.cursor() as cursor:
            cursor.execute(statement.removeprefix("CHECK "))
            if statement.startswith("CHECK "):
                assert cursor.fetchone() == (1,), statement

    def live_rows(self) -> Any:
        return self.server.execute(f"SELECT name FROM {self.live}.users")


@pytest.fixture
def places(mariadb: MariaDB) -> Iterator[Places]:
    made = Places(mariadb)
    yield made
    made.forget()


@pytest.mark.parametrize("kind", list(REACHING))
def test_no_text_that_is_put_together_reaches_what_is_live(places: Places, kind: str) -> None:
    before = places.live_rows()
    with pytest.raises(OutsideStaging):
        places.run(REACHING[kind])
    assert places.live_rows() == before


def test_the_drivers_own_change_of_character_set_is_seen(places: Places) -> None:
    """It is sent as no statement of a cursor's."""
    before, url = places.live_rows(), places.server.url(places.staging)
    with connect.connect_to(url, None, driver=GuardedConnection) as connection:
        guard(connection, Guarded(frozenset({places.live}), folds=False))
        connection.set_character_set("gbk")
        with pytest.raises(OutsideStaging, match="gbk"), connection.cursor() as cursor:
            cursor.execute(ENDS_ELSEWHERE.replace("LIVE", places.live))
    assert places.live_rows() == before


@pytest.mark.parametrize("as_bytes", [True, False])
def test_the_drivers_own_change_of_database_is_refused(places: Places, as_bytes: bool) -> None:
    with connect.connect_to(places.server.url(places.staging), None, driver=GuardedConnection) as connection:
        guard(connection, Guarded(frozenset({places.live}), folds=False))
        with pytest.raises(OutsideStaging, match="selects the database"):
            connection.select_db(places.live.encode() if as_bytes else places.live)  # type: ignore[arg-type]


def test_what_is_counted_of_rows_is_not_taken_away(places: Places) -> None:
    """By a question in between, which words such as a column's name would ask for."""
    with connect.connect_to(places.server.url(places.staging), None, driver=GuardedConnection) as connection:
        guard(connection, Guarded(frozenset({places.live}), folds=False))
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE users ADD COLUMN names INT")
            cursor.execute("INSERT INTO users VALUES ('2', 1), ('3', 1)")
            cursor.execute("UPDATE users SET names = 7")
            cursor.execute("SELECT ROW_COUNT()")
            assert cursor.fetchone() == (3,)
            cursor.execute("SELECT SQL_CALC_FOUND_ROWS names FROM users LIMIT 1")
            cursor.fetchall()
            cursor.execute("SELECT FOUND_ROWS()")
            assert cursor.fetchone() == (3,)


@pytest.mark.parametrize("statements", HARMLESS)
def test_what_stays_in_staging_goes_on_working(places: Places, statements: list[str]) -> None:
    before = places.live_rows()
    places.run(statements)
    assert places.live_rows() == before


SEVERAL = {"client_flag": CLIENT.MULTI_STATEMENTS, "cursorclass": WholeCursor}
SEVERAL_REACHING = {
    "character set": ["SET NAMES gbk; SELECT 1"],
    "second": ["SELECT 1; UPDATE LIVE.users SET name = 2"],
    "show": ["SELECT 1; SHOW TABLES FROM LIVE"],
    "mode": ['SET sql_mode = \'ANSI_QUOTES\'; UPDATE "LIVE"."users" SET name = 2'],
    "mode of a prepared text": [
        "PREPARE x FROM CONCAT('SET sql_', 'mode = ''ANSI_QUOTES''')",
        "SELECT 1; EXECUTE x",
        'UPDATE "LIVE"."users" SET name = 2',
    ],
    "text, first": [f"PREPARE x FROM {WRITE}; EXECUTE x"],
    "text, second": [f"SET @s = {WRITE}; PREPARE x FROM @s; EXECUTE x"],
    "immediate": [f"SELECT 1; EXECUTE IMMEDIATE {WRITE}"],
    "literal": ["SET @v = 1; PREPARE x FROM 'UPDATE LIVE.users SET name = 2'; EXECUTE x"],
    "versioned": ["SELECT 1 /*!50000 ; UPDATE LIVE.users SET name = 2 */"],
}


@pytest.mark.parametrize("kind", list(SEVERAL_REACHING))
def test_no_statement_among_several_reaches_what_is_live(places: Places, kind: str) -> None:
    before = places.live_rows()
    with pytest.raises(OutsideStaging):
        places.run(SEVERAL_REACHING[kind], **SEVERAL)
    assert places.live_rows() == before


@pytest.mark.parametrize("statements", HARMLESS)
def test_one_at_a_time_goes_on_working_where_several_would(places: Places, statements: list[str]) -> None:
    places.run(statements, **SEVERAL)


def test_several_statements_in_one_text(mariadb: MariaDB, places: Places) -> None:
    prepared = "PREPARE x FROM 'UPDATE users SET name = CONCAT(name, 3)'; EXECUTE x; DEALLOCATE PREPARE x;"
    places.run(["INSERT INTO users VALUES ('a;b'); UPDATE users SET name = '2;'; -- done", prepared], **SEVERAL)
    assert mariadb.execute(f"SELECT name FROM {places.staging}.users") == [("2;3",), ("2;3",)]


def test_an_error_of_a_later_statement_is_one(places: Places) -> None:
    with pytest.raises(pymysql.ProgrammingError, match="nothing"):
        places.run(["SELECT 1; UPDATE nothing SET name = 2; SELECT 3"], **SEVERAL)


def test_what_is_fetched_is_of_the_first(places: Places) -> None:
    places.run(["CHECK SELECT 1; UPDATE users SET name = 2"], **SEVERAL)


@pytest.mark.parametrize("driver", ["mysqldb", "pymysql"])
def test_mysqlclient_takes_several_and_pymysql_does_not(mariadb: MariaDB, driver: str) -> None:
    name = f"t{secrets.token_hex(4)}"
    url = mariadb.url(name)
    dialect = dialect_for(url)
    dialect.create(url)
    try:
        staging = dialect.staging_url(url, "one")
        dialect.prepare_staging(staging, url)
        several = "CREATE TABLE t (n INT); INSERT INTO t VALUES (5); UPDATE t SET n = n % 3"
        with dialect.engine(staging.set(drivername=f"mysql+{driver}")).connect() as connection:
            if driver == "mysqldb":
                connection.exec_driver_sql(several.replace("%", "%%"))
                assert connection.exec_driver_sql("SELECT n FROM t").scalar() == 2
            else:
                with pytest.raises(sa.exc.ProgrammingError):
                    connection.exec_driver_sql(several.replace("%", "%%"))
    finally:
        mariadb.drop_all(name)
