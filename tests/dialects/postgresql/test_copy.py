"""Objects and tables that no revision made are made again in staging."""

from __future__ import annotations

import pytest
import sqlalchemy as sa

from app.dialects.model import SchemaObject
from app.errors import DoesNotFit
from tests.dialects.rooms import Room

from .schemas import ask, kinds, rows_of_kinds, staged, swap, table_of

MANY = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE SEQUENCE tickets START 5;
CREATE TABLE users (id serial PRIMARY KEY, name text, feels mood DEFAULT 'ok', ticket int DEFAULT nextval('tickets'));
INSERT INTO users (name) VALUES ('a'), ('b');
CREATE FUNCTION shout(t text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT upper(t)';
CREATE FUNCTION of_mood(m mood) RETURNS int LANGUAGE sql AS $$SELECT count(*)::int FROM users WHERE feels = m$$;
CREATE PROCEDURE nothing() LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION stamp() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := shout(NEW.name); RETURN NEW; END';
CREATE VIEW aa AS SELECT id, shout(name) AS loud FROM users;
CREATE MATERIALIZED VIEW counts AS SELECT count(*) AS n FROM aa;
CREATE INDEX loud_names ON users (shout(name));
CREATE TRIGGER stamp BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION stamp();
CREATE RULE no_delete AS ON DELETE TO users DO INSTEAD NOTHING;
CREATE POLICY own ON users FOR SELECT USING (name = current_user);
ALTER TABLE users ENABLE ROW LEVEL SECURITY;
CREATE STATISTICS related ON id, name FROM users;
"""


def test_objects_that_no_revision_made_are_made_again(room: Room) -> None:
    room.dialect.create(room.target)
    room.execute(MANY)
    with room.dialect.reader(room.target) as reader:
        objects = reader.objects()
    assert [item.kind for item in objects] == [
        "type",
        "procedure",
        "function",
        "function",
        "function",
        "sequence",
        "view",
        "materialized view",
        "statistics",
        "index",
        "rule",
        "trigger",
        "policy",
        "row security",
    ]
    assert not any("public" in item.sql for item in objects)
    script = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TABLE users (id serial PRIMARY KEY, name text, feels mood)"
    staging = staged(room, script)
    room.dialect.create_objects(staging, objects)
    with room.dialect.reader(staging) as reader:
        assert reader.objects() == objects
    assert ask(room, "INSERT INTO users (name) VALUES ('x') RETURNING name", url=staging) == ["X"]
    assert ask(room, "SELECT nextval('tickets')", url=staging) == [7]


def test_what_cannot_be_made_again_is_refused_by_name(room: Room) -> None:
    room.dialect.create(room.target)
    room.execute("CREATE AGGREGATE product (int) (SFUNC = int4mul, STYPE = int)")
    with room.dialect.reader(room.target) as reader:
        [item] = reader.objects()
    room.dialect.prepare_staging(room.other("one"), room.target)
    with pytest.raises(DoesNotFit, match=r"aggregate 'product\(integer\)'.* cannot be made again"):
        room.dialect.create_objects(room.other("one"), [item])
    wrong = SchemaObject("function", "f()", "", "CREATE FUNCTION f() RETURNS gone LANGUAGE sql AS 'SELECT 1'")
    with pytest.raises(DoesNotFit, match=r"function 'f\(\)'.*gone"):
        room.dialect.create_objects(room.other("one"), [wrong])
    assert room.state(room.other("one")) == {}


def test_tables_are_carried_with_all_that_they_need(room: Room) -> None:
    room.fill()
    room.execute(MANY)
    room.execute("ALTER TABLE users ADD COLUMN parent int REFERENCES parents; UPDATE users SET parent = 1")
    staging = room.staged()
    for extra in ("", "INSERT INTO users (name, parent) VALUES ('late', 2)"):
        if extra:
            room.execute(extra)
        room.dialect.carry(room.target, staging, ["users"])
        assert room.state(staging)["users"] == room.state()["users"]
        room.execute("CREATE OR REPLACE VIEW on_it AS SELECT name FROM users", url=staging)
    assert ask(room, "SELECT loud FROM on_it, LATERAL (SELECT shout(name) loud) x", url=staging)[-1] == "LATE"
    with pytest.raises(sa.exc.IntegrityError):
        room.execute("INSERT INTO users (parent) VALUES (77)", url=staging)
    swap(room, staging)
    assert room.state()["users"][2][1] == "LATE"
    given = "INSERT INTO users (name) VALUES ('x') RETURNING name || id || feels || ticket"
    assert ask(room, given) == ["X5ok8"]


def test_what_is_kept_needs_nothing_of_where_it_was(room: Room) -> None:
    staging = kinds(room, "first")
    table = table_of(room, "kinds", staging)
    room.dialect.load(staging, table, rows_of_kinds(table), batch_rows=100)
    room.execute(
        "CREATE TABLE part (m mood, n short, o int, PRIMARY KEY (n, m)) PARTITION BY LIST (m);"
        "CREATE TABLE part1 PARTITION OF part FOR VALUES IN ('ok'); INSERT INTO part VALUES ('ok', 'x', 1);"
        "CREATE TABLE none ()",
        url=staging,
    )
    with room.dialect.reader(staging) as reader:
        tables = reader.tables()
    expected = room.state(staging)
    generation = room.dialect.generation_url(room.target, "0000000a-new")
    for _ in range(2):
        room.dialect.keep(staging, generation)
    room.dialect.drop(staging)
    assert room.state(generation) == expected
    with room.dialect.reader(generation) as reader:
        assert {n: (t.columns, t.primary_key) for n, t in reader.tables().items()} == {
            n: (t.columns, t.primary_key) for n, t in tables.items()
        }
