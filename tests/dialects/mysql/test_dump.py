"""MySQL and MariaDB: backup files, restored by us and by the server's own client, and copies inside the server."""

from __future__ import annotations

import contextlib
import functools
import itertools
import re
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.dialects.mysql import copy, dump
from app.dialects.mysql.connect import connect_to, quote
from app.dialects.mysql.fence import content
from app.dialects.mysql.objects import tables
from app.dialects.mysql.session import Factory
from app.errors import BackupFailed, DoesNotFit, LockHeld
from tests.support.limits import no_endless_wait
from tests.support.servers.mariadb import MariaDB

ROOT = Path(__file__).resolve().parents[3]

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


def make(server: MariaDB, database: str) -> Factory:
    """A database with everything in it; what connects to it."""
    server.execute(f"DROP DATABASE IF EXISTS {database}")
    server.execute(f"CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_unicode_ci")
    with server.connect(database) as connection, connection.cursor() as cursor:
        cursor.execute(
            "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES,PIPES_AS_CONCAT', "
            "time_zone = '+00:00', foreign_key_checks = 0, collation_connection = 'utf8mb4_bin'"
        )
        for sql in TORTURE:
            cursor.execute(sql)
    return functools.partial(connect_to, server.url(database), None)


@pytest.fixture(scope="module")
def torture(mariadb: MariaDB) -> Iterator[Factory]:
    yield make(mariadb, "torture")
    for name in ("torture", "torture__stg_back", "torture__stg_own"):
        mariadb.execute(f"DROP DATABASE IF EXISTS {name}")


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
        counters = server.execute(
            "SELECT table_name, auto_increment FROM information_schema.tables WHERE table_schema = %s ORDER BY 1",
            database,
        )
        charset = server.execute(
            "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = %s", database
        )
        sequence = server.execute(f"SELECT * FROM {quote(database)}.numbers")
        return rows, copy.objects(connection, database), counters, charset, sequence


def client(server: MariaDB, database: str, file: Path) -> subprocess.CompletedProcess[str]:
    """Restore a file as an administrator does."""
    server.execute(f"DROP DATABASE IF EXISTS {quote(database)}")
    server.execute(f"CREATE DATABASE {quote(database)}")
    command = ["mariadb", "--no-defaults", "--comments", f"--socket={server.socket}", "--user=root", database]
    with file.open("rb") as text:
        return subprocess.run(command, stdin=text, capture_output=True, text=True, timeout=120, check=False)


def events(server: MariaDB, database: str) -> set[tuple[str, str]]:
    sql = "SELECT event_name, status FROM information_schema.events WHERE event_schema = %s"
    return {(str(name), str(status)) for name, status in server.execute(sql, database)}


def test_everything_comes_back_by_us(mariadb: MariaDB, torture: Factory, tmp_path: Path) -> None:
    file = dumped(torture, "torture", tmp_path / "dump.sql")
    assert file.stat().st_mode & 0o777 == 0o600
    dump.restore(torture, file, "torture__stg_back")
    assert everything(mariadb, "torture__stg_back") == everything(mariadb, "torture")
    assert events(mariadb, "torture__stg_back") == {("tidy", "SLAVESIDE_DISABLED"), ("never", "DISABLED")}
    again = dumped(torture, "torture__stg_back", tmp_path / "again.sql")
    first, second = (path.read_bytes().split(b"\n", 2)[2] for path in (file, again))
    assert first.rsplit(b"--", 1)[0] == second.rsplit(b"--", 1)[0]


def test_everything_comes_back_by_the_servers_client(mariadb: MariaDB, torture: Factory, tmp_path: Path) -> None:
    file = dumped(torture, "torture", tmp_path / "dump.sql")
    done = client(mariadb, "torture__stg_own", file)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert everything(mariadb, "torture__stg_own") == everything(mariadb, "torture")
    assert events(mariadb, "torture__stg_own") == {("tidy", "ENABLED"), ("never", "DISABLED")}
    mariadb.execute("DROP DATABASE torture__stg_own")


def test_a_copy_is_exact(mariadb: MariaDB, torture: Factory) -> None:
    copy.copy_database(torture, "torture", "torture__stg_back", 5)
    # The default of a column goes on naming the live database's sequence.
    assert everything(mariadb, "torture__stg_back", "torture") == everything(mariadb, "torture")
    assert events(mariadb, "torture__stg_back") == {("tidy", "SLAVESIDE_DISABLED"), ("never", "DISABLED")}


