"""MySQL and MariaDB: names of databases, privileges, addresses, passwords, servers that go away."""

from __future__ import annotations

import secrets
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from sqlalchemy import URL

from app.dialects import dialect_for
from app.dialects.model import Values
from app.dialects.mysql.connect import connection_arguments, explanation
from app.errors import (
    AccessDenied,
    DatabaseUnreachable,
    DoesNotFit,
    FerryError,
    LockHeld,
    Misconfigured,
    NotGranted,
    Protected,
)
from tests.dialects.rooms import Room
from tests.dialects.things import rows, table
from tests.support.servers import free_port
from tests.support.servers.mariadb import ON_MYSQL, MariaDB, numbers

# Servers and users


def test_a_server_that_is_not_there(tmp_path: Path) -> None:
    url = URL.create("mysql+pymysql", "root", "hunter2", "127.0.0.1", free_port(), "shop")
    dialect = dialect_for(url, directory=tmp_path)
    for act in (dialect.exists, dialect.identity, dialect.preflight, dialect.beside, dialect.mark):
        with pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1") as caught:
            act(url)
        assert "hunter2" not in repr(caught.value)
    with pytest.raises(DatabaseUnreachable, match=r"127\.0\.0\.1"), dialect.engine(url).connect():
        pytest.fail("connected")


def test_a_server_that_goes_away_in_the_middle(tmp_path: Path) -> None:
    server = MariaDB(tmp_path / "server")
    server.prepare()
    server.start()
    try:
        server.execute("CREATE DATABASE shop")
        server.execute("CREATE TABLE shop.things (id INT PRIMARY KEY, words LONGTEXT)")
        server.execute(f"INSERT INTO shop.things SELECT seq, repeat('x', 100000) FROM {numbers(300)}", database="shop")
        url = server.url("shop")
        dialect = dialect_for(url, directory=tmp_path)
        with pytest.raises(DatabaseUnreachable), dialect.reader(url) as reader:  # noqa: PT012
            found = reader.rows(reader.tables()["things"])
            next(found)
            server.kill()
            list(found)

        def rows_until_the_end() -> Iterator[Values]:
            yield [1000, "x"]
            server.kill()
            yield [1001, "x"]

        server.start()
        with dialect.reader(url) as reader:
            things = reader.tables()["things"]
        with pytest.raises(DatabaseUnreachable):
            dialect.load(url, things, rows_until_the_end(), batch_rows=1)
        server.start()
        with dialect.reader(url) as reader:
            assert reader.count("things") == 300
    finally:
        server.stop()


def test_a_source_that_goes_away_is_named_and_not_the_target(room: Room, tmp_path: Path) -> None:
    to = table(room, "id INT PRIMARY KEY, words LONGTEXT")
    server = MariaDB(tmp_path / "server")
    server.prepare()
    server.start()
    try:
        server.execute("CREATE DATABASE shop")
        server.execute("CREATE TABLE shop.things (id INT PRIMARY KEY, words LONGTEXT)")
        server.execute(f"INSERT INTO shop.things SELECT seq, repeat('x', 100000) FROM {numbers(300)}", database="shop")
        source = server.url("shop")
        with pytest.raises(DatabaseUnreachable, match=str(server.port)), room.dialect.reader(source) as reader:  # noqa: PT012
            found = reader.rows(reader.tables()["things"])
            next(found)
            server.kill()
            room.dialect.load(room.target, to, found, batch_rows=1)
    finally:
        server.stop()
    assert rows(room) == []


def test_a_wrong_password_is_said_without_it(room: Room, mariadb: MariaDB, limited: URL) -> None:
    for act in (room.dialect.exists, room.dialect.identity, room.dialect.preflight, room.dialect.create):
        with pytest.raises(AccessDenied, match=str(limited.username)) as caught:
            act(limited.set(password="hunter2"))
        assert "hunter2" not in repr(caught.value) + str(caught.value.hint)


