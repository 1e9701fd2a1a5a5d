"""MySQL and MariaDB: names of databases, privileges, addresses, passwords, servers that go away."""

from __future__ import annotations

import secrets
import socket
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import pytest
from sqlalchemy import URL

from app.dialects import dialect_for
from app.dialects.model import Values
from app.dialects.mysql.connect import connection_arguments
from app.dialects.mysql.dialect import MySqlDialect
from app.dialects.mysql.driver import Version
from app.errors import AccessDenied, DatabaseUnreachable, DoesNotFit, FerryError, LockHeld, Misconfigured, Protected
from tests.dialects.rooms import PARENTS, Room
from tests.dialects.things import load, rows, table
from tests.support.servers import free_port
from tests.support.servers.mariadb import MariaDB

# Names


def test_names_of_databases_leave_room_and_are_not_taken_for_ours(mariadb: MariaDB) -> None:
    longest = "x" * 24
    dialect = dialect_for(mariadb.url(longest))
    assert len(str(dialect.staging_url(mariadb.url(longest), "20261123T154658-abc123-scratch").database)) <= 64
    for name, hint in (
        ("x" * 25, "24"),
        ("a__stg_b", "__stg_"),
        ("a__gen_b", ""),
        ("a__ferry", ""),
        ("mysql", None),
        ("", "/shop"),
    ):
        with pytest.raises(Protected) as caught:
            dialect_for(mariadb.url(name))
        assert hint is None or hint in str(caught.value.hint)


def test_nothing_but_staging_and_generations_is_dropped_or_written_over(room: Room) -> None:
    room.fill()
    area = room.dialect.control_area(room.target)
    for url in (room.target, area.url):
        for act in (
            lambda url=url: room.dialect.drop(url),
            lambda url=url: room.dialect.prepare_staging(url, room.target),
            lambda url=url: room.dialect.copy(room.target, url, timeout_s=1),
            lambda url=url: room.dialect.restore(room.directory / "x", url),
        ):
            with pytest.raises(FerryError, match="neither a staging database nor a generation"):
                act()
    assert rows(room, "parents") == PARENTS


def test_databases_of_others_with_like_names_are_not_ours(room: Room, mariadb: MariaDB) -> None:
    name = room.target.database
    for other in (f"{name}__stg_", f"{name}__stg_UPPER", f"{name}__stg_a_", f"{name}__other", f"{name}x__stg_a"):
        mariadb.execute(f"CREATE DATABASE `{other}`")
    room.dialect.create(room.target)
    assert room.dialect.beside(room.target) == []
    room.dialect.prepare_staging(room.other("A-b-C"), room.target)
    assert [item.name for item in room.dialect.beside(room.target)] == ["A-b-C"]


def test_a_server_that_folds_names(tmp_path: Path) -> None:
    server = MariaDB(tmp_path / "server", "--lower-case-table-names=1")
    server.prepare()
    server.start()
    try:
        url = server.url("Shop")
        dialect = dialect_for(url, directory=tmp_path)
        absent = dialect.identity(url).uid
        assert dialect.create(url)
        assert dialect.exists(url)
        assert dialect.exists(server.url("SHOP"))
        assert dialect.identity(server.url("shop")).uid == dialect.identity(url).uid == absent
        run = "20261123T154658-abc123"
        dialect.prepare_staging(dialect.staging_url(url, run), url)
        [found] = dialect.beside(url)
        assert (found.name, found.url) == (run, dialect.staging_url(url, run))
        server.execute("CREATE TABLE shop.Things (id INT PRIMARY KEY)")
        with dialect.reader(url) as reader:
            assert list(reader.tables()) == ["things"]
        assert dialect.size_bytes(url) > 0
        dialect.preflight(url)
    finally:
        server.stop()


def test_staging_has_the_character_set_of_its_target(room: Room, mariadb: MariaDB) -> None:
    mariadb.execute(f"CREATE DATABASE {room.target.database} CHARACTER SET latin2 COLLATE latin2_croatian_ci")
    staging = room.other("one")
    room.dialect.prepare_staging(staging, room.target)
    query = "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = %s"
    assert mariadb.execute(query, staging.database) == [("latin2_croatian_ci",)]


