"""What of a text is quoted or commented, as the server reads it."""

from __future__ import annotations

import pytest

from app.dialects.postgresql.lexer import hide
from tests.support.servers.postgresql import PostgreSQL

SEEN = {
    "SELECT 1": "SELECT 1",
    "'a;b' ; c": "      ; c",
    "'it''s;' ; c": "         ; c",
    "E'a\\';' ; c": "E       ; c",
    "'a\\' ; c": "     ; c",
    '"a;""b" ; c': "        ; c",
    "-- a;b\n;": "      \n;",
    "/* ; */ ;": "        ;",
    "/* ; /* ; */ ; */ ;": "                  ;",
    "/* /* */ ' */ ; c": "              ; c",
    "$$ ; $$ ;": "        ;",
    "$a$ ; $$ ; $a$ ;": "               ;",
    "a$b$c; a$b$": "a$b$c; a$b$",
    "é$$;é$$": "é$$;é$$",
    "$1; $1": "$1; $1",
    "U&'d!0061;' UESCAPE '!' ; c": "U&          UESCAPE     ; c",
}
DOUBTFUL = [
    "name'\\'; ROLLBACK; ''",
    "1e'\\'; ROLLBACK; ''",
    "SELECT 'never closed",
    "/* /* */",
    "$a$ never closed",
    "1$a$;$a$",
]


@pytest.mark.parametrize("text", list(SEEN))
def test_what_is_quoted_is_blank(text: str) -> None:
    assert hide(text) == (SEEN[text], True)


@pytest.mark.parametrize("text", DOUBTFUL)
def test_two_readings_are_no_certainty(text: str) -> None:
    assert not hide(text)[1]


STATEMENTS = [
    "SELECT 'it''s;'; SELECT 2",
    "SELECT E'a\\';'; SELECT 2",
    "SELECT 'a\\'; SELECT 2",
    "SELECT /* ; /* ; */ ; */ 1; SELECT 2",
    "SELECT 1 /* /* */ don't */; SELECT 2; SELECT 3 /* ' */",
    "SELECT $a$ ; $$ ; $a$; SELECT 2",
    "SELECT 1 AS a$b$c; SELECT 2; SELECT 3 AS a$b$c",
    "SELECT 1 AS é$$; SELECT 2 AS é$$",
    "SELECT U&'d!0061;' UESCAPE '!'; SELECT 2",
    'SELECT 1 AS "a;""b"; SELECT 2 -- ; \' $$ /*\n; SELECT 3',
]


def test_the_server_reads_them_so(postgresql: PostgreSQL) -> None:
    with postgresql.connect() as connection, connection.cursor() as cursor:
        for text in STATEMENTS:
            plain, sure = hide(text)
            assert sure
            cursor.execute(text.encode())
            results = 1
            while cursor.nextset():
                results += 1
            assert results == len(plain.split(";")), text