@pytest.mark.parametrize("password", ["@:/%'\"\\ x", "üñ 😀", "", "%s%%", "#?&=+;"])
def test_passwords_of_any_characters(room: Room, mariadb: MariaDB, password: str) -> None:
    user = f"p_{secrets.token_hex(3)}"
    mariadb.execute(f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY %s", password)
    mariadb.execute(f"GRANT ALL ON *.* TO {user}@'127.0.0.1'")
    try:
        url = room.target.set(username=user, password=password)
        assert room.dialect.create(url)
        assert room.dialect.exists(url)
        for engine in (room.dialect.engine(url), room.dialect.control_engine(room.dialect.control_area(url))):
            with engine.connect() as connection:
                assert connection.exec_driver_sql("SELECT 1").scalar() == 1
    finally:
        mariadb.execute(f"DROP USER {user}@'127.0.0.1'")


def test_a_database_that_is_not_there_is_named(room: Room) -> None:
    with pytest.raises(FerryError, match=str(room.target.database)), room.dialect.reader(room.target):
        pytest.fail("read")
    assert room.dialect.mark(room.target) == ""
    assert room.dialect.size_bytes(room.target) == 0


def test_engines_use_our_driver_and_strict_sessions(room: Room) -> None:
    room.fill()
    # SQLAlchemy refuses a MySQL that is called MariaDB.
    for name in ("mysql", "mysql+mysqldb", *(() if ON_MYSQL else ("mariadb", "mariadb+pymysql"))):
        engine = room.dialect.engine(room.target.set(drivername=name))
        with engine.connect() as connection:
            assert engine.url.drivername == f"{name.partition('+')[0]}+pymysql"
            query = "SELECT @@foreign_key_checks, @@time_zone, @@lock_wait_timeout, @@sql_mode, @@autocommit"
            checks, zone, wait_s, mode, autocommit = connection.exec_driver_sql(query).one()
            assert (checks, zone, wait_s, autocommit) == (0, "+00:00", 60, 0)
            assert "STRICT_ALL_TABLES" in mode


def test_off_this_machine_a_connection_is_verified(tmp_path: Path) -> None:
    far = URL.create("mysql+pymysql", "app", "x", "db.example.com", database="shop")
    context = connection_arguments(far, None)["ssl"]
    assert context.check_hostname
    assert context.verify_mode.name == "CERT_REQUIRED"
    assert "ssl" not in connection_arguments(far.set(host="127.0.0.1"), None)
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(Misconfigured, match="FERRY_TLS_CA"):
        connection_arguments(far, tmp_path / "ca.pem")


def certificate(directory: Path, host: str) -> Path:
    """A directory with a certificate for a host, signed by itself."""
    directory.mkdir()
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test"]
    command += ["-addext", f"subjectAltName=DNS:{host}", "-out", str(directory / "server.crt")]
    command += ["-keyout", str(directory / "server.key")]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return directory


def test_a_server_under_another_name_than_this_machines_must_prove_who_it_is(tmp_path: Path) -> None:
    host = socket.gethostname()
    good, bad = certificate(tmp_path / "good", host), certificate(tmp_path / "bad", "db.example.com")
    server = MariaDB(tmp_path / "server", certificates=good)
    server.prepare()
    server.start()
    url = server.url("shop", user="app", password="quiet").set(host=host)

    def refused(tls_ca: Path | None, words: str) -> None:
        dialect = dialect_for(url, directory=tmp_path, tls_ca=tls_ca)
        with pytest.raises(AccessDenied, match=words) as caught:
            dialect.exists(url)
        assert "FERRY_TLS_CA" in str(caught.value.hint)
        with pytest.raises(AccessDenied, match=words), dialect.engine(url).connect():
            pytest.fail("connected")

    try:
        server.execute("CREATE USER app@'%' IDENTIFIED BY 'quiet'")
        server.execute("GRANT ALL ON *.* TO app@'%'")
        dialect = dialect_for(url, directory=tmp_path, tls_ca=good / "server.crt")
        dialect.create(url)
        with dialect.engine(url).connect() as connection:
            assert connection.exec_driver_sql("SHOW STATUS LIKE 'Ssl_cipher'").one()[1]
        with dialect.reader(url) as reader:
            assert reader.tables() == {}
        assert not dialect.identity(url).nearby
        assert dialect.free_bytes(url) is None
        refused(None, "CERTIFICATE_VERIFY_FAILED")
        refused(bad / "server.crt", "CERTIFICATE_VERIFY_FAILED")
        server.kill()
        server.options = (f"--ssl-cert={bad / 'server.crt'}", f"--ssl-key={bad / 'server.key'}", "--bind-address=*")
        server.start()
        refused(bad / "server.crt", "CERTIFICATE_VERIFY_FAILED")
        server.kill()
        server.options = ("--tls-version=" if ON_MYSQL else "--skip-ssl", "--bind-address=*")
        server.start()
        refused(good / "server.crt", "SSL")
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("number", "words", "kind"),
    [
        (1290, "The MySQL server is running with the --super-read-only option so it cannot execute this", Protected),
        # It says nothing of other writes: the statement is to blame.
        (1290, "The MySQL server is running with the --secure-file-priv option so it cannot execute this", None),
        (1142, "INSERT command denied to user 'app'@'%' for table `shop__ferry`.`journal`", NotGranted),
        (1792, "Cannot execute statement in a READ ONLY transaction", Protected),
        (1226, "User 'app' has exceeded the 'max_queries_per_hour' resource (current value: 9)", DatabaseUnreachable),
        (1213, "Deadlock found when trying to get lock; try restarting transaction", LockHeld),
        (1020, "Record has changed since last read in table 'lease'", LockHeld),
        (1005, 'Can\'t create table `shop`.`t` (errno: 184 "Tablespace already exists")', DoesNotFit),
        (1005, 'Can\'t create table `shop`.`t` (errno: 150 "Foreign key constraint is incorrectly formed")', None),
        (1813, "Tablespace '`shop`.`t`' exists.", DoesNotFit),
    ],
)
def test_which_errors_are_no_fault_of_a_statement(number: int, words: str, kind: type[FerryError] | None) -> None:
    url = URL.create("mysql+pymysql", "app", "hunter2", "db", 3306, "shop")
    explained = explanation(url, pymysql.OperationalError(number, words))
    assert type(explained) is (kind or type(None))
    assert explained is None or (words in explained.message and explained.hint)
    assert explained is None or ("max_connections" in explained.hint) is False
