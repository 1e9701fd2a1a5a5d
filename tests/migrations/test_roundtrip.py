"""Every revision keeps every value, and its downgrade gives it back as it was, type and all."""

from __future__ import annotations

import itertools

import pytest

from .database import REVISIONS, Database


def test_each_downgrade_restores_what_its_upgrade_found(nasty: Database) -> None:
    for before, after in itertools.pairwise(REVISIONS):
        found = nasty.contents()
        nasty.upgrade(after)
        nasty.downgrade(before)
        assert nasty.contents() == found, after
        nasty.upgrade(after)


@pytest.mark.parametrize("database", ["nasty", "empty"])
def test_all_the_way_and_back(database: str, request: pytest.FixtureRequest) -> None:
    there: Database = request.getfixturevalue(database)
    contents, schema = there.contents(), there.schema()
    there.upgrade()
    there.downgrade("0001_classic")
    assert there.contents() == contents
    assert _by_table(there.schema()) == _by_table(schema)


def test_down_to_nothing(nasty: Database) -> None:
    nasty.upgrade()
    nasty.downgrade("base")
    assert nasty.tables() == {}


def test_the_same_twice(nasty: Database, empty: Database) -> None:
    """Nothing depends on the time or on chance."""
    nasty.upgrade()
    once = nasty.contents()
    nasty.downgrade("0001_classic")
    nasty.upgrade()
    assert nasty.contents() == once


def _by_table(schema: list[str]) -> list[list[str]]:
    """Definitions as sets of parts: re-creating a table may order columns and constraints differently."""
    return sorted(sorted(part.strip(" ()") for part in sql.split(",")) for sql in schema)
