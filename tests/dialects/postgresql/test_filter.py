"""Nothing is let through but what a dump of one schema holds."""

from __future__ import annotations

import io

import pytest

from app.dialects.postgresql.filter import Act, Filter, Forbidden
from app.dialects.postgresql.script import Script, Unreadable

from .archives import STATEMENTS


def script(text: bytes, piece_bytes: int | None = None) -> Script:
    file = io.BytesIO(text)
    return Script((lambda _: file.read(piece_bytes)) if piece_bytes else file.read)


def decide(text: str, schema: str = "public") -> list[Act]:
    allowed = Filter(schema, ["ferry_hold"])
    return [allowed.decide(statement) for statement in script(text.encode()).statements()]


@pytest.mark.parametrize("statement", STATEMENTS)
def test_nothing_but_what_a_dump_holds_is_allowed(statement: str) -> None:
    with pytest.raises((Forbidden, Unreadable)):
        decide(statement)


def test_names_of_the_dumped_schema_only() -> None:
    for schema, name in (("public", "public"), ("public", '"public"'), ('we"ird é', '"we""ird é"'), ("Shop", '"Shop"')):
        assert decide(f"CREATE TABLE {name}.t (a int);", schema) == [Act.RUN]
        literal = name.replace("'", "''")
        assert decide(f"SELECT pg_catalog.setval('{literal}.\"a.b\"', -5, false);", schema) == [Act.RUN]
    for schema, name in (("public", '"Public"'), ("shop", '"Shop"'), ("Shop", "Shop"), ("public", "pg_catalog")):
        with pytest.raises(Forbidden):
            decide(f"CREATE TABLE {name}.t (a int);", schema)


def test_nobody_else_is_made_the_one_who_grants() -> None:
    text = "SET SESSION AUTHORIZATION g; GRANT SELECT(a),UPDATE ON TABLE public.t TO r WITH GRANT OPTION;"
    assert decide(f"{text} RESET SESSION AUTHORIZATION;") == [Act.LEAVE, Act.RUN, Act.LEAVE]
    assert decide("SET statement_timeout = 0; SET client_encoding = 'UTF8';") == [Act.LEAVE, Act.RUN]