def test_a_copy_gives_up_on_a_source_that_stays_locked(mariadb: MariaDB, torture: Factory) -> None:
    with mariadb.connect("torture") as other:
        with other.cursor() as cursor:
            cursor.execute("LOCK TABLES parents WRITE")
        with no_endless_wait(), pytest.raises(LockHeld):
            copy.copy_database(torture, "torture", "torture__stg_back", 1)


def test_some_tables_are_carried_with_their_triggers(mariadb: MariaDB, torture: Factory) -> None:
    mariadb.execute("DROP DATABASE IF EXISTS torture__stg_back")
    mariadb.execute("CREATE DATABASE torture__stg_back")
    wanted = ["parents", "types", "empty one", "numbers"]
    for _ in range(2):
        copy.carry(torture, "torture", "torture__stg_back", wanted)
        with torture(to_database=False) as connection:
            there, here = (content(connection, name) for name in ("torture__stg_back", "torture"))
            objects = copy.objects(connection, "torture__stg_back")
        assert there == {name: here[name] for name in wanted}
        assert [item.name for item in objects] == ["numbers", "first", "second"]
        mariadb.execute("DELETE FROM parents", database="torture__stg_back")


def test_the_fingerprint_is_blind_to_rows(mariadb: MariaDB, torture: Factory) -> None:
    with torture(to_database=False) as connection:
        before = copy.schema_fingerprint(connection, "torture")
        for sql in (
            "INSERT INTO `empty one` (x) VALUES ('y')",
            "DELETE FROM `empty one`",
            "SELECT NEXTVAL(numbers)",
            "ALTER TABLE alembic_version COMMENT 'ours ferry 01234567'",
        ):
            mariadb.execute(sql, database="torture")
            assert copy.schema_fingerprint(connection, "torture") == before
        assert copy.schema_fingerprint(connection, "not there") == ""


@pytest.mark.parametrize(
    ("change", "undo"),
    [
        ("ALTER TABLE parents COMMENT 'x'", "ALTER TABLE parents COMMENT ''"),
        ("CREATE INDEX i ON audit (what(5))", "DROP INDEX i ON audit"),
        ("CREATE VIEW v AS SELECT 1", "DROP VIEW v"),
        ("CREATE TRIGGER tr BEFORE DELETE ON audit FOR EACH ROW SET @a = 1", "DROP TRIGGER tr"),
        ("CREATE PROCEDURE pr () SELECT 1", "DROP PROCEDURE pr"),
        ("ALTER EVENT tidy ON SCHEDULE EVERY 2 DAY", "ALTER EVENT tidy ON SCHEDULE EVERY 1 DAY"),
    ],
)
def test_the_fingerprint_sees_every_change(mariadb: MariaDB, torture: Factory, change: str, undo: str) -> None:
    with torture(to_database=False) as connection:
        before = copy.schema_fingerprint(connection, "torture")
        mariadb.execute(change, database="torture")
        changed = copy.schema_fingerprint(connection, "torture")
        mariadb.execute(undo, database="torture")
    assert changed != before


# A file that is not whole


