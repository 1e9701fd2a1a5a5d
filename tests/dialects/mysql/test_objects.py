"""What a database holds besides rows: read whole, blind to rows, none left out in silence."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from app.dialects.mysql import copy
from app.dialects.mysql.session import Factory
from app.errors import BackupFailed, DoesNotFit
from tests.dialects.rooms import Room
from tests.support.servers import of_mariadb
from tests.support.servers.mariadb import ON_MYSQL, MariaDB

from .tortured import dumped


def test_the_fingerprint_is_blind_to_rows(mariadb: MariaDB, torture: Factory) -> None:
    with torture(to_database=False) as connection:
        before = copy.schema_fingerprint(connection, "torture")
        for sql in (
            "INSERT INTO `empty one` (x) VALUES ('y')",
            "DELETE FROM `empty one`",
            *([] if ON_MYSQL else ["SELECT NEXTVAL(numbers)"]),
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


@pytest.mark.parametrize(
    ("made", "gone", "words"),
    [
        pytest.param(
            "CREATE TABLE former (id INT PRIMARY KEY) WITH SYSTEM VERSIONING",
            "DROP TABLE former",
            "former",
            marks=of_mariadb,
        ),
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
