"""PostgreSQL: the statements that ``pg_dump`` writes for one schema, and no others.

A statement is compared as its words at the outermost level, on one line: what is in parentheses is left out, and
``NAME`` stands for a name in the dumped schema, ``TEXT`` for a string, ``QUOTED`` for a quoted name. So

    CREATE TABLE public."Posts" (id integer NOT NULL, n numeric(5,2)) PARTITION BY RANGE (id)

is ``create table NAME ( ) partition by range ( )``. What stands inside, e.g. a view's query or a function's body, is
not judged here: see :mod:`.watch`.

Source: what version 15 of ``pg_dump`` and ``pg_restore`` can write (``src/bin/pg_dump/*.c``), and the additions to it
up to version 18.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import Enum

from .script import Statement, Word, is_operator

_I = r"(?:QUOTED|[a-z_][a-z0-9_$]*)"
_ANY = r"(?: .*)?"
_VALUES = r"(?:default|for values (?:in \( \)|from \( \) to \( \)|with \( \)))"
_EVENT = rf"(?:insert|delete|truncate|update(?: of {_I}(?: , {_I})*)?)"
_OPTIONS = (
    rf"(?: inherits \( \)| partition by {_I} \( \)| using {_I}| with \( \)| tablespace {_I}| server {_I}"
    r"| options \( \))*"
)
_COLUMN = (
    rf"set default .+|drop default|set statistics (?:- )?NUMBER|set storage {_I}|set compression {_I}|set not null"
    r"|set \( \)|options \( \)|add generated (?:always|by default) as identity \( \)"
)
_TABLE = (
    rf"add constraint {_I} .+|alter column {_I} (?:{_COLUMN})|attach partition NAME {_VALUES}|cluster on {_I}"
    rf"|(?:enable|disable|enable always|enable replica) (?:trigger|rule) {_I}|enable row level security"
    rf"|(?:no )?force row level security|replica identity (?:full|nothing|using index {_I})|inherit NAME|of NAME"
)
_SIMPLE = (
    "table|foreign table|view|materialized view|sequence|index|type|domain|statistics|collation|conversion"
    "|text search (?:configuration|dictionary|parser|template)"
)
_SUBJECT = (
    rf"(?:(?:{_SIMPLE}) NAME|(?:function|procedure|aggregate|operator) NAME \( \)|column NAME \. {_I}"
    rf"|constraint {_I} on (?:domain )?NAME|(?:trigger|rule|policy) {_I} on NAME"
    rf"|operator (?:class|family) NAME using {_I})"
)
_PRIVILEGE = rf"{_I}(?: \( \))?"
_SEQUENCE = r"(?: (?:as|smallint|integer|bigint|start|with|increment|by|no|minvalue|maxvalue|cache|cycle|-|NUMBER))*"

_PATTERNS = (
    r"create type NAME(?: as (?:enum |range )?\( \)| \( \))?",
    rf"create domain NAME as{_ANY}",
    rf"create (?:function|procedure) NAME \( \){_ANY}",
    r"create (?:aggregate NAME \( \)|operator NAME) \( \)",
    rf"create operator class NAME (?:default )?for type{_ANY}",
    rf"create operator family NAME using {_I}",
    r"create collation NAME \( \)",
    rf"create (?:default )?conversion NAME for TEXT to TEXT from (?:NAME|{_I}(?: \. {_I})?)",
    r"create text search (?:dictionary|configuration|parser|template) NAME \( \)",
    rf"create (?:unlogged |foreign )?table NAME(?: of \S+(?: \. {_I})?)?(?: \( \))?{_OPTIONS}",
    rf"create (?:foreign )?table NAME partition of NAME(?: \( \))? {_VALUES}{_OPTIONS}",
    r"create (?:or replace )?view NAME(?: with \( \))? as .+",
    rf"create materialized view NAME(?: using {_I})?(?: with \( \))?(?: tablespace {_I})? as .+ with no data",
    rf"create (?:unlogged )?sequence NAME{_SEQUENCE}",
    rf"create (?:unique )?index {_I} on (?:only )?NAME using .+",
    r"create statistics NAME .+",
    rf"create (?:constraint )?trigger {_I} (?:before|after|instead of) {_EVENT}(?: or {_EVENT})* on NAME .+",
    rf"create rule {_I} as on (?:select|insert|update|delete) to NAME .+",
    rf"create policy {_I} on NAME{_ANY}",
    rf"alter (?:foreign )?table (?:only )?NAME (?:{_TABLE})",
    r"alter index NAME (?:attach partition NAME|alter column NUMBER set statistics (?:- )?NUMBER)",
    rf"alter sequence NAME (?:owned by NAME \. {_I}|set (?:un)?logged)",
    rf"alter (?:(?:index|materialized view) NAME|(?:function|procedure) NAME \( \)|trigger {_I} on NAME)"
    rf" depends on extension {_I}",
    rf"alter domain NAME add constraint {_I} .+",
    rf"alter operator family NAME using {_I} add .+",
    rf"alter text search configuration NAME add mapping for {_I}(?: , {_I})* with .+",
    r"alter statistics NAME set statistics (?:- )?NUMBER",
    rf"comment on {_SUBJECT} is (?:TEXT|null)",
    rf"security label for (?:TEXT|{_I}) on {_SUBJECT} is TEXT",
    rf"(?:grant|revoke(?: grant option for)?) {_PRIVILEGE}(?: , {_PRIVILEGE})*"
    rf" on (?:(?:table|sequence|type) )?NAME (?:to|from) (?:group )?{_I}(?: with grant option)?",
    rf"(?:grant|revoke(?: grant option for)?) (?:all|execute) on (?:function|procedure) NAME \( \)"
    rf" (?:to|from) (?:group )?{_I}(?: with grant option)?",
    r"refresh materialized view NAME",
)
_RUN = re.compile("|".join(f"(?:{pattern})" for pattern in _PATTERNS))
# No pattern above names several objects or actions, but these commas would.
_ONE_ONLY = re.compile(r"(?:alter (?:foreign )?table|create (?:unlogged )?sequence) .* ,")
_AUTHORIZATION = re.compile(rf"set session authorization (?:TEXT|{_I})|reset session authorization")
_FUNCTION = re.compile(r"create (?:function|procedure) ")
_SETVAL = re.compile(r"setval \( TEXT , (?:- )?NUMBER , (?:true|false) \)")
_SETTING = re.compile(r"set [a-z_]+ = .*")

_ENCODING = re.compile(
    rb"UTF8|SQL_ASCII|LATIN\d+|ISO_8859_\d|WIN\d+|KOI8[RU]|EUC_(?:JP|CN|KR|TW|JIS_2004)", re.IGNORECASE
)
"""In these no byte of a letter looks like a quote or a backslash (manual, 24.3)."""
_NUMBER = re.compile(rb"\d+(?:ms|s|min)?")
_NAME = re.compile(rb"[a-z_][a-z0-9_$]*", re.IGNORECASE)
_ANYTHING = re.compile(rb".*", re.DOTALL)
_OURS: dict[bytes, re.Pattern[bytes]] = {
    b"statement_timeout": _NUMBER,
    b"lock_timeout": _NUMBER,
    b"idle_in_transaction_session_timeout": _NUMBER,
    b"transaction_timeout": _NUMBER,
    b"standard_conforming_strings": re.compile(rb"on"),
    b"escape_string_warning": re.compile(rb"on|off"),
    b"check_function_bodies": re.compile(rb"false"),
    b"client_min_messages": _NAME,
    b"row_security": re.compile(rb"on|off"),
    b"default_with_oids": re.compile(rb"false"),
}
"""Settings that are as we have them, whatever a dump says."""
_SENT: dict[bytes, re.Pattern[bytes]] = {
    b"client_encoding": _ENCODING,
    b"xmloption": re.compile(rb"content|document"),
    b"default_tablespace": _ANYTHING,
    b"default_table_access_method": _NAME,
}
_IN_TEXT = re.compile(rb'(?:([a-z_\x80-\xff][a-z0-9_$\x80-\xff]*)|"((?:[^"]|"")+)")', re.DOTALL)


class Forbidden(Exception):  # answered by whoever knows the file
    """A statement that ``pg_dump`` does not write; the words name it."""

    def __init__(self, statement: Statement, why: str = "is none that pg_dump writes for one schema") -> None:
        super().__init__(f"statement {statement.number} ({statement.beginning}) {why}")


class Act(Enum):
    """What is to be done with a statement."""

    LEAVE = "leave"
    RUN = "run"
    COPY = "copy"


@dataclass
class Filter:
    """Decides on one script's statements, in their order.

    :ivar schema: the dumped one.
    :ivar taboo: names that no statement may hold.
    :ivar languages: those that any user may write functions in.
    :ivar known: whether a function in another language, with its link file and source, is in the database already.
    """

    schema: str
    taboo: Collection[str] = ()
    languages: Collection[str] = ("sql", "plpgsql")
    known: Callable[[str, str, str], bool] = lambda *_: False

    def decide(self, statement: Statement) -> Act:
        """:raises Forbidden: it is not allowed.

        :raises Unreadable: a name cannot be read.
        """
        if any(name.encode() in statement.text for name in self.taboo):
            raise Forbidden(statement, "holds a name that no dump holds")
        line = self._line(statement.words)
        if _RUN.fullmatch(line) and not _ONE_ONLY.match(line):
            if _FUNCTION.match(line):
                self._check_language(statement)
            return Act.RUN
        return self._decide_further(statement, line)

    def _decide_further(self, statement: Statement, line: str) -> Act:
        words = statement.words
        if _AUTHORIZATION.fullmatch(line):
            # Around grants by others than the owner. They are made by the owner: nobody else may enter the schema yet.
            return Act.LEAVE
        if _SETTING.fullmatch(line):
            return self._setting(statement)
        if line.startswith("copy NAME") and self._is_copy(words):
            return Act.COPY
        if line.startswith("select pg_catalog . "):
            return self._call(statement)
        raise Forbidden(statement)

    def _line(self, words: list[Word]) -> str:
        """The words at the outermost level."""
        patterns: list[str] = []
        depth, index = 0, 0
        while index < len(words):
            word = words[index]
            depth -= word.raw in (b")", b"]")
            length = self._length_of_name(words, index) if depth == 0 else 0
            if length:
                patterns.append("NAME")
            elif depth == 0:
                patterns.append(shorten(word))
            depth += word.raw in (b"(", b"[")
            index += length or 1
        return " ".join(patterns)

    def _length_of_name(self, words: list[Word], index: int) -> int:
        """How many words a name in the dumped schema has that begins here, if any."""
        if not _is_name(words, index) or words[index].name != self.schema.encode() or not _is(words, index + 1, b"."):
            return 0
        # Three parts would begin with a database's name.
        if _is(words, index - 1, b"."):
            return 0
        if _is_name(words, index + 2):
            return 3
        length = 2
        while index + length < len(words) and is_operator(words[index + length]):
            length += 1
        return length if length > 2 else 0

    def _setting(self, statement: Statement) -> Act:
        name = statement.words[1].name
        values = statement.words[3:]
        if len(values) == 1:
            value = values[0].content if values[0].kind == "string" else values[0].name
            if (known := _OURS.get(name)) and known.fullmatch(value):
                return Act.LEAVE
            if (known := _SENT.get(name)) and known.fullmatch(value):
                return Act.RUN
        raise Forbidden(statement)

    def _is_copy(self, words: list[Word]) -> bool:
        """``COPY schema.table [(column, ...)] FROM stdin`` and nothing else; it is sent as its words."""
        rest = words[4:]
        if rest and rest[0].raw == b"(":
            close = next((index for index, word in enumerate(rest) if word.raw == b")"), 0)
            columns, commas = rest[1:close:2], rest[2:close:2]
            if not (close % 2 == 0 and columns and all(_is_name(columns, index) for index in range(len(columns)))):
                return False
            if any(word.raw != b"," for word in commas):
                return False
            rest = rest[close + 1 :]
        return [word.raw.lower() for word in rest] == [b"from", b"stdin"]

    def _call(self, statement: Statement) -> Act:
        """``set_config('search_path', '', false)``, which is ours, or ``setval`` of a sequence of the schema's."""
        words = statement.words[3:]
        line = " ".join(shorten(word) for word in words)
        if line == "set_config ( TEXT , TEXT , false )":
            is_ours = (words[2].content, words[4].content) == (b"search_path", b"")
            act = Act.LEAVE
        else:
            is_ours = _SETVAL.fullmatch(line) is not None and self._is_own(words[2].content)
            act = Act.RUN
        if is_ours:
            return act
        raise Forbidden(statement)

    def _is_own(self, text: bytes) -> bool:
        """Whether a text is the name of something in the schema."""
        schema = _IN_TEXT.match(text)
        if schema is None or text[schema.end() : schema.end() + 1] != b".":
            return False
        name = schema[1] if schema[1] is not None else schema[2].replace(b'""', b'"')
        return name == self.schema.encode() and _IN_TEXT.fullmatch(text, schema.end() + 1) is not None

    def _check_language(self, statement: Statement) -> None:
        words = _outermost(statement.words)
        place = next((index for index, word in enumerate(words) if _is(words, index, b"language")), None)
        if place is None or place + 1 >= len(words):
            raise Forbidden(statement)
        word = words[place + 1]
        language = (word.content if word.kind == "string" else word.name).decode(errors="replace")
        if language not in self.languages and not self.known(language, *_source(words)):
            raise Forbidden(
                statement,
                f"makes a function in {language}, which only a superuser may, and which is not in the database yet",
            )


