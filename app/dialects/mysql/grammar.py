"""MySQL and MariaDB: what a backup file of :mod:`.dump` may say, statement by statement.

A file is data: before the first of its statements is run, each is compared with what our dumps hold, and whatever else
stands there is refused by its line. The connection takes one statement at a time (``MULTI_STATEMENTS`` is off), none of
them names another database, and rows are literals: so a restore changes nothing but the database it makes.

The bodies of views, routines, triggers and events are the app's own, and are not run by a restore.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from ...errors import BackupFailed
from .copy import NOT_LIVE
from .objects import event_with
from .parts import TOO_LONG, VARIABLE
from .statements import tokens_of

_NAME = rb"`(?:[^`]|``)++`"
_OF = rb"(?P<name>" + _NAME + rb")"
# As long pieces as can be: character by character a dump takes five times as long to be looked at.
_TEXT = rb"'[^'\\]*+(?:\\.[^'\\]*+)*+'"
_PART = VARIABLE + rb"|CONVERT\(" + VARIABLE + rb" USING utf8mb4\)"
_VALUE = rb"(?:NULL|-?[0-9]++(?:\.[0-9]++)?+|x'[0-9a-f]*+'|(?:_binary)?+" + _TEXT + rb"|" + _PART + rb")"
_ROW = rb"\((?:" + _VALUE + rb"(?:," + _VALUE + rb")*+)?\)"
_INSERT = re.compile(
    rb"(?P<head>INSERT INTO " + _OF + rb" \((?:" + _NAME + rb"(?:, " + _NAME + rb")*+)?\) VALUES )"
    rb"" + _ROW + rb"(?:," + _ROW + rb")*+",
    re.DOTALL,
)
_SET_PART = re.compile(
    rb"SET (" + VARIABLE + rb") = (?:_binary" + _TEXT + rb"|CONCAT\(\1, _binary" + _TEXT + rb"\))", re.DOTALL
)
_WHOLE = re.compile(rb"SET SESSION sql_mode = IF\(" + VARIABLE + rb" IS NULL, '" + TOO_LONG + rb"', @@sql_mode\)")
_SETVAL = re.compile(rb"DO SETVAL\(" + _OF + rb", -?[0-9]+, 0, [0-9]+\)", re.DOTALL)
_HISTOGRAM = re.compile(
    rb"ANALYZE TABLE " + _OF + rb" UPDATE HISTOGRAM ON " + _NAME + rb" WITH [0-9]+ BUCKETS(?: AUTO UPDATE)?", re.DOTALL
)
_SESSION = re.compile(rb"SET SESSION (?:sql_mode|collation_connection|time_zone) = " + _TEXT, re.DOTALL)
_DATABASE = re.compile(rb"ALTER DATABASE CHARACTER SET \w+ COLLATE \w+")

_ENGINES = frozenset({"INNODB", "SEQUENCE", "MYISAM", "ARIA", "MEMORY", "ROCKSDB"})
_NOT_IN_TABLES = frozenset(
    {"SELECT", "DIRECTORY", "CONNECTION", "UNION", "LIKE", "TEMPORARY", "WRAPPER", "TABLESPACE"}
    # What a default would do as rows are put in that leave its column out.
    | {"LOAD_FILE", "SLEEP", "BENCHMARK", "GET_LOCK", "RELEASE_LOCK", "RELEASE_ALL_LOCKS"}
)
_OBJECTS = (
    re.compile(rb"CREATE (?:ALGORITHM=\w+ )?(?:SQL SECURITY \w+ )?VIEW " + _NAME + rb"[ (]", re.DOTALL),
    re.compile(rb"CREATE (?:AGGREGATE )?(?:FUNCTION|PROCEDURE) " + _NAME + rb" ?\(", re.DOTALL),
    re.compile(
        rb"CREATE TRIGGER " + _NAME + rb" (?:BEFORE|AFTER) (?:INSERT|UPDATE|DELETE) ON " + _NAME + rb" FOR EACH ROW ",
        re.DOTALL,
    ),
)
_EVENT = re.compile(rb"CREATE EVENT " + _NAME + rb" ON SCHEDULE ", re.DOTALL)

Token = tuple[str, str]


class Grammar:
    """Compares the statements of one file, in their order: tables with their rows first, then everything with a body.

    A trigger before a row, or a function that a row could call, would be run by the restore. And a body may have a
    session of its own, in which texts end elsewhere: nothing but bodies follows the first of those.

    :param settings: statements that a dump holds letter by letter: those of its header and its footer.
    :param knows_rows: whether this very process writes the file, so that one statement of a table's rows tells how the
        others are spelled.
    """

    def __init__(self, file: str, settings: Sequence[str], *, knows_rows: bool = False) -> None:
        self._file = file
        self._settings = frozenset(text.encode() for text in settings)
        self._made: set[bytes] = set()
        self._bodies = False
        self._knows_rows, self._known_head = knows_rows, b""

    def check(self, sql: bytes, number: int, line: int) -> None:
        """:raises BackupFailed: our dumps hold no such statement there; names number and line, none of its values."""
        if not self._is_ours(sql):
            raise BackupFailed(
                f"{self._file}, line {line}: statement {number} is none that a backup of ours holds there: "
                f"{_beginning(sql)!r}.",
                hint="Nothing of it was run. Use another backup: flask db-backup --list",
            )

    def _is_ours(self, sql: bytes) -> bool:
        if self._known_head and not self._bodies and sql.startswith(self._known_head):
            return True
        if sql in self._settings:
            return True
        if _SESSION.fullmatch(sql) or _is_body(sql):
            self._bodies = True
            return True
        if self._bodies:
            return False
        if match := _INSERT.fullmatch(sql):
            is_made = match["name"] in self._made
            self._known_head = match["head"] if self._knows_rows and is_made else b""
            return is_made
        if match := _SETVAL.fullmatch(sql) or _HISTOGRAM.fullmatch(sql):
            return match["name"] in self._made
        if _SET_PART.fullmatch(sql) or _WHOLE.fullmatch(sql):
            return True
        return bool(_DATABASE.fullmatch(sql)) or self._is_table(sql)

    def _is_table(self, sql: bytes) -> bool:
        named = re.match(rb"CREATE (?:TABLE|SEQUENCE) (" + _NAME + rb") ", sql, re.DOTALL)
        if named is None:
            return False
        tokens = tokens_of(sql.decode("utf-8", "surrogateescape"))
        words = {text.upper() for kind, text in tokens if kind == "word"}
        if _NOT_IN_TABLES & words or ("other", ";") in tokens:
            return False
        if any(_is_qualified(tokens, at) or _gives_rows(tokens, at) for at in range(len(tokens))):
            return False
        engines = {tokens[at + 2][1].upper() for at in range(len(tokens) - 2) if _is_engine(tokens, at)}
        if engines <= _ENGINES:
            self._made.add(named[1])
            return True
        return False


def _is_body(sql: bytes) -> bool:
    """Whether a statement makes a view, routine, trigger or event of the database that is connected to."""
    return any(head.match(sql) for head in _OBJECTS) or (bool(_EVENT.match(sql)) and _does_not_run(sql))


def _does_not_run(sql: bytes) -> bool:
    """Whether an event is disabled as it is restored; its status stands before its comment and its body."""
    schedule, mark, _ = event_with(NOT_LIVE, sql.decode("utf-8", "surrogateescape")).partition(" DISABLE")
    # With a backslash, or a quote that is open, the server might find the status elsewhere.
    clear = "\\" not in schedule and '"' not in schedule and schedule.count("'") % 2 == 0
    words = {text.upper() for kind, text in tokens_of(schedule) if kind == "word"}
    return bool(mark) and clear and not words & {"ENABLE", "DO", "COMMENT"}


def _is_engine(tokens: list[Token], at: int) -> bool:
    return tokens[at][0] == "word" and tokens[at][1].upper() == "ENGINE" and tokens[at + 1][1] == "="


def _gives_rows(tokens: list[Token], at: int) -> bool:
    """Whether a table takes rows from its own statement: ``VALUES`` but of a partition, or another ``TABLE``."""
    if tokens[at][0] != "word" or at < 2:
        return False
    word = tokens[at][1].upper()
    following = tokens[at + 1][1].upper() if at + 1 < len(tokens) else ""
    return word == "TABLE" or (word == "VALUES" and following not in ("LESS", "IN"))


def _is_qualified(tokens: list[Token], at: int) -> bool:
    """Whether a dot stands between two names here; in a number it stands between digits."""
    if tokens[at] != ("other", ".") or not 0 < at < len(tokens) - 1:
        return False
    return not all(kind == "word" and text[:1].isdigit() for kind, text in (tokens[at - 1], tokens[at + 1]))


def _beginning(sql: bytes) -> str:
    """The first words of a statement, up to where its values may begin."""
    return re.split(r"['\"]", sql[:60].decode("utf-8", "replace"))[0][:40].rstrip()
