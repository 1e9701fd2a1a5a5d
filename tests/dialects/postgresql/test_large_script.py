"""PostgreSQL: what is taken for a large object of a dump, and what is refused."""

from __future__ import annotations

import io

import pytest

from app.dialects.model import Grant
from app.dialects.postgresql.filter import Forbidden
from app.dialects.postgresql.large_script import LargeObjects, renumber_rows
from app.dialects.postgresql.script import Script, Unreadable

ATTRIBUTES = """
SET statement_timeout = 0;
SET client_encoding = 'UTF8';
SELECT pg_catalog.set_config('search_path', '', false);
SELECT pg_catalog.lo_create('16390');
ALTER LARGE OBJECT 16390 OWNER TO shop;
COMMENT ON LARGE OBJECT 16390 IS 'it''s';
SELECT pg_catalog.lo_create('4294967295');
ALTER LARGE OBJECT 4294967295 OWNER TO "The Shop";
REVOKE ALL ON LARGE OBJECT 4294967295 FROM "The Shop";
GRANT SELECT ON LARGE OBJECT 4294967295 TO "The Shop";
SET SESSION AUTHORIZATION other;
GRANT SELECT,UPDATE ON LARGE OBJECT 4294967295 TO PUBLIC;
RESET SESSION AUTHORIZATION;
GRANT UPDATE ON LARGE OBJECT 4294967295 TO "public" WITH GRANT OPTION;
"""
CONTENTS = r"""
SET standard_conforming_strings = on;
BEGIN;
SELECT pg_catalog.lo_open('16390', 131072);
SELECT pg_catalog.lowrite(0, '\x7369');
SELECT pg_catalog.lowrite(0, '\x67');
SELECT pg_catalog.lo_close(0);
COMMIT;
"""


def script(text: str) -> Script:
    return Script(io.BytesIO(text.encode()).read)


def read(attributes: str, contents: str) -> list[tuple[object, ...]]:
    known = LargeObjects()
    known.read(script(attributes))
    return [
        (item.number, item.owner, item.comment, item.grants, b"".join(item.parts))
        for item in known.objects(script(contents))
    ]


def test_all_that_pg_dump_writes_of_them() -> None:
    assert read(ATTRIBUTES, CONTENTS) == [
        (16390, "shop", "it's", None, b"sig"),
        (
            4294967295,
            "The Shop",
            None,
            {
                Grant("The Shop", "SELECT", grantable=False),
                Grant("", "SELECT", grantable=False),
                Grant("", "UPDATE", grantable=False),
                Grant("public", "UPDATE", grantable=True),
            },
            b"",
        ),
    ]


FORGED = {
    "another function": "SELECT pg_catalog.lo_import('/etc/passwd');",
    "an export": "SELECT pg_catalog.lo_export(16390, '/tmp/x');",
    "unlink": "SELECT pg_catalog.lo_unlink(16390);",
    "another schema's": "SELECT public.lo_create('1');",
    "a call within": "SELECT pg_catalog.lo_create((SELECT 1));",
    "no number": "SELECT pg_catalog.lo_create('x');",
    "too large": "SELECT pg_catalog.lo_create('4294967296');",
    "nought": "SELECT pg_catalog.lo_create('0');",
    "twice": "SELECT pg_catalog.lo_create('16390');",
    "the owner of others'": "ALTER LARGE OBJECT 1 OWNER TO me;",
    "the comment of others'": "COMMENT ON LARGE OBJECT 1 IS 'x';",
    "grants of others'": "GRANT ALL ON LARGE OBJECT 1 TO PUBLIC;",
    "grants of two": "GRANT ALL ON LARGE OBJECT 16390, 1 TO PUBLIC;",
    "grants of a table": "GRANT ALL ON TABLE public.posts TO PUBLIC;",
    "a table": "CREATE TABLE public.x ();",
    "rows": "COPY public.x FROM stdin;",
    "code": "DO $$BEGIN END$$;",
    "program": "\\! touch x\n",
    "setting": "SET ROLE other;",
    "a second one behind": "SELECT pg_catalog.lo_create('1'), pg_catalog.lo_unlink(2);",
}


@pytest.mark.parametrize("statement", FORGED.values(), ids=FORGED)
def test_anything_else_is_refused(statement: str) -> None:
    with pytest.raises((Forbidden, Unreadable)):
        read(ATTRIBUTES + statement, CONTENTS)


FORGED_CONTENTS = {
    "an object of others": CONTENTS.replace("16390", "1"),
    "twice": CONTENTS + CONTENTS,
    "no bytes": CONTENTS.replace("\\x67", "g"),
    "half a byte": CONTENTS.replace("\\x67", "\\x6"),
    "code within": CONTENTS.replace("'\\x67'", "(SELECT '')"),
    "code between": CONTENTS.replace("SELECT pg_catalog.lo_close(0);", "SELECT 1; SELECT pg_catalog.lo_close(0);"),
    "made among contents": CONTENTS + "SELECT pg_catalog.lo_create('1');",
    "not closed": CONTENTS.partition("SELECT pg_catalog.lo_close")[0],
    "rolled back": CONTENTS.replace("COMMIT", "ROLLBACK"),
}


@pytest.mark.parametrize("contents", FORGED_CONTENTS.values(), ids=FORGED_CONTENTS)
def test_contents_in_another_form_are_refused(contents: str) -> None:
    with pytest.raises((Forbidden, Unreadable)):
        read(ATTRIBUTES, contents)


@pytest.mark.parametrize("size", [1, 2, 3, 7, 100])
def test_numbers_in_rows_however_they_are_cut(size: int) -> None:
    rows = b"16390\t16390\ta\n\\N\t5\t16390\n7\t16391\t\\t16390\n"
    pieces = [rows[at : at + size] for at in range(0, len(rows), size)]
    numbers = {16390: 20000, 7: 8}
    assert b"".join(renumber_rows(pieces, [0], numbers)) == (b"20000\t16390\ta\n\\N\t5\t16390\n8\t16391\t\\t16390\n")