def cuts(whole: bytes) -> list[int]:
    borders = [match.end() for match in re.finditer(rb";\n", whole)]
    return sorted({len(whole) * part // 20 for part in range(20)} | set(borders[::3]) | {len(whole) - 1})


def test_a_file_that_was_cut_anywhere_is_refused_before_anything_is_done(
    mariadb: MariaDB, torture: Factory, tmp_path: Path
) -> None:
    whole = dumped(torture, "torture", tmp_path / "dump.sql").read_bytes()
    mariadb.execute("CREATE OR REPLACE DATABASE torture__stg_back")
    mariadb.execute("CREATE TABLE kept (id INT)", database="torture__stg_back")
    broken = tmp_path / "broken.sql"
    for length in cuts(whole):
        broken.write_bytes(whole[:length])
        with pytest.raises(BackupFailed, match=r"broken\.sql"):
            dump.restore(torture, broken, "torture__stg_back")
    last = whole.rindex(b"INSERT")
    for changed in (whole[: last + 9] + b"X" + whole[last + 10 :], whole.replace(b"\n\n", b"\n", 1) + b"\n"):
        broken.write_bytes(changed)
        with pytest.raises(BackupFailed, match=r"broken\.sql"):
            dump.restore(torture, broken, "torture__stg_back")
    with connect_to(mariadb.url("torture__stg_back"), None) as connection:
        assert list(tables(connection, "torture__stg_back")) == ["kept"]


def test_what_the_server_refuses_is_named(mariadb: MariaDB, torture: Factory, tmp_path: Path) -> None:
    file = dumped(torture, "torture", tmp_path / "dump.sql")
    mariadb.execute("SET GLOBAL max_allowed_packet = 4096")
    try:
        with pytest.raises(BackupFailed, match=r"dump\.sql: statement \d+ has \d+ bytes") as caught:
            dump.restore(torture, file, "torture__stg_back")
    finally:
        mariadb.execute("SET GLOBAL max_allowed_packet = 16777216")
    assert "max_allowed_packet" in str(caught.value.hint)


@contextlib.contextmanager
def little_room(size_bytes: int) -> Iterator[None]:
    """Files of this process may not grow beyond a size."""
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, former[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
        signal.signal(signal.SIGXFSZ, handler)


def test_a_file_that_cannot_be_written(torture: Factory, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="nothing"):
        dumped(torture, "torture", tmp_path / "nothing" / "dump.sql")
    with pytest.raises(BackupFailed, match="File too large"), little_room(8192):
        dumped(torture, "torture", tmp_path / "dump.sql")
    assert list(tmp_path.iterdir()) == []


def test_a_schema_that_changes_meanwhile_is_found_out(
    mariadb: MariaDB, torture: Factory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = dump._write

    def late(*args: Any) -> None:
        write(*args)
        mariadb.execute("CREATE TABLE late (id INT)", database="torture")

    monkeypatch.setattr(dump, "_write", late)
    try:
        with pytest.raises(BackupFailed, match="changed while"):
            dumped(torture, "torture", tmp_path / "dump.sql")
    finally:
        mariadb.execute("DROP TABLE late", database="torture")


@pytest.mark.parametrize(
    ("made", "gone", "words"),
    [
        ("CREATE TABLE former (id INT PRIMARY KEY) WITH SYSTEM VERSIONING", "DROP TABLE former", "former"),
        ("CREATE VIEW broken AS SELECT * FROM soon", "DROP VIEW broken", "broken"),
    ],
)
def test_what_would_not_come_back_is_refused(
    mariadb: MariaDB, torture: Factory, tmp_path: Path, made: str, gone: str, words: str
) -> None:
    mariadb.execute("CREATE TABLE soon (id INT)", database="torture")
    mariadb.execute(made, database="torture")
    mariadb.execute("DROP TABLE soon", database="torture")
    try:
        with pytest.raises(BackupFailed, match=words):
            dumped(torture, "torture", tmp_path / "dump.sql")
        with pytest.raises(DoesNotFit, match=words):
            copy.copy_database(torture, "torture", "torture__stg_back", 5)
    finally:
        mariadb.execute(gone, database="torture")


# While others write, much of it, and by whom


@pytest.fixture
def bank(mariadb: MariaDB) -> Iterator[Factory]:
    """Accounts that hold 1000 together."""
    mariadb.execute("CREATE OR REPLACE DATABASE bank")
    for sql in (
        "CREATE TABLE accounts (id INT PRIMARY KEY, amount INT)",
        "CREATE TABLE savings (id INT PRIMARY KEY, amount INT)",
        "INSERT INTO accounts SELECT seq, 10 FROM seq_1_to_100",
        "INSERT INTO savings SELECT seq, 0 FROM seq_1_to_100",
    ):
        mariadb.execute(sql, database="bank")
    yield functools.partial(connect_to, mariadb.url("bank"), None)
    for name in ("bank", "bank__stg_back"):
        mariadb.execute(f"DROP DATABASE IF EXISTS {name}")


def test_a_backup_is_of_one_instant(mariadb: MariaDB, bank: Factory, tmp_path: Path) -> None:
    ended = threading.Event()

    def transfer() -> None:
        with mariadb.connect("bank") as connection, connection.cursor() as cursor:
            for number in itertools.count():
                if ended.is_set():
                    return
                cursor.execute("BEGIN")
                cursor.execute("UPDATE accounts SET amount = amount - 1 WHERE id = %s", (number % 100 + 1,))
                cursor.execute("UPDATE savings SET amount = amount + 1 WHERE id = %s", (number % 100 + 1,))
                cursor.execute("COMMIT")

    writer = threading.Thread(target=transfer)
    writer.start()
    try:
        files = [dumped(bank, "bank", tmp_path / f"{number}.sql") for number in range(3)]
    finally:
        ended.set()
        writer.join()
    for file in files:
        dump.restore(bank, file, "bank__stg_back")
        sql = "SELECT (SELECT sum(amount) FROM accounts) + (SELECT sum(amount) FROM savings)"
        assert mariadb.execute(sql, database="bank__stg_back") == [(1000,)]
    assert len({file.read_bytes() for file in files}) == 3


MEASURED = """
import functools, sys
from pathlib import Path
from sqlalchemy import make_url
from app.dialects.mysql import dump
from app.dialects.mysql.connect import connect_to
import psutil

url, file = make_url(sys.argv[1]), Path(sys.argv[2])
factory = functools.partial(connect_to, url, None)
with factory(to_database=False) as connection:
    dump.dump(connection, url.database, file)
dump.restore(factory, file, url.database + "__stg_back")
print(psutil.Process().memory_full_info().uss)
"""


def test_memory_does_not_grow_with_the_rows(mariadb: MariaDB, bank: Factory, tmp_path: Path) -> None:
    used = []
    for rows in (5_000, 50_000):
        mariadb.execute("CREATE OR REPLACE TABLE much (id INT PRIMARY KEY, t TEXT)", database="bank")
        mariadb.execute(f"INSERT INTO much SELECT seq, repeat(md5(seq), 10) FROM seq_1_to_{rows}", database="bank")
        url = mariadb.url("bank").render_as_string(hide_password=False)
        command = [sys.executable, "-c", MEASURED, url, str(tmp_path / "dump.sql")]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, cwd=ROOT)
        used.append(int(done.stdout))
    assert (tmp_path / "dump.sql").stat().st_size > 16_000_000
    assert used[1] < used[0] + 4_000_000, used
    assert mariadb.execute("SELECT count(*) FROM much", database="bank__stg_back") == [(50_000,)]


@pytest.fixture
def clerk(mariadb: MariaDB) -> Iterator[str]:
    """A user who may do everything with the databases of one application, and nothing else."""
    mariadb.execute("CREATE USER clerk IDENTIFIED BY 'made up'")
    mariadb.execute(r"GRANT ALL ON `torture\_\_%`.* TO clerk")
    yield "clerk"
    mariadb.execute("DROP USER clerk")


def test_an_ordinary_user_restores(mariadb: MariaDB, torture: Factory, tmp_path: Path, clerk: str) -> None:
    file = dumped(torture, "torture", tmp_path / "dump.sql")
    url = mariadb.url("torture", user=clerk, password="made up")
    dump.restore(functools.partial(connect_to, url, None), file, "torture__stg_back")
    there, here = everything(mariadb, "torture__stg_back"), everything(mariadb, "torture")
    assert there == here


def test_a_server_that_refuses_functions_says_what_to_set(torture: Factory, tmp_path: Path) -> None:
    file = dumped(torture, "torture", tmp_path / "dump.sql")
    with private(tmp_path, "--log-bin=binlog", "--server-id=1") as server:
        server.execute("CREATE USER clerk IDENTIFIED BY 'made up'")
        server.execute("GRANT ALL ON `torture%`.* TO clerk")
        own = functools.partial(connect_to, server.url(None, user="clerk", password="made up"), None)
        with pytest.raises(BackupFailed, match="SUPER") as caught:
            dump.restore(own, file, "torture__stg_back")
        assert "log_bin_trust_function_creators" in str(caught.value.hint)
        server.execute("SET GLOBAL log_bin_trust_function_creators = 1")
        dump.restore(own, file, "torture__stg_back")


@contextlib.contextmanager
def private(directory: Path, *options: str) -> Iterator[MariaDB]:
    """A server of the test's own."""
    server = MariaDB(directory / "server", *options)
    server.prepare()
    server.start()
    try:
        yield server
    finally:
        server.stop()
