"""PostgreSQL: rules, objects, owners and privileges; what would stop a cut-over."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.errors import DoesNotFit
from tests.dialects.rooms import Room

from .schemas import staged, swap, table_of


def test_a_server_without_room_is_told_from_a_refused_row(room: Room, owned: Room) -> None:
    script = (
        "CREATE FUNCTION full_() RETURNS trigger LANGUAGE plpgsql AS "
        "$$BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END$$;"
        "CREATE TABLE t (x int); CREATE TRIGGER f BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION full_()"
    )
    staging = staged(room, script)
    with pytest.raises(DoesNotFit, match="no room") as caught:
        room.dialect.load(staging, table_of(room, "t", staging), [[1]], batch_rows=5)
    assert caught.value.hint
    with room.dialect.engine(staging).connect() as connection:
        with pytest.raises(sa.exc.OperationalError) as told:
            connection.exec_driver_sql("INSERT INTO t VALUES (1)")
        for error in (told.value, told.value.orig):
            assert error is not None
            assert isinstance(room.dialect.explain(staging, error), DoesNotFit)
    assert room.dialect.explain(staging, ValueError("disk full")) is None
    free = owned.dialect.free_bytes(owned.target)
    assert free is not None
    assert free > 0


# Owners and privileges


def test_what_publishes_all_tables_is_said(owned: Room) -> None:
    owned.execute("CREATE PUBLICATION everything FOR ALL TABLES")
    owned.dialect.preflight(owned.target)
    staging = staged(owned, "CREATE TABLE t (x int)")
    with owned.dialect.fence(owned.target) as fence:
        old = owned.dialect.generation_url(owned.target, "0000000c-old")
        owned.dialect.swap(staging, owned.target, old, fence, fence.token(), timeout_s=5)
        assert ["everything" in note for note in fence.notes] == [True]


def test_a_staging_schema_that_spells_a_schema_is_not_swapped_in(room: Room) -> None:
    room.fill()
    before = room.everything()
    for number, script in enumerate(
        (
            "CREATE TABLE x (p int REFERENCES public.parents)",
            "CREATE FUNCTION f() RETURNS text LANGUAGE sql AS 'SELECT current_schema() || $$ferry_staging_one1$$'",
            "CREATE TABLE x (id int DEFAULT nextval('ferry_staging_one2.s'::text)); CREATE SEQUENCE s",
        )
    ):
        staging = staged(room, script, f"one{number}")
        with pytest.raises(DoesNotFit):
            swap(room, staging)
        assert room.everything() == before
        room.dialect.drop(staging)
