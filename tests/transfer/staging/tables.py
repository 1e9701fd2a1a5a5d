"""A small schema whose tables refer to each other, and rows of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import URL

from app.dialects.model import Values
from app.dialects.sqlite.dialect import SqliteDialect
from app.transfer.run.run import Run
from app.transfer.staging.rows_file import RowsFile

SCHEMA = """
CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT UNIQUE, best INTEGER REFERENCES posts (id));
CREATE TABLE posts (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users (id),
                    parent_id INTEGER REFERENCES posts (id));
CREATE TABLE likes (user_id INTEGER, post_id INTEGER, PRIMARY KEY (user_id, post_id),
                    FOREIGN KEY (user_id) REFERENCES users (id), FOREIGN KEY (post_id) REFERENCES posts (id));
CREATE TABLE logs (what TEXT);
"""


DIALECT = SqliteDialect()


Rows = Mapping[str, Sequence[Values]]


Make = Callable[..., RowsFile]


def held(staging: URL, table: str) -> list[Values]:
    with DIALECT.reader(staging) as reader:
        return list(reader.rows(reader.tables()[table]))


WHOLE: Rows = {
    "users": [[1, "a", 11], [2, "b", None]],
    "posts": [[10, 1, 11], [11, 2, 10]],
    "likes": [[1, 10], [2, 11]],
    "logs": [["x"], ["x"], [None]],
}


def count_rows(run: Run) -> dict[str, int]:
    with run.dialect.reader(run.staging) as reader:
        return {name: reader.count(name) for name in reader.tables()}
