"""What the revisions share: column types, renames, repairs of dangling keys, walks in bounded memory.

Nothing here comes from ``app``: what a revision made long ago must not change when the models do. Data is
changed in SQL only, never through the models or SQLAlchemy's JSON type, so that no value is encoded anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import mysql

BATCH_ROWS = 200

# What batch mode calls the constraints that `create_all()` of an old deployment left without a name.
UNNAMED = {
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
}


class ExactString(sa.types.TypeDecorator[str]):
    """A text that is compared by code point, on MySQL and MariaDB too: case, accents and blanks at its end count.

    ``utf8mb4_bin`` would not do: it pads, so that ``pad`` and ``pad `` are equal to it.
    """

    impl = sa.String
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        if dialect.name not in ("mysql", "mariadb"):
            return super().load_dialect_impl(dialect)
        collation = "utf8mb4_nopad_bin" if getattr(dialect, "is_mariadb", False) else "utf8mb4_0900_bin"
        length: int | None = getattr(self.impl, "length", None)
        # MySQL's own TEXT ends at 64 KiB.
        exact = mysql.VARCHAR(length, collation=collation) if length else mysql.MEDIUMTEXT(collation=collation)
        return dialect.type_descriptor(exact)


class ExactText(ExactString):
    impl = sa.Text
    cache_ok = True


def string(length: int) -> sa.types.TypeEngine[str]:
    """VARCHAR(length), compared by code point: two uids may differ by case, or blanks at their end, only."""
    return ExactString(length)


def text() -> sa.types.TypeEngine[str]:
    """TEXT of any length: MEDIUMTEXT on MySQL holds what SQLite held."""
    return ExactText()


def moment() -> sa.types.TypeEngine[Any]:
    """DATETIME without a zone, in microseconds (MySQL's default drops them)."""
    return sa.DateTime().with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")


def on(server: str) -> bool:
    """Whether this upgrade runs on ``server`` ("sqlite", "postgresql", "mysql", "mariadb")."""
    return op.get_bind().dialect.name == server


def quoted(name: str) -> str:
    """A table's or column's name as the server wants it in SQL text."""
    return op.get_bind().dialect.identifier_preparer.quote(name)


def rename_columns(table: str, names: Mapping[str, str]) -> None:
    """Rename columns (old -> new) in place, keeping type, rows and whatever refers to them.

    ``op.alter_column`` would need every column's type again on MySQL; SQLite from 3.25, PostgreSQL, MySQL 8
    and MariaDB 10.5 all know RENAME COLUMN.
    """
    for old, new in names.items():
        op.execute(f"ALTER TABLE {quoted(table)} RENAME COLUMN {quoted(old)} TO {quoted(new)}")


def column_moves(table: str, names: Mapping[str, str], *, new_table: str | None = None) -> dict[str, str]:
    """``ferry_moves`` entries of a table's renamed columns."""
    return {f"{table}.{old}": f"{new_table or table}.{new}" for old, new in names.items()}


@contextmanager
def unchecked_foreign_keys() -> Iterator[None]:
    """Let ids dangle that did before (on SQLite, env.py sees to it; on MySQL, this session's switch)."""
    switch = "SET SESSION foreign_key_checks = %d" if on("mysql") or on("mariadb") else None
    if switch:
        op.execute(switch % 0)
    try:
        yield
    finally:
        if switch:
            op.execute(switch % 1)


def foreign_key(table: str, column: str) -> str:
    """Return the name of the column's foreign key; where it has none, the one that UNNAMED gives it."""
    found = [key for key in sa.inspect(op.get_bind()).get_foreign_keys(table) if key["constrained_columns"] == [column]]
    return op.f(found[0]["name"] or f"fk_{table}_{column}_{found[0]['referred_table']}")


def unique(table: str, column: str) -> str:
    """Return the name of the column's unique constraint; where it has none, the one that UNNAMED gives it."""
    found = [
        constraint
        for constraint in sa.inspect(op.get_bind()).get_unique_constraints(table)
        if constraint["column_names"] == [column]
    ]
    return op.f(found[0]["name"] or f"uq_{table}_{column}")


def walk(
    statement: sa.Select[*tuple[Any, ...]], key: sa.ColumnElement[int]
) -> Iterator[Sequence[sa.Row[*tuple[Any, ...]]]]:
    """Run a SELECT that has ``key`` (unique) as its first column in batches of BATCH_ROWS, by ascending key.

    Each batch is a statement of its own: the rows may be changed between two of them.
    """
    statement = statement.order_by(key).limit(BATCH_ROWS)
    rows = op.get_bind().execute(statement).all()
    while rows:
        yield rows
        rows = op.get_bind().execute(statement.where(key > rows[-1][0])).all()


def dangles(table: sa.TableClause, column: str, parent: str) -> sa.ColumnElement[bool]:
    """The condition that ``column`` refers to a row of ``parent`` (by its ``id``) that does not exist."""
    # A derived table: MySQL refuses to read the table that the statement changes (error 1093) otherwise.
    ids = sa.select(sa.table(parent, sa.column("id")).c.id).subquery("ids")
    reference = table.c[column]
    return sa.and_(reference.is_not(None), ~sa.exists().where(ids.c.id == reference).correlate(table))
