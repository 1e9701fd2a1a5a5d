"""What a statement of a revision drops and renames, by its words: no server is asked, no grammar is complete.

Of a form that is not known here nothing is read. Then what it took away counts as nobody's wish, and the run stops.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby, pairwise

from ...dialects.spelling import read_tokens

_REMEMBERED_CHARACTERS = 4096
_ENDS_A_DROP = frozenset({"on", "cascade", "restrict", "("})
_OF_A_NAME = frozenset({"if", "exists", "only", "view", "concurrently"})
"""Words between what is altered and its name; ``view`` after ``materialized``."""
_NAMED = frozenset({"constraint", "index", "key"})
READS = frozenset({"select", "with", "values", "show", "explain", "describe", "desc", "pragma", "set", "analyze", "("})
"""How a statement begins that writes nothing, unless it calls a function that does."""
WRITES = frozenset({"insert", "update", "delete", "replace", "merge", "truncate"})
_NO_WRITE_BEHIND = frozenset({"for", "on", "key", "do"})
_BEFORE_A_TARGET = frozenset(
    {
        *("into", "from", "only", "table", "or", "replace", "rollback", "abort", "fail"),
        *("ignore", "low_priority", "high_priority", "delayed", "quick"),
    }
)
_CATALOGS = frozenset({"information_schema", "pg_catalog", "performance_schema", "mysql", "sys"})
_RETYPES = frozenset({"type", "modify", "change", "convert"})
_CHANGES = frozenset({"insert", "update", "delete", "alter", "create", "drop", "rename", "comment"})
_BESIDE_ROWS = frozenset({"begin", "start", "commit", "end", "rollback", "savepoint", "release", "grant", "revoke"})
_MAKES_VALUES = frozenset({"generated", "expression", "using", "virtual", "stored", "persistent"})
_DOLLARS = re.compile(r"\$\w*\$")
"""What PostgreSQL quotes the body of a block or function with."""
_BEFORE_A_STATEMENT = frozenset({"begin", "then", "else", "loop"})


@dataclass(frozen=True)
class Rename:
    """A new name, in lower case.

    :ivar table: of a column, the table that it is in; of a table or another object an empty text.
    """

    table: str
    old: str
    new: str


def split(sql: str) -> list[list[str]]:
    """The words of each statement of a text, which are not to be changed: a revision may send one for each row.

    Of a ``DO`` block there are also those of the statements behind its control words.
    """
    return list(_split(sql)) if len(sql) > _REMEMBERED_CHARACTERS else _split_again(sql)


@functools.lru_cache(64)
def _split_again(sql: str) -> list[list[str]]:
    return list(_split(sql))


def _split(sql: str) -> Iterator[list[str]]:
    spaced = _DOLLARS.sub(r" \g<0> ", sql)
    body, in_block = "", False
    for is_end, tokens in groupby(read_tokens(spaced), key=lambda token: token.text == ";" and token.kind == "other"):
        if is_end:
            continue
        words = [token.text for token in tokens]
        yield words
        in_block = in_block if body else words[0] == "do"
        if in_block:
            yield from _find_behind_control(words)
        for mark in filter(_DOLLARS.fullmatch, words) if "$" in sql else ():
            body = mark if not body else "" if mark == body else body


def _find_behind_control(words: list[str]) -> Iterator[list[str]]:
    """``IF ... THEN DROP INDEX i`` has ``DROP INDEX i``."""
    for place, word in enumerate(words):
        if word in ("alter", "drop") and place and words[place - 1] in _BEFORE_A_STATEMENT:
            yield words[place:]


def find_drops(words: list[str]) -> Iterator[str]:
    """The names that a statement drops, among words that are none."""
    starts = [0] if words[0] == "drop" else []
    if words[0] == "alter":
        starts = [place for place, word in enumerate(words) if word == "drop"]
    for start in starts:
        for word in words[start + 1 :]:
            if word in _ENDS_A_DROP or (words[0] == "alter" and word == ","):
                break
            yield word


def find_renames(words: list[str]) -> Iterator[Rename]:
    """The names that a statement gives."""
    if words[:2] == ["rename", "table"]:
        for place, word in enumerate(words):
            if word == "to" and place + 1 < len(words):
                yield Rename("", words[place - 1], _name_at(words, place + 1))
    elif words[0] == "alter" and len(words) > 3:
        yield from _find_altered(words)


def _find_altered(words: list[str]) -> Iterator[Rename]:
    start = 2
    while start < len(words) - 1 and words[start] in _OF_A_NAME:
        start += 1
    name, is_table = _name_at(words, start), words[1] == "table"
    if is_table and "change" in words[start:]:
        yield from _take(words, words.index("change", start), name, "change")
    if "rename" in words[start:]:
        place = words.index("rename", start)
        if words[place + 1 : place + 2] == ["to"]:
            yield Rename("", name, _name_at(words, place + 2))
        elif is_table:
            yield from _take(words, place, name, "rename")


def _take(words: list[str], place: int, table: str, verb: str) -> Iterator[Rename]:
    """``RENAME [COLUMN] a TO b``, ``RENAME CONSTRAINT a TO b``, or MySQL's ``CHANGE [COLUMN] a b INTEGER``."""
    kind = words[place + 1 : place + 2]
    rest = words[place + 2 :] if kind and kind[0] in (*_NAMED, "column") else words[place + 1 :]
    at = 2 if verb == "rename" else 1
    if len(rest) > at and (verb == "change" or rest[1] == "to"):
        yield Rename("" if kind and kind[0] in _NAMED else table, rest[0], rest[at])


