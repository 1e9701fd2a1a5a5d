"""What a statement of a revision drops and renames, by its words: no server is asked, no grammar is complete.

Of a form that is not known here nothing is read. Then what it took away counts as nobody's wish, and the run stops.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import groupby

from ...dialects.spelling import read_tokens

_REMEMBERED_CHARACTERS = 4096
_ENDS_A_DROP = frozenset({"on", "cascade", "restrict", "("})
_OF_A_NAME = frozenset({"if", "exists", "only", "view", "concurrently"})
"""Words between what is altered and its name; ``view`` after ``materialized``."""
_NAMED = frozenset({"constraint", "index", "key"})


@dataclass(frozen=True)
class Rename:
    """A new name, in lower case.

    :ivar table: of a column, the table that it is in; of a table or another object an empty text.
    """

    table: str
    old: str
    new: str


def split(sql: str) -> list[list[str]]:
    """The words of each statement of a text, which are not to be changed: a revision may send one for each row."""
    return list(_split(sql)) if len(sql) > _REMEMBERED_CHARACTERS else _split_again(sql)


@functools.lru_cache(64)
def _split_again(sql: str) -> list[list[str]]:
    return list(_split(sql))


def _split(sql: str) -> Iterator[list[str]]:
    for is_end, tokens in groupby(read_tokens(sql), key=lambda token: token.text == ";" and token.kind == "other"):
        if not is_end:
            yield [token.text for token in tokens]


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
