"""A schema of everything that is allowed and nobody does: names, keys, references, sizes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import orjson
import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from .kinds import MARIADB, SEED

NAMES = (
    "select", "order", "Table", "user", "a b", "a.b", "50%", "%s", "%(x)s", "%%", ":colon", ":id", "{0}", "$1", "?",
    'qu"ote', '""', "ti`ck", "``", "it's", "''", "back\\slash", "\\", "semi;colon", "--", "/*c*/", "#", "1st", "007",
    "ünïcode", "語", "[x]", "(a)", "a,b", "tab\there", "line\nbreak", "x" * 60, "sqlite", "pg_x", "rowid", "ctid_",
)  # fmt: skip
"""Of tables and columns, on every server."""
BEYOND_BMP = ("😀", "a😀b", "𝄞 %s")
"""MariaDB has no such names."""
CASES = ("case", "Case", "CASE")
"""Different names to PostgreSQL alone."""

LARGE = 10_000_000
WIDE = 1000

_random = random.Random(SEED)
_letters = "".join(_random.choices("abc 'äЖ\\\n", k=1000))
KEYS = ("😀1", "𝄞2", "é3", "e\u03014", " 5", "6 x", "%s7", "'8", "\\9", "10\t", "")


@dataclass
class Made:
    """A table with its rows, as a snapshot has them on every server."""

    table: sa.Table
    rows: list[list[Any]]

    @property
    def lines(self) -> list[bytes]:
        return [orjson.dumps(row) for row in self.rows]


def named(names: tuple[str, ...]) -> Iterator[Made]:
    """A table by each name, with columns by that and another name, and a child that refers to it by both."""
    metadata = sa.MetaData()
    for name, other in zip(names, (*names[1:], names[0]), strict=True):
        table = sa.Table(
            name,
            metadata,
            sa.Column("the key", sa.Integer, primary_key=True, autoincrement=False),
            sa.Column(name, sa.String(70), unique=True),
            sa.Column(f"{other}_", sa.Integer, index=True),
        )
        yield Made(table, [[1, name, None], [2, "", 7], [3, None, -1]])
        key = sa.ForeignKeyConstraint([name], [table.c[name]], name=f"fk{len(metadata.tables)}")
        child = sa.Table(f"{name[:50]} c", metadata, sa.Column(name, sa.String(70)), sa.Column("n", sa.Integer), key)
        yield Made(child, [["", 1], ["", 1], [None, 2], [name, None]])


def portable(server: str) -> Iterator[Made]:
    """Everything else that every server can hold."""
    metadata = sa.MetaData()
    integer, text = sa.Integer, sa.String(40)
    if server == MARIADB:
        # What compares texts as the others do.
        text = sa.String(40, collation="utf8mb4_bin")
    yield Made(
        sa.Table(
            "two keys",
            metadata,
            sa.Column("b", text, primary_key=True),
            sa.Column("v", sa.Text),
            sa.Column("a", integer, primary_key=True, autoincrement=False),
        ),
        [[key, key * 2, number] for number in (2, 1) for key in KEYS],
    )
    yield Made(sa.Table("text key", metadata, sa.Column("k", text, primary_key=True)), [[key] for key in KEYS])
    yield Made(
        sa.Table("no key", metadata, sa.Column("a", integer), sa.Column("b", sa.Text)),
        [[1, "x"], [1, "x"], [None, None], [None, None], [1, ""]],
    )
    yield Made(sa.Table("empty", metadata, sa.Column("id", integer, primary_key=True)), [])
    yield Made(
        sa.Table(
            "itself", metadata, sa.Column("id", integer, primary_key=True), sa.Column("up", sa.ForeignKey("itself.id"))
        ),
        [[1, 3], [2, 2], [3, None], [4, 1]],
    )
    for name, other in (("hen", "egg"), ("egg", "hen")):
        reference = sa.ForeignKey(
            f"{other}.id",
            name=f"{name}_of",
            use_alter=True,
            deferrable=_deferred(server),
            initially="DEFERRED" if _deferred(server) else None,
        )
        yield Made(
            sa.Table(
                name,
                metadata,
                sa.Column("id", integer, primary_key=True),
                sa.Column("of", integer, reference, nullable=False),
            ),
            [[1, 2], [2, 1]],
        )
    yield Made(
        sa.Table(
            "counted",
            metadata,
            sa.Column("id", integer, primary_key=True, autoincrement=True),
            sa.Column("d", text, server_default="some'thing"),
            sa.Column("e", text, server_default="", nullable=False),
        ),
        [[-5, None, ""], [0, "", "x"], [7, "some'thing", " "]],
    )
    yield Made(
        sa.Table(
            "made of",
            metadata,
            sa.Column("id", integer, primary_key=True, autoincrement=False),
            sa.Column("twice %", integer, sa.Computed("id * 2", persisted=True)),
            sa.Column("thrice", integer, sa.Computed("id + id + id", persisted=True)),
        ),
        [[1], [2], [-3]],
    )
    columns = [sa.Column(f"column number {n}", integer) for n in range(WIDE - 1)]
    wide = sa.Table("wide", metadata, sa.Column("id", integer, primary_key=True), *columns)
    yield Made(wide, [[1, *range(WIDE - 1)], [2, *[None] * (WIDE - 1)]])
    long_text = sa.Text().with_variant(mysql.LONGTEXT(), "mysql", "mariadb")
    long_bytes = sa.LargeBinary().with_variant(mysql.LONGBLOB(), "mysql", "mariadb")
    large = sa.Table(
        "large",
        metadata,
        sa.Column("id", integer, primary_key=True),
        sa.Column("t", long_text),
        sa.Column("b", long_bytes),
    )
    yield Made(
        large, [[1, "x" * LARGE, None], [2, None, "QUFB" * (LARGE // 10)], [3, _letters * 2000, ""], [4, "", "AA=="]]
    )


def _deferred(server: str) -> bool | None:
    return None if server == MARIADB else True
