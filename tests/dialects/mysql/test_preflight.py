"""What a target and its user must be, refused before anything is done, with the statement that helps."""

from __future__ import annotations

import secrets
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import URL

from app.dialects import dialect_for
from app.dialects.mysql.version import Version
from app.errors import AccessDenied, DoesNotFit, Protected
from tests.dialects.rooms import PARENTS, Room
from tests.dialects.things import table
from tests.support.servers.mariadb import ON_MYSQL, MariaDB


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
    body = "SHOW_ROUTINE ON *.*" if ON_MYSQL else "SELECT ON mysql.proc"
    mariadb.execute(f"GRANT {body} TO {limited.username}@'127.0.0.1'")
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
    room.execute("CREATE TABLE other (id INT) ENGINE=MEMORY")
    with pytest.raises(Protected, match="2 tables") as caught:
        room.dialect.preflight(room.target)
    assert caught.value.details == ["odd `one: MyISAM", "other: MEMORY"]
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


def test_a_distributed_database_that_says_an_old_version_is_called_by_its_name(
    room: Room, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = Version(False, (8, 0, 11), "8.0.11-TiDB-v7.5.1")
    monkeypatch.setattr("app.dialects.mysql.preflight.version_of", lambda _: version)
    with pytest.raises(Protected, match="This server is TiDB"):
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
