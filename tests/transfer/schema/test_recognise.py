"""Which revision a database is at, by its tables and columns."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa

from app.dialects.sqlite.names import url_of
from app.transfer.schema.alembic import Schema
from app.transfer.schema.host import Host
from app.transfer.schema.recognise import recognise
from tests.migrations.database import REVISIONS
from tests.transfer.hosts import reference_host

from .made import Made


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The reference app's database at each revision, without alembic_version."""
    directory = tmp_path_factory.mktemp("revisions")
    host = reference_host(directory / "live.db")
    for name in REVISIONS:
        staging = url_of(directory / f"{name}.db")
        host.dialect.prepare_staging(staging, host.url)
        with host.app_context():
            Schema(host).build(staging, name)
        with host.dialect.engine(staging).begin() as connection:
            connection.exec_driver_sql("DROP TABLE alembic_version")
    return directory


def shape(host: Host, url: sa.URL) -> dict[str, set[str]]:
    with host.dialect.reader(url) as reader:
        return {name: set(table.column_names) for name, table in reader.tables().items()}


@pytest.mark.parametrize("name", REVISIONS)
def test_every_revision_is_recognised(built: Path, name: str) -> None:
    host = reference_host(built / "live.db")
    shapes = {item: shape(host, url_of(built / f"{item}.db")) for item in REVISIONS}
    oldest = next(item for item in REVISIONS if shapes[item] == shapes[name])
    with host.dialect.reader(url_of(built / f"{name}.db")) as reader:
        tables = reader.tables()
    scratch = url_of(built / f"scratch-{name}.db")
    with host.app_context():
        found = recognise(Schema(host), tables, scratch)
    assert found.revision == oldest
    assert (found.missing, found.extra_columns, found.extra_tables) == ((), (), ())
    assert not host.dialect.exists(scratch)


def test_what_a_database_has_besides_or_lacks_is_named(two: Made) -> None:
    live = two.host.url
    two.host.dialect.create(live)
    with two.host.dialect.engine(live).begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (id INTEGER PRIMARY KEY, y INTEGER, z INTEGER)")
        connection.exec_driver_sql("CREATE TABLE extra (a INTEGER)")
    with two.host.dialect.reader(live) as reader:
        tables = reader.tables()
    two.host.dialect.open_control(two.host.dialect.control_area(live))
    found = recognise(two.schema, tables, two.host.dialect.staging_url(live, "scratch"))
    assert found.revision == "two"
    assert (found.missing, found.extra_columns, found.extra_tables) == (("t.x",), ("t.z",), ("extra",))


def test_of_revisions_that_look_alike_the_oldest_is_recognised(two: Made) -> None:
    two.add("three", "two", "op.execute('UPDATE t SET y = 1')")
    staging = two.staging()
    two.schema.build(staging, "three")
    with two.host.dialect.reader(staging) as reader:
        tables = reader.tables()
    assert recognise(two.schema, tables, two.host.dialect.staging_url(two.host.url, "scratch")).revision == "two"
