"""Texts of the app's own code: where they end transactions."""

from __future__ import annotations

import pytest

from app.dialects.base import OutsideStaging
from app.dialects.postgresql.texts import EXTENSION, divide, makes_schema, refuse_rollback


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("SELECT 1; SELECT 2", ["SELECT 1; SELECT 2"]),
        ("SELECT 1; COMMIT; SELECT 2", ["SELECT 1", " COMMIT", " SELECT 2"]),
        ("COMMIT;", ["COMMIT"]),
        ("SELECT 'a; COMMIT; b'; SELECT 2", ["SELECT 'a; COMMIT; b'; SELECT 2"]),
        ("a; b; end work ; c; d;", ["a; b", " end work ", " c; d"]),
        (
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; SELECT 2",
            ["CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT 1; END; SELECT 2"],
        ),
        ("DO $$ BEGIN; END; $$", ["DO $$ BEGIN; END; $$"]),
    ],
)
def test_pieces_of_a_text(text: str, pieces: list[str]) -> None:
    assert divide(text) == pieces


@pytest.mark.parametrize(
    ("text", "is_made"),
    [
        ("CREATE SCHEMA shop", True),
        ("-- first\ncreate schema if not exists Shop ;", True),
        ('CREATE SCHEMA IF NOT EXISTS "shop"', True),
        ('CREATE SCHEMA "Shop"', False),
        ("CREATE SCHEMA shops", False),
        ("CREATE SCHEMA shop AUTHORIZATION me", False),
        ("CREATE SCHEMA shop CREATE TABLE t ()", False),
        ("CREATE SCHEMA shop; DROP TABLE t", False),
    ],
)
def test_a_schema_that_is_made(text: str, is_made: bool) -> None:
    assert makes_schema(text, "shop") == is_made


HIDDEN = [
    "SELECT 1 /* /* */ don't */; ROLLBACK; UPDATE public.parents SET name = 'x' WHERE name <> 'don''t'",
    "SELECT 1 AS a$b$c; ROLLBACK; UPDATE public.parents SET name = 'x'; SELECT 1 AS a$b$c",
    "SELECT name'\\'; ROLLBACK; UPDATE public.parents SET name = 'x' WHERE name <> ''",
    "SELECT 1 AS é$$; ABORT; DELETE FROM public.children; SELECT 1 AS é$$",
    "SELECT E'\\'; ROLLBACK; --'; ROLLBACK",
]


@pytest.mark.parametrize("text", HIDDEN)
def test_a_rollback_among_others_is_refused_however_it_is_hidden(text: str) -> None:
    with pytest.raises(OutsideStaging, match="ROLLBACK"):
        refuse_rollback(text)


@pytest.mark.parametrize(
    "text",
    [
        "ROLLBACK",
        "SELECT 1; ROLLBACK TO SAVEPOINT a",
        "INSERT INTO notes VALUES ('; ROLLBACK;')",
        "SELECT 1 AS rollback",
        "/* ; ROLLBACK; */ SELECT 1",
        "DO $$ BEGIN RAISE NOTICE '; ROLLBACK'; END $$",
    ],
)
def test_what_is_no_rollback_among_others(text: str) -> None:
    refuse_rollback(text)


@pytest.mark.parametrize(
    ("text", "is_one"),
    [
        ("CREATE EXTENSION citext", True),
        ('/* why */ create  extension\n"uuid-ossp" WITH SCHEMA public; SELECT 1', True),
        ("CREATE EXTENSION IF NOT EXISTS citext", False),
        ("create extension if  not exists citext", False),
        ("SELECT 'CREATE EXTENSION citext'", False),
        ("DROP EXTENSION citext", False),
    ],
)
def test_an_extension_that_is_made(text: str, is_one: bool) -> None:
    assert (EXTENSION.match(text) is not None) == is_one
    if is_one:
        assert EXTENSION.match(EXTENSION.sub(lambda match: f"{match['head']}IF NOT EXISTS ", text, count=1)) is None
