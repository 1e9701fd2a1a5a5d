"""MySQL and MariaDB: what a backup file of :mod:`.mysql_dump` may say, statement by statement.

A file is data: before the first of its statements is run, each is compared with what our dumps hold, and whatever else
stands there is refused by its line. The connection takes one statement at a time (``MULTI_STATEMENTS`` is off), none of
them names another database, and rows are literals: so a restore changes nothing but the database it makes.

The bodies of views, routines, triggers and events are the app's own, and are not run by a restore.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ..errors import BackupFailed
from .mysql_statements import tokens_of

_NAME = rb"`(?:[^`]|``)++`"
_TEXT = rb"'(?:[^'\\]|\\.)*+'"
_VALUE = rb"(?:NULL|-?[0-9]++(?:\.[0-9]++)?+|x'[0-9a-f]*+'|" + _TEXT + rb")"
_ROW = rb"\((?:" + _VALUE + rb"(?:," + _VALUE + rb")*+)?\)"
_INSERT = re.compile(
    rb"INSERT INTO (" + _NAME + rb") \((?:" + _NAME + rb"(?:, " + _NAME + rb")*+)?\) VALUES "
    rb"" + _ROW + rb"(?:," + _ROW + rb")*+",
    re.DOTALL,
)
_SETVAL = re.compile(rb"DO SETVAL\((" + _NAME + rb"), -?[0-9]+, 0, [0-9]+\)", re.DOTALL)
_SESSION = re.compile(rb"SET SESSION (?:sql_mode|collation_connection|time_zone) = " + _TEXT, re.DOTALL)
_DATABASE = re.compile(rb"ALTER DATABASE CHARACTER SET \w+ COLLATE \w+")

_ENGINES = frozenset({"INNODB", "SEQUENCE", "MYISAM", "ARIA", "MEMORY", "ROCKSDB"})
_NOT_IN_TABLES = frozenset(
    {"SELECT", "DIRECTORY", "CONNECTION", "UNION", "LIKE", "TEMPORARY", "WITH_CONNECTION", "WRAPPER", "TABLESPACE"}
)
_BEFORE_AN_OBJECT = frozenset(
    {"OR", "REPLACE", "ALGORITHM", "UNDEFINED", "MERGE", "TEMPTABLE", "SQL", "SECURITY", "DEFINER", "INVOKER", "="}
    | {"AGGREGATE"}
)
_OBJECTS = frozenset({"VIEW", "TRIGGER", "FUNCTION", "PROCEDURE", "EVENT", "PACKAGE"})

Token = tuple[str, str]


class Grammar:
    """Compares the statements of one file, in their order.

    :param settings: statements that a dump holds letter by letter: those of its header and its footer.
    """

    def __init__(self, file: str, settings: Sequence[str]) -> None:
        self._file = file
        self._settings = frozenset(text.encode() for text in settings)
        self._made: set[bytes] = set()

    def check(self, sql: bytes, number: int, line: int) -> None:
        """:raises BackupFailed: our dumps hold no such statement; names its number and line, none of its values."""
        if not self._is_ours(sql):
            raise BackupFailed(
                f"{self._file}, line {line}: statement {number} is none that a backup of ours holds: "
                f"{_beginning(sql)!r}.",
                hint="Nothing of it was run. Use another backup: flask db-backup --list",
            )

    def _is_ours(self, sql: bytes) -> bool:
        if match := _INSERT.fullmatch(sql) or _SETVAL.fullmatch(sql):
            return match[1] in self._made
        if sql in self._settings or _SESSION.fullmatch(sql) or _DATABASE.fullmatch(sql):
            return True
        if not sql.startswith(b"CREATE "):
            return False
        tokens = tokens_of(sql.decode("utf-8", "surrogateescape"))
        kind = next((text.upper() for _, text in tokens[1:] if text.upper() not in _BEFORE_AN_OBJECT), "")
        if kind in ("TABLE", "SEQUENCE"):
            return self._is_table(sql, tokens)
        return kind in _OBJECTS and _is_object(tokens, kind)

    def _is_table(self, sql: bytes, tokens: list[Token]) -> bool:
        named = re.match(rb"CREATE (?:TABLE|SEQUENCE) (" + _NAME + rb")", sql, re.DOTALL)
        words = [text.upper() for kind, text in tokens if kind == "word"]
        if named is None or _NOT_IN_TABLES & set(words) or any(text == ";" for kind, text in tokens if kind == "other"):
            return False
        if any(_is_qualified(tokens, at) for at in range(len(tokens))):
            return False
        engines = [tokens[at + 2][1].upper() for at in range(len(tokens) - 2) if _is_engine(tokens, at)]
        if not set(engines) <= _ENGINES:
            return False
        self._made.add(named[1])
        return True


def _is_engine(tokens: list[Token], at: int) -> bool:
    return tokens[at][0] == "word" and tokens[at][1].upper() == "ENGINE" and tokens[at + 1][1] == "="


def _is_qualified(tokens: list[Token], at: int) -> bool:
    """Whether a dot stands between two names here; in a number it stands between digits."""
    if tokens[at] != ("other", ".") or not 0 < at < len(tokens) - 1:
        return False
    return not all(kind == "word" and text[:1].isdigit() for kind, text in (tokens[at - 1], tokens[at + 1]))


def _is_object(tokens: list[Token], kind: str) -> bool:
    """Whether a statement makes an object of the database that is connected to, and of none of its tables."""
    at = next(index for index, (_, text) in enumerate(tokens) if text.upper() == kind) + 1
    if kind == "PACKAGE" and at < len(tokens) and tokens[at][1].upper() == "BODY":
        at += 1
    if not _is_plain_name(tokens, at):
        return False
    if kind != "TRIGGER":
        return True
    on = next((index for index, token in enumerate(tokens) if index > at and token == ("word", "ON")), len(tokens))
    return _is_plain_name(tokens, on + 1)


def _is_plain_name(tokens: list[Token], at: int) -> bool:
    if at >= len(tokens) or tokens[at][0] != "quoted":
        return False
    return at + 1 == len(tokens) or tokens[at + 1] != ("other", ".")


def _beginning(sql: bytes) -> str:
    """The first words of a statement, up to where its values may begin."""
    return re.split(r"['\"]", sql[:60].decode("utf-8", "replace"))[0][:40].rstrip()