def shorten(word: Word) -> str:
    """A word as the patterns spell it."""
    fixed = {"identifier": "QUOTED", "string": "TEXT", "number": "NUMBER", "parameter": "PARAMETER"}
    if word.kind in fixed:
        return fixed[word.kind]
    text = word.raw.lower()
    # What is left of the patterns' own letters, and of the blanks between words, is a name's as good as any.
    return text.decode() if text.isascii() else "QUOTED"


def _is(words: list[Word], index: int, raw: bytes) -> bool:
    return 0 <= index < len(words) and words[index].raw.lower() == raw


def _is_name(words: list[Word], index: int) -> bool:
    return index < len(words) and words[index].kind in ("word", "identifier")


def _outermost(words: list[Word]) -> list[Word]:
    outer, depth = [], 0
    for word in words:
        depth -= word.raw == b")"
        if depth == 0:
            outer.append(word)
        depth += word.raw == b"("
    return outer


def _source(words: list[Word]) -> tuple[str, str]:
    """Link file and source of a function, behind its AS."""
    place = next((index for index, word in enumerate(words) if _is(words, index, b"as")), len(words))
    strings = [word for word in words[place + 1 : place + 4 : 2] if word.kind == "string"]
    texts = [word.content.decode(errors="replace") for word in strings]
    if len(texts) > 1:
        return texts[0], texts[1]
    return "", "".join(texts)
