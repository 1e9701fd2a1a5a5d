"""A staging database of the small schema, and files of rows for it."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import URL

from app.dialects.model import Table
from app.dialects.sqlite.names import url_of
from app.transfer.rows.encode import encode, hash_rows
from app.transfer.rows.files import write
from app.transfer.rows.header import Header
from app.transfer.rows.scratch import Aside
from app.transfer.rows.snapshot import check_file
from app.transfer.run.run import Run
from app.transfer.staging.rows_file import RowsFile
from tests.transfer.hosts import made_run
from tests.transfer.schema.made import ADD, CREATE, Made

from .tables import DIALECT, SCHEMA, Make, Rows


@pytest.fixture
def staging(tmp_path: Path) -> URL:
    with sqlite3.connect(tmp_path / "staging.db") as connection:
        connection.executescript(SCHEMA)
    connection.close()
    return url_of(tmp_path / "staging.db")


@pytest.fixture
def schema(staging: URL) -> dict[str, Table]:
    with DIALECT.reader(staging) as reader:
        return reader.tables()


@pytest.fixture
def make(tmp_path: Path, schema: dict[str, Table]) -> Make:
    """A rows file of the schema's tables."""

    def made(
        rows: Rows,
        *,
        exclude: Sequence[str] = (),
        tables: Sequence[Table] | None = None,
        schema: dict[str, Table] = schema,
    ) -> RowsFile:
        given = tuple(tables or schema.values())
        head = Header("rows", "s", "i", "2024-01-01T00:00:00Z", "0001", given)
        sections = ((table.name, hash_rows(table, rows.get(table.name, ()))) for table in given)
        write(tmp_path / "rows.json", encode(head, sections), keep_former=False)
        return RowsFile(check_file(tmp_path / "rows.json"), schema, exclude, Aside(tmp_path))

    return made


@pytest.fixture
def run(tmp_path: Path) -> Run:
    made = Made(tmp_path)
    made.add("one", None, f"{CREATE}\nop.execute('INSERT INTO t VALUES (1, 2)')")
    made.add("two", "one", f"{ADD}\nraise ValueError('not any more')")
    run = made_run(tmp_path)
    run.dialect.open_control(run.dialect.control_area(run.target))
    return run
