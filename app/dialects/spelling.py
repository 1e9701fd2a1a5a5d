"""SQL text free of its spelling: comments gone, names without quotes and in lower case, one blank between words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_TOKEN = re.compile(
    r"""(?P<blank>\s+|--[^\n]*|/\*.*?\*/)
    |(?P<text>[eEbBxXnN]?'(?:[^']|'')*')
    |(?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    |(?P<word>[\w$]+)
    |(?P<other>::|<=|>=|<>|!=|\|\||.)""",
    re.VERBOSE | re.DOTALL,
)


class Token(NamedTuple):
    """``kind`` is ``text``, ``quoted``, ``word`` or ``other``; ``text`` is free of spelling."""

    kind: str
    text: str


def read_tokens(sql: str) -> Iterator[Token]:
    """Take a statement apart."""
    for match in _TOKEN.finditer(sql):
        kind = str(match.lastgroup)
        if kind == "quoted":
            mark = match[0][-1]
            yield Token(kind, match[0][1:-1].replace(mark * 2, mark).lower())
        elif kind == "text":
            yield Token(kind, match[0])
        elif kind != "blank":
            yield Token(kind, match[0].lower())


def join(tokens: Iterator[Token] | list[Token]) -> str:
    """Tokens as one text."""
    return " ".join(token.text for token in tokens)


def normalise(sql: str) -> str:
    """A statement free of its spelling."""
    return join(read_tokens(sql)).removesuffix(" ;")


def rename(text: str, names: Mapping[str, str]) -> str:
    """Give words of a normalised text other names; texts in quotes stay."""
    if not names:
        return text
    return " ".join(names.get(word, word) for word in text.split(" "))
