"""PostgreSQL: a dump's script taken apart, and which of its statements are allowed; the guard of a transaction."""

from __future__ import annotations

import io
import random

import psycopg
import pytest

from app.dialects.postgresql.script import MOST_BYTES, Script, Unreadable
from tests.support.servers.postgresql import PostgreSQL


def script(text: bytes, piece_bytes: int | None = None) -> Script:
    file = io.BytesIO(text)
    return Script((lambda _: file.read(piece_bytes)) if piece_bytes else file.read)


def read(text: bytes, piece_bytes: int | None = None) -> list[bytes]:
    """Statements, and rows behind those that begin with COPY."""
    parts = []
    reading = script(text, piece_bytes)
    for statement in reading.statements():
        parts.append(statement.text)
        if statement.text.startswith(b"COPY"):
            parts.append(b"".join(reading.rows()))
    return parts


WHOLE = [
    "SELECT 'a;b', 'it''s; \\', 2",
    "SELECT E'a\\'; b\\\\', 2",
    "SELECT E'a'\n'b\\'; c', 2",
    "SELECT E'a' -- why\n  'b\\'; c', 2",
    "SELECT 'a'\n'b\\', 2",
    "SELECT typE'a\\', 2",
    'SELECT "a;""b;", 2',
    "SELECT $$a;$b$;$$, 2",
    "SELECT $a$ $$ ; $b$ ; $a$, $ä$;$ä$",
    "SELECT a$b$c, $1, b';', X'a;', n'a\\'",
    "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN true THEN 1 END; SELECT (1); END",
    "CREATE FUNCTION f(begin int, atomic int) RETURNS int AS 'a;'",
    "CREATE RULE r AS ON INSERT TO t DO (SELECT 1; SELECT 2)",
]


def test_statements_end_where_the_servers_lexer_ends_them() -> None:
    alone = [text.encode() for text in WHOLE if "--" not in text]
    between = b";\n\n--\n-- Name: x; Type: y\n--\n\n"
    text = between.join(alone) + between
    assert read(text) == alone
    for piece_bytes in (1, 2, 3, 5, 7, 11, 64, 1000):
        assert read(text, piece_bytes) == alone, piece_bytes
    with pytest.raises(Unreadable, match="a comment stands within"):
        read(b"SELECT 1 -- a\n, 2;")


def test_commands_to_psql_are_none_of_ours() -> None:
    assert read(b"-- a\n\n\\restrict aB3\n\nSELECT 1;\n\n\\unrestrict aB3\n\n") == [b"SELECT 1"]
    for line in (b"\\! ls\n", b"\\restrict a b\n", b"\\restrict a", b"SELECT 1 \\gexec\n", b"\\.\n", b"\\restrict ;\n"):
        with pytest.raises(Unreadable, match=r"no command to psql is run|ends within"):
            read(line)


def test_rows_end_at_their_line_wherever_pieces_end() -> None:
    rows = b"1\ta\\\\.\n\\\\.\n.\n\\N\n" * 50
    text = b"COPY public.t (a) FROM stdin;\n" + rows + b"\\.\n\n\nCOPY public.e  FROM stdin;\n\\.\n\n\nSELECT 1;\n"
    expected = [b"COPY public.t (a) FROM stdin", rows, b"COPY public.e  FROM stdin", b"", b"SELECT 1"]
    assert read(text) == expected
    for piece_bytes in (1, 2, 3, 4, 5, 7, 64, 999):
        assert read(text, piece_bytes) == expected, piece_bytes
    for bad in (b"COPY t FROM stdin;\n1\n2\n", b"COPY t FROM stdin;\n1\\.\n", b"COPY t FROM stdin; x\n1\n\\.\n"):
        with pytest.raises(Unreadable):
            read(bad)
    unread = script(text)
    with pytest.raises(Unreadable, match=r"no command to psql|ends within|right behind"):
        list(unread.statements())


@pytest.mark.parametrize("text", [b"'", b'"', b"$a$", b"(", b"/* ", b"E'\\'"])
def test_what_never_ends_is_refused_in_bounded_memory(text: bytes) -> None:
    with pytest.raises(Unreadable):
        read(b"SELECT " + text + b"; COMMIT;")
    pieces: list[int] = []

    def endless(size_bytes: int) -> bytes:
        pieces.append(size_bytes)
        begin = b"SELECT " + text if len(pieces) == 1 else b""
        return begin + b"a" * (size_bytes - len(begin))

    with pytest.raises(Unreadable, match=r"longer than any|comment"):
        list(Script(endless).statements())
    assert sum(pieces) <= 5 * MOST_BYTES


# Against a server


PIECES = [*"'\"\\$;(),aeE1 \n\t", "''", "$$", "$a$", "E'", "B'", "N'", "--", "/*", "*/", "\\'", "'\n'", "'--c\n'", "é"]
FORMS = ["SELECT 'a%'; SELECT 'b'", "SELECT E'a%'; SELECT 'b'", "SELECT $$a%$$; SELECT 1", 'SELECT 1 AS "a%"; SELECT 2']


def test_no_text_is_one_statement_here_and_several_to_the_server(postgresql: PostgreSQL) -> None:
    chosen = random.Random(5)
    several = 0
    with postgresql.connect() as connection:
        for _ in range(4000):
            inside = "".join(chosen.choices(PIECES, k=chosen.randint(1, 7)))
            text = chosen.choice(FORMS).replace("%", inside).encode()
            try:
                connection.execute(text, binary=True)
            except psycopg.Error as error:
                if "multiple commands" not in str(error):
                    continue
                several += 1
                try:
                    assert len(read(text + b"\n;", chosen.choice([1, 3, 1000]))) > 1, text
                except Unreadable:
                    continue
    assert several > 500