# Preflight


@pytest.fixture
def limited(room: Room, mariadb: MariaDB) -> Iterator[URL]:
    """The target's URL for a user who may do nothing."""
    user = f"u_{secrets.token_hex(3)}"
    mariadb.execute(f"CREATE USER {user}@'127.0.0.1' IDENTIFIED BY 'quiet'")
    yield room.target.set(username=user, password="quiet")
    mariadb.execute(f"DROP USER {user}@'127.0.0.1'")


def grants_asked_for(dialect: Any, url: URL) -> list[str]:
    with pytest.raises(DoesNotFit, match="lacks privileges") as caught:
        dialect.preflight(url)
    return [f"{sql.strip()};" for sql in str(caught.value.hint).split(";") if sql.strip()]


def test_missing_privileges_are_asked_for_and_what_was_granted_suffices(
    room: Room, mariadb: MariaDB, limited: URL
) -> None:
    room.fill()
    room.execute("CREATE TRIGGER t BEFORE INSERT ON parents FOR EACH ROW SET @x = 1")
    room.execute("CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO SET @x = 1")
    before = room.everything()
    grants = grants_asked_for(room.dialect, limited)
    name, user = room.target.database, limited.username
    assert grants == [
        "GRANT SELECT, INSERT, CREATE, ALTER, DROP, LOCK TABLES, CREATE VIEW, TRIGGER, EVENT, EXECUTE, SHOW VIEW, "
        f"ALTER ROUTINE, CREATE ROUTINE ON `{name}`.* TO '{user}'@'127.0.0.1';",
        rf"GRANT ALL PRIVILEGES ON `{name}\_\_%`.* TO '{user}'@'127.0.0.1';",
    ]
    mariadb.execute(grants[0])
    assert grants_asked_for(room.dialect, limited) == [grants[1]]
    mariadb.execute(grants[1])
    room.dialect.preflight(limited)
    assert room.everything() == before
    assert room.dialect.beside(room.target) == []


def test_privileges_are_enough_for_an_absent_target(room: Room, mariadb: MariaDB, limited: URL) -> None:
    for grant in grants_asked_for(room.dialect, limited):
        mariadb.execute(grant)
    room.dialect.preflight(limited)
    assert room.dialect.create(limited)
    as_limited = replace(room, target=limited)
    staging = as_limited.staged(more=0)
    assert as_limited.state(staging)["parents"] == PARENTS


def test_single_privileges_that_are_missing_are_named_alone(room: Room, mariadb: MariaDB, limited: URL) -> None:
    room.fill()
    for grant in grants_asked_for(room.dialect, limited):
        mariadb.execute(grant)
    room.execute("CREATE PROCEDURE called() SELECT 1")
    mariadb.execute(f"GRANT SELECT ON mysql.proc TO {limited.username}@'127.0.0.1'")
    for privilege in ("SELECT", "LOCK TABLES", "DROP", "SHOW VIEW", "TRIGGER", "EVENT", "EXECUTE", "CREATE ROUTINE"):
        mariadb.execute(f"REVOKE {privilege} ON {room.target.database}.* FROM {limited.username}@'127.0.0.1'")
        [grant] = grants_asked_for(room.dialect, limited)
        assert privilege in grant
        mariadb.execute(grant)
    room.dialect.preflight(limited)


def test_a_name_with_wildcards_is_granted_alone(mariadb: MariaDB, tmp_path: Path) -> None:
    name = f"my_{secrets.token_hex(3)}"
    url = mariadb.url(name, user="wild", password="x")
    mariadb.execute("CREATE USER wild@'%' IDENTIFIED BY 'x'")
    try:
        dialect = dialect_for(url, directory=tmp_path)
        grants = grants_asked_for(dialect, url)
        escaped = name.replace("_", r"\_")
        assert f"ON `{escaped}`.*" in grants[0]
        assert rf"ON `{escaped}\_\_%`.*" in grants[1]
        for grant in grants:
            mariadb.execute(grant)
        dialect.preflight(url)
        other = mariadb.url(name.replace("_", "x"), user="wild", password="x")
        with pytest.raises(AccessDenied):
            dialect.create(other)
    finally:
        mariadb.execute("DROP USER wild@'%'")


