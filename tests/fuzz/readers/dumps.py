"""Dumps of servers and database files: nothing but what a dump holds is let through."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from types import ModuleType

import xxhash

from app.dialects.mysql import restore as mysql_restore
from app.dialects.mysql.grammar import Grammar
from app.dialects.postgresql.filter import Act, Filter, Forbidden
from app.dialects.postgresql.large_script import LargeObjects
from app.dialects.postgresql.lexer import hide
from app.dialects.postgresql.script import Script, Unreadable
from app.dialects.sqlite.dialect import SqliteDialect
from app.dialects.sqlite.names import url_of
from app.transfer.rows.encode import hash_rows

from ..target import expect, put, refusals, scratch

# MySQL and MariaDB


def mysql_dump(data: bytes) -> None:
    """A dump of any statements, with a count and a hash that fit."""
    path = put("dump.sql", seal_dump(data))
    with refusals(path), path.open("rb") as file:
        mysql_restore._verify(file, path)
        mysql_restore._check(file, path)
    bodies = False
    grammar = Grammar("again", (*mysql_restore.HEADER, *mysql_restore.FOOTER, mysql_restore.LENIENT_MODE))
    for sql in mysql_restore.statements(io.BytesIO(path.read_bytes())):
        grammar.check(sql, 1, 1)
        # From the first body on a session may read texts otherwise; before it no statement has anything to hide.
        bodies = bodies or grammar._bodies
        if not bodies:
            check_bare(sql)


def seal_dump(data: bytes) -> bytes:
    """A dump with its first and last line."""
    whole = mysql_restore.MAGIC + b"\n" + data + (b"" if data.endswith(b"\n") else b"\n")
    count = sum(1 for _ in mysql_restore.statements(io.BytesIO(whole)))
    return whole + mysql_restore.END % (count, xxhash.xxh3_128_hexdigest(whole).encode())


_NEVER = frozenset(["SELECT", "UNION", "LOAD_FILE", "OUTFILE", "DUMPFILE", "SLEEP", "GRANT", "DROP", "INFILE"])
"""What no statement has outside of its texts and names: a question, a call of what may do harm."""


def check_bare(sql: bytes) -> None:
    """Look at what the server reads outside of texts and names, by a lexer of this test's own."""
    words = list(bare_words(sql.decode("utf-8", "surrogateescape")))
    upper = [word.upper() for word in words]
    expect(";" not in words, f"a second statement behind the first: {sql[:200]!r}")
    harm = _NEVER & {*upper}
    expect(not harm, f"{harm} stands outside of texts: {sql[:200]!r}")
    if upper[:1] == ["INSERT"]:
        rest = {word for word in upper if word[0].isalpha()} - {"INSERT", "INTO", "VALUES", "NULL", "CONVERT", "USING"}
        rest -= {"UTF8MB4", "_BINARY", "X"}
        expect(not rest, f"an INSERT of something else than values, {rest}: {sql[:200]!r}")


def bare_words(sql: str) -> Iterator[str]:
    """Words and signs outside of quotes, one character after the other (MySQL manual, 11.1.1, 11.2 and 11.7)."""
    at, word = 0, ""
    while at < len(sql):
        sign = sql[at]
        if sign.isalnum() or sign in "_$@" or sign > "\x7f":
            word, at = word + sign, at + 1
            continue
        if word:
            yield word
            word = ""
        if sign in "'\"`":
            at = _end_of_quote(sql, at)
        elif sign == "#" or (sql.startswith("--", at) and (at + 2 == len(sql) or sql[at + 2] <= " ")):
            at = sql.find("\n", at) + 1 or len(sql)
        elif sql.startswith("/*", at) and not re.match(r"/\*M?!", sql[at : at + 4]):
            at = sql.find("*/", at + 2) + 2 if "*/" in sql[at + 2 :] else len(sql)
        else:
            if not sign.isspace():
                yield sign
            at += 1
    if word:
        yield word


def _end_of_quote(sql: str, at: int) -> int:
    quote, at = sql[at], at + 1
    while at < len(sql):
        if (sql[at] == "\\" and quote != "`") or (sql[at] == quote and sql[at + 1 : at + 2] == quote):
            at += 2
        elif sql[at] == quote:
            return at + 1
        else:
            at += 1
    return at


