"""The nouns of rows and schemas: keys, names, what is told of them."""

from __future__ import annotations

import pytest

from app.dialects.model import Column, Definition, Identity, LogicalType, Table, TableChecksum, mark_version_table

COLUMNS = tuple(Column(name, LogicalType.TEXT) for name in ("a", "b", "c"))


def test_a_row_of_a_table_without_a_key_is_its_own_key() -> None:
    assert Table("t", COLUMNS, ("c", "a")).key_of([1, 2, 3]) == [3, 1]
    assert Table("t", COLUMNS).key_of((1, 2, 3)) == [1, 2, 3]


def test_a_checksum_is_told_in_32_digits() -> None:
    assert str(TableChecksum(0, 0)) == "0" * 32
    assert str(TableChecksum(1, (1 << 128) - 1)) == "f" * 32


@pytest.mark.parametrize(
    ("definition", "label", "text"),
    [
        (Definition("index", "t", "by_a"), "t.by_a", "index by_a on t"),
        (Definition("view", "", "names"), "names", "view names"),
        (Definition("comment", "t", "t"), "t", "comment t"),
        (Definition("check", "t", "", text="a > 0"), "t.a > 0", "check (a > 0) on t"),
    ],
)
def test_a_definition_is_named_where_it_has_a_name_and_else_by_what_it_says(
    definition: Definition, label: str, text: str
) -> None:
    assert (definition.label, str(definition)) == (label, text)


def test_a_server_s_database_is_named_with_its_host() -> None:
    assert Identity("SQLite 3", "this host", "/a.db", "u").full_name == "/a.db"
    server = Identity("MySQL 8", "db:3306", "app", "u")
    assert (server.full_name, server.is_file) == ("db:3306/app", False)


def test_at_most_one_table_is_that_of_the_revision() -> None:
    tables = {name: Table(name, COLUMNS) for name in ("Alembic_Version", "alembic_version", "users")}
    for name, folds, marked in (
        ("alembic_version", True, ["alembic_version"]),
        ("ALEMBIC_VERSION", False, []),
        ("ALEMBIC_VERSION", True, ["Alembic_Version"]),
    ):
        found = mark_version_table(tables, name, folds=folds)
        assert [key for key, table in found.items() if table.of_alembic] == marked, name
