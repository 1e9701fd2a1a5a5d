"""MySQL and MariaDB: a connection for the app's own code, which sends nothing that names a database out of its reach.

What a statement prepares may be put together on the server, e.g. by ``CONCAT``. So the text is asked for first, over
the same connection, looked at as any other statement is, and sent as the literal that was looked at. In a body, which
runs later, only a literal can be looked at. How the session reads names and texts is asked for when it was changed.
In a multi-byte character set such as gbk a backslash may be the second half of a character: texts then end where we do
not see it (seen on MariaDB 10.11: a statement that named the live database was sent). Those are refused, except UTF-8.

Where the app's own driver sends several statements in one text, as mysqlclient does, this one does, too. Each is looked
at by itself, what they prepare are literals, and how the session reads them is the same for all.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pymysql
from pymysql.constants import COMMAND
from pymysql.cursors import Cursor

from ..base import OutsideStaging
from .connect import quote
from .driver import Connection
from .statements import USUAL, Mode, find_reached, tokens_with_ends

_MATTERS = re.compile(r"(?i)prepare|execute|sql_mode|names|charset|character")
_OF_ROWS = ("SELECT", "SHOW", "INSERT", "UPDATE", "DELETE", "REPLACE")
"""What these count for the next statement (ROW_COUNT(), FOUND_ROWS()) a question between would take away."""
_CHANGES_READING = re.compile(r"(?i)sql_mode|names|charset|character")
_SETS_READING = re.compile(
    r"(?i)sql_mode|\bset\s+(?:names|charset|character)\b|,\s*names\s*['\"]|\bcharacter_set_client\b"
)
_READING = re.compile(r"([A-Z0-9_,]*);([a-z0-9_]+)")
_UTF8 = re.compile(r"utf8(?:mb[34])?")
_ONE_BYTE = re.compile(r"ascii|binary|latin\d|cp12\d\d|cp8\d\d|koi8[ru]")
_ENDS_A_TEXT = ("", ";", "USING", "END", "ELSE", "ELSEIF")
_OF_A_RESULT = ("description", "rowcount", "rownumber", "lastrowid", "_rows")
_RUNS_A_TEXT = "EXECUTE_PREPARED_STMT"
"""A procedure of the schema sys of both servers."""


@dataclass(frozen=True)
class Guarded:
    """Databases that no statement may name; ``folds``: names are compared without regard to case."""

    names: frozenset[str]
    folds: bool


@dataclass(frozen=True)
class Prepared:
    """Where a statement prepares a text.

    :ivar first: it does nothing else.
    :ivar name: of what is prepared; None where it is executed at once.
    :ivar source: the SQL expression for the text.
    :ivar literal: the text, where the source is one literal.
    :ivar using: what follows the source.
    """

    first: bool
    name: str | None
    source: str
    literal: str | None
    using: str


class GuardedConnection(Connection):
    """A connection that sends no statement which names one of some databases, whatever cursor it comes from.

    :ivar guarded: the names; empty as long as the connection is being made.
    :ivar folds: names are compared without regard to case.
    :ivar mode: how the session reads statements; None where a statement may have changed it.
    """

    guarded: frozenset[str] = frozenset()
    folds: bool = False
    mode: Mode | None = USUAL
    _prepares_modes: bool = False

    def query(self, sql: str | bytes, unbuffered: bool = False) -> int:
        if not self.guarded:
            return int(super().query(sql, unbuffered))
        text = sql.decode("utf-8", "surrogateescape") if isinstance(sql, bytes | bytearray) else sql
        mode = self.mode or self._ask_mode()
        statements = list(divide(text, mode)) if self.takes_several else [text]
        for statement in {text, *statements}:
            self._refuse_names(statement, mode)
        if len(statements) > 1:
            self._look_at_several(text, mode)
        elif _MATTERS.search(text):
            sql = self._rewrite_prepared(text, mode)
        return int(super().query(sql, unbuffered))

    def _look_at_several(self, text: str, mode: Mode) -> None:
        if _SETS_READING.search(text):
            raise OutsideStaging(f"it sets how texts are read among other statements: {_short(text)}")
        self._refuse_bodies(text, list(find_prepared(text, mode)), mode)
        if self._prepares_modes or _CHANGES_READING.search(text):
            self.mode = None

    def _execute_command(self, command: int, sql: Any) -> None:
        text = sql if isinstance(sql, str) else bytes(sql).decode("utf-8", "surrogateescape")
        if command == COMMAND.COM_INIT_DB and (text.lower() if self.folds else text) in self.guarded:
            raise OutsideStaging(f"it selects the database {text}")
        # The driver's own set_character_set() comes here and not to query(): what follows is to be asked about first.
        if self.guarded and text.startswith("SET NAMES"):
            self.mode = None
        super()._execute_command(command, sql)

    def _rewrite_prepared(self, text: str, mode: Mode) -> str:
        """The statement to send: what it prepares is a literal that was looked at."""
        statements = list(find_prepared(text, mode))
        if statements and statements[0].first:
            text = self._as_literal(statements[0], mode)
        else:
            self._refuse_bodies(text, statements, mode)
        word = first_word(text, mode)
        changes = bool(_CHANGES_READING.search(text))
        self._prepares_modes |= bool(statements) and changes
        if self._prepares_modes or (changes and word not in _OF_ROWS):
            self.mode = None
        return text

    def _as_literal(self, statement: Prepared, mode: Mode) -> str:
        text = self._ask(statement.source)
        self._refuse_names(text, mode)
        self._refuse_bodies(text, list(find_prepared(text, mode)), mode)
        literal = _literal(text, mode)
        if statement.name is None:
            return f"EXECUTE IMMEDIATE {literal} {statement.using}"
        return f"PREPARE {quote(statement.name)} FROM {literal}"

    def _refuse_bodies(self, text: str, statements: list[Prepared], mode: Mode) -> None:
        for one in statements:
            if one.literal is None:
                raise OutsideStaging(f"it prepares a text that is not known before it runs: {_short(one.source)}")
            if _SETS_READING.search(text):
                raise OutsideStaging(f"it prepares a text and sets how texts are read: {_short(text)}")
            self._refuse_names(one.literal, mode)
            self._refuse_bodies(one.literal, list(find_prepared(one.literal, mode)), mode)
        if any(word.upper() == _RUNS_A_TEXT for _kind, word, _end in tokens_with_ends(text, mode)):
            raise OutsideStaging(f"it runs a text by sys.{_RUNS_A_TEXT.lower()}")

    def _refuse_names(self, text: str, mode: Mode) -> None:
        if place := find_reached(text, self.guarded, folds=self.folds, mode=mode):
            raise OutsideStaging(f"it names the database {place}")

    def _ask_mode(self) -> Mode:
        # Two answers in one; what comes in another encoding, as UTF-16, does not match.
        answer = self._ask("CONCAT(@@SESSION.sql_mode, ';', @@SESSION.character_set_client)")
        match = _READING.fullmatch(answer)
        if match is None:
            raise OutsideStaging("it changed in which character set the server answers (character_set_results)")
        self._refuse_character_set(match[2])
        modes = match[1].split(",")
        self.mode = Mode("ANSI_QUOTES" in modes, "NO_BACKSLASH_ESCAPES" in modes)
        return self.mode

    def _refuse_character_set(self, name: str) -> None:
        plain = all(guarded.isascii() for guarded in self.guarded)
        if not _UTF8.fullmatch(name) and not (plain and _ONE_BYTE.fullmatch(name)):
            raise OutsideStaging(
                f"its session was set to the character set {name} (SET NAMES, SET CHARACTER SET or "
                "character_set_client), in which a statement cannot be looked at before it is sent; use utf8mb4"
            )

    def _ask(self, expression: str) -> str:
        """What an expression is on the server; ``NULL`` is what it makes of NULL in a PREPARE."""
        super().query(f"SELECT {expression}")
        result = self._result  # type: ignore[attr-defined] # PyMySQL does not type it
        rows = result.rows if result else None
        if not rows or len(rows) != 1 or len(rows[0]) != 1:
            raise OutsideStaging(f"it prepares a text that is none: {_short(expression)}")
        [[value]] = rows
        if isinstance(value, bytes):
            return value.decode("utf-8", "surrogateescape")
        return "NULL" if value is None else str(value)


def guard(connection: pymysql.Connection[Any], guarded: Guarded) -> None:
    """From here on a connection sends nothing that names one of these databases."""
    assert isinstance(connection, GuardedConnection)  # noqa: S101 # it was made as one
    connection.folds = guarded.folds
    connection.guarded = frozenset(name.lower() if guarded.folds else name for name in guarded.names)


class WholeCursor(Cursor):
    """A cursor that has run all statements of a text when ``execute()`` returns; what is fetched is of the first.

    Else an error of a later one would come up where SQLAlchemy only closes the cursor, and be lost.
    """

    def _query(self, q: Any) -> int:
        affected: int = super()._query(q)  # type: ignore[misc] # PyMySQL does not type it
        first = {name: getattr(self, name) for name in _OF_A_RESULT}
        while self.nextset():
            pass
        vars(self).update(first)
        return affected


def divide(sql: str, mode: Mode) -> Iterator[str]:
    """The statements of a text, and those of a body in it."""
    start = 0
    for kind, text, end in tokens_with_ends(sql, mode):
        if kind == "other" and text == ";":
            if piece := sql[start : end - 1].strip():
                yield piece
            start = end
    if any(True for _token in tokens_with_ends(sql[start:], mode)):
        yield sql[start:]


def first_word(sql: str, mode: Mode) -> str:
    """In upper case; empty where there is none."""
    return next((text.upper() for kind, text, _end in tokens_with_ends(sql, mode) if kind == "word"), "")


def find_prepared(sql: str, mode: Mode) -> Iterator[Prepared]:
    """Each text that a statement, or a body in it, prepares."""
    tokens = list(tokens_with_ends(sql, mode))
    words = [text.upper() if kind == "word" else text if kind == "other" else "x" for kind, text, _end in tokens]
    words += [""] * 4
    for index, word in enumerate(words):
        if word == "PREPARE" and words[index + 2] == "FROM":
            begin, name = index + 3, tokens[index + 1][1]
        elif words[index : index + 2] == ["EXECUTE", "IMMEDIATE"]:
            begin, name = index + 2, None
        else:
            continue
        start = tokens[begin - 1][2]
        using = _end_of(words, begin)
        end = tokens[min(using, len(tokens)) - 1][2]
        kind = tokens[begin][0] if begin < len(tokens) else ""
        is_literal = kind in ("text", "double") and words[begin + 1] in _ENDS_A_TEXT
        literal = tokens[begin][1] if is_literal else None
        yield Prepared(index == 0, name, sql[start:end], literal, sql[end:])


def _end_of(words: list[str], begin: int) -> int:
    """Where a USING of the statement itself stands, not of a function's arguments."""
    depth = 0
    for index in range(begin, len(words)):
        depth += {"(": 1, ")": -1}.get(words[index], 0)
        if words[index] == "USING" and not depth:
            return index
    return len(words)


def _literal(text: str, mode: Mode) -> str:
    if not mode.no_backslashes:
        text = text.replace("\\", "\\\\")
    return "'" + text.replace("'", "''") + "'"


def _short(text: str) -> str:
    return " ".join(text.split())[:120]
