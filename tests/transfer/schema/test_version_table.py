"""What an app calls Alembic's own table."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.dialects.model import Column, LogicalType, Table, mark_version_table
from app.transfer.schema.version_table import find_version_table, name_version_table

TEXT = LogicalType.TEXT


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("context.configure(connection=c, version_table='shop_version')", "shop_version"),
        ("NAME = 'shop_version'\ncontext.configure(version_table=NAME)", "shop_version"),
        ("context.configure(version_table=None)", "alembic_version"),
        ("context.configure(version_table='a' + 'b')", "alembic_version"),
        ("context.configure(version_table=NAME)", "alembic_version"),
        ("context.configure(version_table='a')\ncontext.configure(version_table='b')", "alembic_version"),
        ("context.configure(version_table='a')\ncontext.configure(version_table='a')", "a"),
        ("def broken(version_table", "alembic_version"),
        ("", "alembic_version"),
    ],
)
def test_what_env_py_spells(tmp_path: Path, text: str, name: str) -> None:
    env = tmp_path / "env.py"
    env.write_text(text)
    assert name_version_table({}, env) == name
    assert name_version_table({"version_table": "given"}, env) == "given"


def test_an_edited_env_py_is_read_again(tmp_path: Path) -> None:
    env = tmp_path / "env.py"
    assert name_version_table({}, env) == "alembic_version"
    for number, name in enumerate(("one", "two"), 1):
        env.write_text(f"configure(version_table={name!r})")
        os.utime(env, (number, number))
        assert name_version_table({}, env) == name


def table(name: str, *columns: str) -> Table:
    return Table(name, tuple(Column(column, TEXT) for column in columns or ("version_num",)))


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["ours", "alembic_version", "other"], "ours"),
        (["alembic_version", "other"], "alembic_version"),
        (["other"], "other"),
        (["one", "two"], "ours"),
        ([], "ours"),
    ],
)
def test_in_a_database_of_another_app(names: list[str], found: str) -> None:
    tables = [*map(table, names), table("shelf", "version_num", "name")]
    assert find_version_table(tables, "ours") == found


@pytest.mark.parametrize(
    ("name", "folds", "marked"),
    [("one", False, ["one"]), ("One", False, ["One"]), ("ONE", False, []), ("ONE", True, ["One"]), ("x", True, [])],
)
def test_a_server_may_mean_any_spelling(name: str, folds: bool, marked: list[str]) -> None:
    tables = {item: table(item) for item in ("One", "one", "rest")}
    assert [key for key, item in mark_version_table(tables, name, folds=folds).items() if item.of_alembic] == marked
