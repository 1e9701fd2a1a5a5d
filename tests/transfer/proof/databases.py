"""A table with secrets, and databases of statements."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from app.dialects.model import Column, LogicalType, Table, Values
from app.dialects.sqlite.dialect import SqliteDialect
from app.transfer.proof.compare import Difference, differences

USERS = Table(
    "users",
    (
        Column("id", LogicalType.INT),
        Column("name", LogicalType.TEXT),
        Column("password", LogicalType.TEXT),
        Column("doc", LogicalType.JSON),
    ),
    ("id",),
)


DIALECT = SqliteDialect()


Db = Callable[..., Path]


def found(table: Table, left: Sequence[Values], right: Sequence[Values], tmp_path: Path) -> list[Difference]:
    result = list(differences(table, left, right, tmp_path))
    assert list(tmp_path.iterdir()) == []
    return result
