"""What the revisions say about themselves is true, and nothing goes that they do not name."""

from __future__ import annotations

import pytest
from alembic.script import ScriptDirectory

from .database import REVISIONS, Database


@pytest.fixture
def scripts(empty: Database) -> ScriptDirectory:
    """The app's revisions."""
    with empty.app.app_context() as context:
        return ScriptDirectory.from_config(context.app.extensions["migrate"].migrate.get_config())


def names(database: Database) -> set[str]:
    """Tables, and columns as table.column."""
    tables = database.tables()
    return {*tables, *(f"{table}.{column}" for table, columns in tables.items() for column in columns)}


def test_one_history(scripts: ScriptDirectory) -> None:
    assert tuple(script.revision for script in reversed(list(scripts.walk_revisions()))) == REVISIONS


def test_moves_are_true_and_complete(empty: Database, scripts: ScriptDirectory) -> None:
    before = names(empty)
    for revision in REVISIONS[1:]:
        module = scripts.get_revision(revision).module
        moves = getattr(module, "ferry_moves", {})
        empty.upgrade(revision)
        after = names(empty)
        assert set(moves) <= before
        assert {target for targets in moves.values() for target in _each(targets)} <= after
        tables = {old: new for old, new in moves.items() if isinstance(new, str) and "." not in old}
        kept = {_renamed(name, tables) for name in before if name not in moves}
        assert kept <= after, revision
        before = after


def test_nothing_is_declared_lost(scripts: ScriptDirectory) -> None:
    assert [script for script in scripts.walk_revisions() if getattr(script.module, "ferry_losses", {})] == []


def test_no_revision_asks_for_the_time_or_for_chance(scripts: ScriptDirectory) -> None:
    for script in scripts.walk_revisions():
        assert not {"datetime", "time", "random", "uuid", "secrets"} & vars(script.module).keys()


def _each(targets: str | tuple[str, ...]) -> tuple[str, ...]:
    return (targets,) if isinstance(targets, str) else targets


def _renamed(name: str, tables: dict[str, str]) -> str:
    table, dot, column = name.partition(".")
    return tables.get(table, table) + dot + column