def test_a_routine_whose_body_is_hidden_stops_it(room: Room, mariadb: MariaDB, limited: URL) -> None:
    room.fill()
    room.execute("CREATE PROCEDURE does_much() SELECT 1")
    for grant in grants_asked_for(room.dialect, limited):
        mariadb.execute(grant)
    with pytest.raises(DoesNotFit, match="does_much") as caught:
        room.dialect.preflight(limited)
    mariadb.execute(str(caught.value.hint))
    room.dialect.preflight(limited)


def test_a_binary_log_and_triggers_need_to_be_allowed(tmp_path: Path) -> None:
    server = MariaDB(tmp_path / "server", "--log-bin=log", "--server-id=1")
    server.prepare()
    server.start()
    try:
        server.execute("CREATE DATABASE shop")
        server.execute("CREATE TABLE shop.things (id INT PRIMARY KEY)")
        server.execute("CREATE USER app@'%' IDENTIFIED BY 'x'")
        url = server.url("shop", user="app", password="x")
        dialect = dialect_for(url, directory=tmp_path)
        grants = grants_asked_for(dialect, url)
        assert "TRIGGER" in grants[0]
        for grant in grants:
            server.execute(grant)
        dialect.preflight(url)
        server.execute("CREATE TRIGGER shop.t BEFORE INSERT ON shop.things FOR EACH ROW SET @x = 1")
        with pytest.raises(DoesNotFit, match="SUPER") as caught:
            dialect.preflight(url)
        server.execute(str(caught.value.hint))
        dialect.preflight(url)
        assert dialect.beside(url) == []
    finally:
        server.stop()


def test_tables_that_are_not_innodb_are_refused_with_what_to_type(room: Room, mariadb: MariaDB) -> None:
    table(room, "id INT", "safe")
    room.execute("CREATE TABLE `odd ``one` (id INT) ENGINE=MyISAM")
    room.execute("CREATE TABLE other (id INT) ENGINE=Aria")
    with pytest.raises(Protected, match="2 tables") as caught:
        room.dialect.preflight(room.target)
    assert caught.value.details == ["odd `one: MyISAM", "other: Aria"]
    with pytest.raises(Protected, match="2 tables"):
        room.dialect.fit_staging(room.target, room.target)
    for sql in str(caught.value.hint).split(";")[:-1]:
        mariadb.execute(sql)
    room.dialect.preflight(room.target)


def test_foreign_keys_from_outside_are_refused_by_name(room: Room, mariadb: MariaDB) -> None:
    room.fill()
    outside, own = f"{room.target.database}x", room.dialect.generation_url(room.target, "0badcafe-old").database
    for name in (outside, own):
        mariadb.execute(f"CREATE DATABASE {name}")
        parent = f"{room.target.database}.parents (id)"
        mariadb.execute(f"CREATE TABLE {name}.guests (id INT PRIMARY KEY, p INT, FOREIGN KEY (p) REFERENCES {parent})")
    with pytest.raises(Protected, match="other databases") as caught:
        room.dialect.preflight(room.target)
    assert caught.value.details == [f"{outside}.guests refers to {room.target.database}.parents"]
    mariadb.execute(f"DROP DATABASE {outside}")
    room.dialect.preflight(room.target)


def test_old_servers_are_refused(room: Room, monkeypatch: pytest.MonkeyPatch) -> None:
    for version in (Version(True, (10, 5, 29)), Version(False, (5, 7, 44))):
        # No such server can be had here: only its answer to SELECT VERSION() is made up.
        monkeypatch.setattr("app.dialects.mysql.preflight.version_of", lambda _, version=version: version)
        with pytest.raises(Protected, match=rf"{version} is too old"):
            room.dialect.preflight(room.target)


