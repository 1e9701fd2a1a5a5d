"""The generation mark in a table's comment."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.dialects.mysql import mark as mark_of
from app.dialects.mysql import objects
from tests.dialects.mysql.chaos import LIVE, Shop
from tests.support.servers.mariadb import MariaDB


@pytest.fixture
def shop(mariadb: MariaDB) -> Iterator[Shop]:
    made = Shop(mariadb, tables=3)
    made.make()
    yield made
    made.forget()


def test_the_mark_leaves_a_comment_alone(mariadb: MariaDB, shop: Shop) -> None:
    mariadb.execute("ALTER TABLE alembic_version COMMENT 'of the shop'", database=LIVE)
    with shop.factory(to_database=False) as connection:
        for mark in ("0badcafe", "01234567", ""):
            mark_of.set_mark(connection, LIVE, mark)
            assert mark_of.mark(connection, LIVE) == mark
            sql = "SELECT table_comment FROM information_schema.tables WHERE table_name = %s AND table_schema = %s"
            assert mariadb.execute(sql, "alembic_version", LIVE) == [
                (f"of the shop ferry {mark}" if mark else "of the shop",)
            ]
        assert mark_of.mark(connection, "not there") == ""


def test_the_mark_of_an_app_that_calls_the_table_otherwise(mariadb: MariaDB, shop: Shop) -> None:
    name = f"{LIVE}__stg_other"
    mariadb.execute(f"CREATE DATABASE {name}")
    with shop.factory(to_database=False) as connection:
        before = objects.schema_fingerprint(connection, name)
        mark_of.set_mark(connection, name, "0badcafe", "Shop `revision`")
        assert mark_of.mark(connection, name, "Shop `revision`") == "0badcafe"
        assert mark_of.mark(connection, name) == ""
        marked = objects.schema_fingerprint(connection, name)
        mark_of.set_mark(connection, name, "", "Shop `revision`")
        assert before != marked == objects.schema_fingerprint(connection, name)
    assert mariadb.execute("SHOW TABLES", database=name) == [("Shop `revision`",)]


def test_an_empty_database_can_have_a_mark(mariadb: MariaDB, shop: Shop) -> None:
    mariadb.execute(f"CREATE DATABASE {LIVE}__stg_empty")
    with shop.factory(to_database=False) as connection:
        mark_of.set_mark(connection, f"{LIVE}__stg_empty", "0badcafe")
        assert mark_of.mark(connection, f"{LIVE}__stg_empty") == "0badcafe"
    assert mariadb.execute("DESCRIBE alembic_version", database=f"{LIVE}__stg_empty") == [
        ("version_num", "varchar(32)", "NO", "PRI", None, "")
    ]
