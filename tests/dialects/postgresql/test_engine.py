"""What Alembic's engine sees of a server."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from tests.dialects.rooms import Room

from .schemas import ask, swap


def test_alembics_engine_sees_staging_and_extensions_and_nothing_live(owned: Room) -> None:
    owned.execute("CREATE EXTENSION citext; CREATE SCHEMA ext; CREATE EXTENSION pg_trgm SCHEMA ext")
    owned.execute("CREATE TABLE live_only (x int)")
    staging = owned.other("one")
    owned.dialect.prepare_staging(staging, owned.target)
    engine = owned.dialect.engine(staging)
    assert sa.inspect(engine).get_table_names() == []
    assert not sa.inspect(engine).has_table("live_only")
    with pytest.raises(sa.exc.ProgrammingError, match="live_only"), engine.begin() as connection:
        connection.exec_driver_sql("DELETE FROM live_only")
    with engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE t (c citext PRIMARY KEY, d text)")
        connection.exec_driver_sql("CREATE INDEX near ON t USING gin (d gin_trgm_ops)")
        connection.exec_driver_sql("CREATE VIEW v AS SELECT c = 'A'::citext AS same FROM t")
        connection.exec_driver_sql("INSERT INTO t VALUES ('a', 'b')")
        where = "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'citext'"
        assert ask(owned, where) == ["public"]
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        assert connection.exec_driver_sql(where).scalar() == "public"
    assert ask(owned, where) == ["public"]
    assert ask(owned, "SELECT same FROM v", url=staging) == [True]
    with owned.dialect.reader(staging) as reader:
        objects = reader.objects()
    owned.execute("DROP VIEW v", url=staging)
    owned.dialect.create_objects(staging, [item for item in objects if item.kind == "view"])
    expected = owned.everything(staging)
    old = swap(owned, staging)
    assert owned.everything() == expected
    assert ask(owned, "SELECT 'x'::citext = 'X'") == [True]
    back = owned.other("back")
    owned.dialect.copy(old, back, timeout_s=5)
    swap(owned, back, "0000000d-old")
    assert owned.state() == {"live_only": []}
    assert ask(owned, "SELECT 'x'::citext = 'X'") == [True]
    for place in (owned.dialect.generation_url(owned.target, "0000000d-old"), old):
        owned.dialect.drop(place)
    assert ask(owned, "SELECT 'x'::citext = 'X'") == [True]
