"""Column types that the models share: texts compared by code point on every server, times in microseconds."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql, sqlite

from app.models.base import json, linked_or_former, moment, now, string, text


def ddl(kind: sa.types.TypeEngine[object], dialect: sa.Dialect) -> str:
    return str(kind.compile(dialect))


def maria() -> sa.Dialect:
    dialect = mysql.dialect()
    dialect.is_mariadb = True
    return dialect


@pytest.mark.parametrize(
    ("dialect", "short", "long"),
    [
        (sqlite.dialect(), "VARCHAR(20)", "TEXT"),
        (postgresql.dialect(), "VARCHAR(20)", "TEXT"),
        (mysql.dialect(), "VARCHAR(20) COLLATE utf8mb4_0900_bin", "MEDIUMTEXT COLLATE utf8mb4_0900_bin"),
        (maria(), "VARCHAR(20) COLLATE utf8mb4_nopad_bin", "MEDIUMTEXT COLLATE utf8mb4_nopad_bin"),
    ],
)
def test_texts_are_exact_on_every_server(dialect: sa.Dialect, short: str, long: str) -> None:
    assert (ddl(string(20), dialect), ddl(text(), dialect)) == (short, long)


def test_times_keep_their_microseconds_and_none_is_null() -> None:
    assert ddl(moment(), mysql.dialect()) == "DATETIME(6)"
    assert now().tzinfo is None
    assert json().none_as_null


def test_a_row_is_linked_or_remembers_whom_it_was_linked_to() -> None:
    metadata = sa.MetaData()
    columns = (sa.Column("user_id", sa.Integer), sa.Column("former_user_id", sa.Integer))
    table = sa.Table("t", metadata, *columns, linked_or_former("user_id"))
    engine = sa.create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection)
        for pair in ((1, None), (None, 1)):
            connection.execute(table.insert().values(user_id=pair[0], former_user_id=pair[1]))
        for pair in ((1, 1), (None, None)):
            with pytest.raises(sa.exc.IntegrityError):
                connection.execute(table.insert().values(user_id=pair[0], former_user_id=pair[1]))
