"""What a database file must be before it is a target, and what a revision may not attach."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy import event, make_url

from app.dialects.sqlite.preflight import attach_nothing, refuse_attached, refuse_read_only
from app.errors import Protected


@pytest.mark.parametrize("query", ["mode=ro", "immutable=1"])
def test_a_file_that_the_app_only_reads_is_not_replaced(query: str) -> None:
    with pytest.raises(Protected, match="for reading only"):
        refuse_read_only(make_url(f"sqlite:///file:app.db?uri=true&{query}"))
    # Without uri=true the query is of the driver, and the file is opened for writing.
    refuse_read_only(make_url("sqlite:///app.db"))
    refuse_read_only(make_url("sqlite:///file:app.db?uri=true&mode=rw"))


@pytest.mark.parametrize(
    ("sql", "values"),
    [
        ("ATTACH '{path}' AS other", ()),
        ("ATTACH '{path}' || '' AS other", ()),
        ("ATTACH ? AS other", ("{path}",)),
        ("ATTACH ':memory:' AS other", ()),
    ],
)
def test_nothing_is_attached_however_it_is_spelled(tmp_path: Path, sql: str, values: tuple[str, ...]) -> None:
    connection = sqlite3.connect(tmp_path / "staging.db")
    connection.set_authorizer(attach_nothing)
    with pytest.raises(sqlite3.DatabaseError, match="authorized"):
        connection.execute(sql.format(path=tmp_path / "x"), [value.format(path=tmp_path / "x") for value in values])
    connection.execute("CREATE TABLE t (a)")
    connection.commit()
    connection.execute("VACUUM")
    connection.close()
    assert not (tmp_path / "x").exists()


def test_a_listener_that_attaches_is_named(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'app.db'}")
    refuse_attached(engine)
    engine.dispose()

    @event.listens_for(engine, "connect")
    def attach(connection: sqlite3.Connection, _record: object) -> None:
        connection.execute(f"ATTACH '{tmp_path / 'audit.db'}' AS audit")

    with pytest.raises(Protected, match="attaches further databases to every connection: audit"):
        refuse_attached(engine)
    engine.dispose()
