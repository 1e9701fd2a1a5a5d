"""Which databases are files of this room."""

from __future__ import annotations

import pytest
from sqlalchemy import URL, make_url

from app.dialects import dialect_for
from app.errors import Protected


@pytest.mark.parametrize("url", ["sqlite://", "sqlite:///:memory:", "sqlite:///file:x?mode=memory&uri=true"])
def test_a_database_in_memory_is_refused(url: str) -> None:
    with pytest.raises(Protected, match="in-memory") as caught:
        dialect_for(make_url(url))
    assert caught.value.hint


def test_an_unknown_server_is_refused_by_name() -> None:
    with pytest.raises(Protected, match="mssql"):
        dialect_for(make_url("mssql+pyodbc://u:p@h/d"))


def test_urls_with_a_driver_are_of_this_room() -> None:
    assert dialect_for(URL.create("sqlite+pysqlite", database="x.db")).name == "SQLite"