# PostgreSQL


def _parser() -> ModuleType | None:
    """The server's own parser, where ``make fuzz`` could install it."""
    try:
        import pglast
    except ImportError:
        return None
    return pglast  # type: ignore[no-any-return] # a module without types


PARSER = _parser()
SERVERS_OWN = PARSER is not None
_HARMLESS = """
CreateEnumStmt CompositeTypeStmt DefineStmt CreateRangeStmt CreateDomainStmt CreateFunctionStmt CreateStmt
CreateOpClassStmt CreateOpFamilyStmt CreateConversionStmt CreateForeignTableStmt ViewStmt CreateTableAsStmt
CreateSeqStmt IndexStmt CreateStatsStmt CreateTrigStmt RuleStmt CreatePolicyStmt AlterTableStmt AlterSeqStmt
AlterObjectDependsStmt AlterDomainStmt AlterOpFamilyStmt AlterTSConfigurationStmt AlterStatsStmt CommentStmt
SecLabelStmt GrantStmt RefreshMatViewStmt VariableSetStmt SelectStmt
""".split()  # noqa: SIM905 # so many are read more easily
"""The kinds of statements that a dump of one schema holds, as the server's parser calls them."""


def postgresql_script(data: bytes) -> None:
    """A script as ``pg_restore`` writes it: each statement that is let through is one, and of a kind that is known."""
    file, allowed = io.BytesIO(data), Filter("public", ["ferry_hold"])
    script = Script(lambda _size: file.read(700))
    with refusals(own=(Unreadable, Forbidden)):
        for statement in script.statements():
            act = allowed.decide(statement)
            if act is Act.COPY:
                for _ in script.rows():
                    pass
            elif act is Act.RUN:
                _check_one(statement.text)


def _check_one(text: bytes) -> None:
    again = list(Script(io.BytesIO(text + b"\n;").read).statements())
    expect(len(again) == 1, f"read again it is {len(again)} statements: {text[:200]!r}")
    try:
        plain, sure = hide(text.decode())
    except UnicodeDecodeError:
        return
    if b"atomic" not in text.lower():
        expect(not sure or ";" not in _outermost(plain), f"another lexer sees a second one: {text[:200]!r}")
    if PARSER is not None:
        _ask_parser(text.decode())


def _outermost(text: str) -> str:
    """What stands in no parentheses."""
    former = ""
    while former != text:
        former, text = text, re.sub(r"\([^()]*\)", "", text)
    return text


def _ask_parser(text: str) -> None:
    """What the server would see in it; what it cannot read, it refuses."""
    assert PARSER is not None
    if "\0" in text:
        return
    try:
        statements = PARSER.parse_sql(text)
    except (PARSER.parser.ParseError, PARSER.Error, UnicodeError, RecursionError, ValueError):
        return
    expect(len(statements) == 1, f"the server's parser sees {len(statements)} statements: {text[:200]!r}")
    kind = type(statements[0].stmt).__name__
    expect(kind in _HARMLESS, f"the server's parser sees a {kind}: {text[:200]!r}")
    if kind == "SelectStmt":
        expect(text.lower().count("setval") == 1, f"a question that is no setval: {text[:200]!r}")
    if kind == "CreateTableAsStmt":
        expect(statements[0].stmt.into.skipData, f"a table that asks for its rows: {text[:200]!r}")


def large_objects(data: bytes) -> None:
    """The part of a script that is of large objects."""
    objects = LargeObjects()
    with refusals(own=(Unreadable, Forbidden)):
        objects.read(Script(io.BytesIO(data).read))


# SQLite


def sqlite_file(data: bytes) -> None:
    """A database file of any bytes, restored and read through."""
    backup, to = put("backup.db", data), scratch() / "restored.db"
    for name in ("restored.db", "restored.db-wal", "restored.db-journal"):
        (scratch() / name).unlink(missing_ok=True)
    dialect = SqliteDialect()
    with refusals(backup):
        dialect.restore(backup, url_of(to))
    with refusals(to, to.name, "(key ["), dialect.reader(url_of(to)) as reader:
        reader.objects()
        for name, table in reader.tables().items():
            for _ in hash_rows(table, reader.rows(table)):
                expect(name, "a table without a name")
