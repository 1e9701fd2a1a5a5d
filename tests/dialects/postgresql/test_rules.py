"""Foreign keys and checks: off while rows are loaded, on again, and looked at."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.dialects.model import Values
from app.errors import DoesNotFit, FerryError
from tests.dialects.rooms import Room

from .schemas import ask, staged, table_of


def test_foreign_keys_come_back_as_they_were_and_the_server_proves_them(room: Room) -> None:
    staging = staged(
        room,
        "CREATE TABLE p (a int, b int, PRIMARY KEY (a, b)); CREATE TABLE c (id serial PRIMARY KEY, a int, b int,"
        " CONSTRAINT both_of FOREIGN KEY (a, b) REFERENCES p MATCH FULL ON DELETE CASCADE DEFERRABLE INITIALLY"
        " DEFERRED);"
        "COMMENT ON CONSTRAINT both_of ON c IS 'why'",
    )
    definition = "SELECT pg_get_constraintdef(oid) || obj_description(oid) FROM pg_constraint WHERE conname = 'both_of'"
    before = ask(room, definition, url=staging)
    with room.dialect.loading(staging):
        assert ask(room, definition, url=staging) == []
        table = table_of(room, "c", staging)
        rows: list[Values] = [[7, 1, 1], [8, 2, None], [9, 3, 3], [10, None, None]]
        assert room.dialect.load(staging, table, rows, batch_rows=2).loaded == 4
    assert ask(room, definition, url=staging) == [before[0].replace("why", " NOT VALIDwhy")]
    [problem] = room.dialect.problems(staging)
    assert problem.text == "c: 3 rows refer to rows of p that are not there (id 7, 8, 9)"
    with pytest.raises(FerryError, match="both_of"):
        room.dialect.settle(staging)
    room.execute("INSERT INTO p VALUES (1, 1), (3, 3)", url=staging)
    room.execute("UPDATE c SET a = NULL WHERE id = 8", url=staging)
    assert room.dialect.problems(staging) == []
    room.dialect.settle(staging)
    assert ask(room, definition, url=staging) == before


def test_a_partitioned_tables_foreign_key_is_put_back_or_its_rows_named(room: Room) -> None:
    script = (
        "CREATE TABLE p (id int PRIMARY KEY); INSERT INTO p VALUES (1);"
        "CREATE TABLE c (id int, p int REFERENCES p) PARTITION BY RANGE (id);"
        "CREATE TABLE c1 PARTITION OF c FOR VALUES FROM (0) TO (10);"
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.p := 1; RETURN NEW; END';"
        "CREATE TRIGGER t BEFORE INSERT ON c FOR EACH ROW EXECUTE FUNCTION f()"
    )
    staging = staged(room, script)
    before = room.dialect.schema_fingerprint(staging)
    with room.dialect.loading(staging):
        room.dialect.load(staging, table_of(room, "c", staging), [[1, None], [2, 1]], batch_rows=5)
    assert room.dialect.schema_fingerprint(staging) == before
    assert room.state(staging)["c"] == [[1, None], [2, 1]]
    room.execute("INSERT INTO c VALUES (3, 99)", url=staging)
    assert room.state(staging)["c"][-1] == [3, 1]
    with pytest.raises(DoesNotFit, match=r"partitioned table c .*99"), room.dialect.loading(staging):
        room.dialect.load(staging, table_of(room, "c", staging), [[4, 99]], batch_rows=5)


def test_problems_are_named_whatever_kind(room: Room) -> None:
    staging = staged(
        room,
        "CREATE TABLE t (id int, n int); INSERT INTO t VALUES (1, 1), (2, 1), (3, -1);"
        "ALTER TABLE t ADD CONSTRAINT positive CHECK (n > 0) NOT VALID",
    )
    with room.connect(staging) as connection:
        raw = connection.execution_options(isolation_level="AUTOCOMMIT")
        with pytest.raises(sa.exc.IntegrityError) as caught:
            raw.exec_driver_sql("CREATE UNIQUE INDEX CONCURRENTLY only_once ON t (n)")
    assert [str(item) for item in room.dialect.problems(staging)] == [
        "t: 1 row does not pass the check positive",
        "t: the index only_once is not valid: it was never completed",
    ]
    assert room.dialect.find_refused_keys(staging, str(caught.value)) == ["key (n)=(1) is duplicated"]
    room.execute("UPDATE t SET n = NULL WHERE id > 1", url=staging)
    with pytest.raises(sa.exc.IntegrityError) as caught:
        room.execute("ALTER TABLE t ALTER COLUMN n SET NOT NULL", url=staging)
    assert room.dialect.find_refused_keys(staging, str(caught.value)) == ["t: ctid (0,4), (0,5)"]
    assert room.dialect.find_refused_keys(staging, "nothing we know") == []


def test_checks_find_the_functions_of_extensions(owned: Room) -> None:
    owned.execute("CREATE SCHEMA ext; CREATE EXTENSION pg_trgm SCHEMA ext; CREATE EXTENSION citext")
    script = (
        "CREATE FUNCTION alike(t text) RETURNS bool LANGUAGE plpgsql AS "
        "$$BEGIN RETURN similarity(t, 'abc') > 0.5 AND t::citext = 'ABC'::citext; END$$;"
        "CREATE TABLE t (w text CHECK (alike(w)))"
    )
    staging = staged(owned, script)
    result = owned.dialect.load(staging, table_of(owned, "t", staging), [["abc"], ["xyz"]], batch_rows=5)
    assert [(refusal.number, "t_w_check" in refusal.message) for refusal in result.refused] == [(2, True)]
    assert ask(owned, "SELECT extnamespace::regnamespace::text FROM pg_extension WHERE extname = 'citext'") == [
        "public"
    ]