def _name_at(words: list[str], place: int) -> str:
    """The last part of a name that begins at a place: ``public . person`` is ``person``."""
    while words[place + 1 : place + 2] == ["."] and place + 2 < len(words):
        place += 2
    return words[place] if place < len(words) else ""


def find_created(words: list[str]) -> Iterator[str]:
    """The name of a table that a statement creates."""
    if words[0] == "create" and "table" in words[:5]:
        place = words.index("table") + 1
        while words[place : place + 1] and words[place] in ("if", "not", "exists"):
            place += 1
        yield _name_at(words, place)


def find_targets(words: list[str]) -> Iterator[str]:
    """What a statement writes rows to by name, tables or not; of several in one the first, an empty text of none."""
    for place, word in enumerate(words):
        if word not in WRITES or words[max(place - 1, 0)] in _NO_WRITE_BEHIND:
            continue
        at = place + 1
        while words[at : at + 1] and words[at] in _BEFORE_A_TARGET:
            at += 1
        # A function has such a name, too.
        if words[at : at + 1] != ["("]:
            yield _name_at(words, at)


def reads_rows(words: list[str]) -> bool:
    """Whether a statement gives rows, by which a revision may decide what it does; a catalog's are of no table."""
    return words[0] in ("select", "with", "(") or (words[0] == "set" and "select" in words)


def find_sources(words: list[str]) -> Iterator[str]:
    """What a statement reads rows of by name; those of catalogs and of its own ``WITH`` are left out."""
    common = {
        first
        for first, second, third in zip(words, words[1:], words[2:], strict=False)
        if (second, third) == ("as", "(")
    }
    for place, word in enumerate(words):
        if word not in ("from", "join"):
            continue
        at = place + 1
        while words[at : at + 1] and words[at] in ("only", "lateral"):
            at += 1
        while words[at : at + 1] and words[at] != "(":
            name = _name_at(words, at)
            if name not in common and not _is_of_a_catalog(words, at):
                yield name
            at = _find_comma(words, at)


def _is_of_a_catalog(words: list[str], place: int) -> bool:
    return (words[place] in _CATALOGS and words[place + 1 : place + 2] == ["."]) or words[place].startswith(
        ("pg_", "sqlite_")
    )


def _find_comma(words: list[str], place: int) -> int:
    """Behind the comma after a name and its alias; behind all words where there is none."""
    for at in range(place + 1, min(place + 6, len(words))):
        if words[at] == ",":
            return at + 1
    return len(words)


def retypes(words: list[str], *, restates: bool) -> bool:
    """Whether a statement gives columns another type, by which values are rounded or cut.

    :param restates: it was made of an operation, which says whether it does.
    """
    if restates or words[:2] != ["alter", "table"]:
        return False
    # A column may be called so.
    return any(word in _RETYPES and words[place - 1] not in ("column", "add") for place, word in enumerate(words))


def makes_values(words: list[str]) -> bool:
    """Whether a statement fills a table by a query, or a column by an expression that is another one for each row."""
    if words[0] in ("select", "with"):
        return "into" in words
    if words[0] not in ("create", "alter"):
        return False
    pairs = set(pairwise(words))
    by_query = words[0] == "create" and "table" in words[:5] and "select" in words
    return by_query or bool(_MAKES_VALUES & set(words)) or ("as", "(") in pairs or ("default", "(") in pairs


def is_strange(words: list[str]) -> bool:
    """Whether a statement is of no kind of which it is known what it does to rows; labels get other names so, too."""
    if words[:2] in (["alter", "type"], ["drop", "type"]):
        return words[0] == "drop" or {"rename", "value"} <= set(words)
    return words[0] not in READS | _CHANGES | _BESIDE_ROWS