def test_a_server_that_takes_no_writes(room: Room, mariadb: MariaDB, limited: URL) -> None:
    for grant in grants_asked_for(room.dialect, limited):
        mariadb.execute(grant)
    mariadb.execute("SET GLOBAL read_only = 1")
    try:
        with pytest.raises(Protected, match="read-only"):
            room.dialect.preflight(limited)
    finally:
        mariadb.execute("SET GLOBAL read_only = 0")
    room.dialect.preflight(limited)


# Servers and users


def test_one_database_has_one_identity_by_whatever_address(room: Room, mariadb: MariaDB) -> None:
    urls = [
        room.target,
        room.target.set(host="localhost"),
        room.target.set(drivername="mariadb", query={"charset": "utf8mb4"}),
        room.target.set(host=None, port=None, query={"unix_socket": str(mariadb.socket)}),
    ]
    found = [room.dialect.identity(url) for url in urls]
    assert len({identity.uid for identity in found}) == 1
    assert {identity.server for identity in found} == {found[0].server}
    assert found[0].server.startswith("MariaDB 10.")
    assert all(identity.nearby for identity in found)
    room.dialect.create(room.target)
    assert room.dialect.identity(room.target).uid == found[0].uid
    assert room.dialect.identity(mariadb.url("another")).uid != found[0].uid


def test_the_lock_is_of_the_database_and_not_of_its_url(room: Room) -> None:
    with room.dialect.lock(room.target, 0):
        with pytest.raises(LockHeld, match="root"), room.dialect.lock(room.target.set(host="localhost"), 0):
            pytest.fail("two holders")
        with room.dialect.lock(room.target.set(database="another"), 0):
            pass


def test_a_lock_that_its_holder_gives_back_is_waited_for(room: Room) -> None:
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with room.dialect.lock(room.target, 0):
            held.set()
            done.wait(0.5)

    holder = threading.Thread(target=hold)
    holder.start()
    assert held.wait(10)
    with room.dialect.lock(room.target, 10):
        pass
    holder.join()


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
        server.execute("INSERT INTO shop.things SELECT seq, repeat('x', 100000) FROM seq_1_to_300", database="shop")
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
        server.execute("INSERT INTO shop.things SELECT seq, repeat('x', 100000) FROM seq_1_to_300", database="shop")
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
    for name in ("mysql", "mariadb", "mysql+mysqldb", "mariadb+pymysql"):
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
        server.options = ("--skip-ssl", "--bind-address=*")
        server.start()
        refused(good / "server.crt", "SSL")
    finally:
        server.stop()


def test_room_on_disk_is_seen_where_the_server_is_here(room: Room) -> None:
    assert room.dialect.free_bytes(room.target)
    assert isinstance(room.dialect, MySqlDialect)
    error = pymysql.OperationalError
    for number, words, full in (
        (1114, "The table 't' is full", True),
        (1021, "Disk full (/tmp/x); waiting for someone to free some space... (errno: 28)", True),
        (1030, "Got error 28 \"No space left on device\" from storage engine InnoDB", True),
        (1030, "Got error 139 \"Too big row\" from storage engine InnoDB", False),
        (1026, "Error writing file 'x' (errno: 28 \"No space left on device\")", True),
        (1062, "Duplicate entry 'No space left' for key 'PRIMARY'", False),
    ):  # fmt: skip
        assert room.dialect.is_out_of_space(error(number, words)) is full


def test_a_full_table_is_said_to_be_full(room: Room, way: str, mariadb: MariaDB) -> None:
    # A full disk ends the whole server (seen); a table in memory says the same of itself alone.
    room.dialect.create(room.target)
    name = f"{room.target.database}.things"
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("SET SESSION max_heap_table_size = 16384")
        cursor.execute(f"CREATE TABLE {name} (id INT PRIMARY KEY, words VARCHAR(1000)) ENGINE=MEMORY")
    with room.dialect.reader(room.target) as reader:
        to = reader.tables()["things"]
    with pytest.raises(DoesNotFit, match="no room"):
        load(room, to, [[n, "x"] for n in range(1000)], batch_rows=10)
