"""PostgreSQL: what of a text is quoted or commented, by the server's lexical rules (PostgreSQL manual, 4.1).

For sessions in which strings are standard ones and texts come in UTF-8; in others the server reads on elsewhere.
"""

from __future__ import annotations

import re

_OPENS = re.compile(r"""--[^\n]*|/\*|'|"(?:[^"]|"")*"|\$(?:[^\W\d]\w*)?\$""")
_COMMENT = re.compile(r"/\*|\*/")
_STANDARD = re.compile(r"'(?:[^']|'')*'")
_ESCAPED = re.compile(r"'(?:[^'\\]|\\.|'')*'", re.DOTALL)
_WORD = re.compile(r"[\w$\x80-\U0010ffff]*\Z")


def hide(text: str) -> tuple[str, bool]:
    """The text with blanks in the place of all that is quoted or commented, and whether that is sure.

    It is not where two readings are possible, as of ``1e'\\'`` and ``name'\\'``, or something is never closed.
    """
    plain, at, sure = list(text), 0, True
    while match := _OPENS.search(text, at):
        end, known = _find_end(text, match)
        sure = sure and known
        plain[match.start() : end] = " " * (end - match.start())
        at = max(end, match.start() + 1)
    return "".join(plain), sure


def _find_end(text: str, match: re.Match[str]) -> tuple[int, bool]:
    """Where what opens here ends, which is where it begins if it opens nothing."""
    opening, start = match[0], match.start()
    if opening == "/*":
        return _find_comment_end(text, start)
    if opening == "'":
        return _find_string_end(text, start)
    if opening.startswith("$"):
        before = _word_before(text, start)
        if before:  # part of a name; of a number or a parameter nobody knows
            return start, not (before[0].isdigit() or before[0] == "$")
        end = text.find(opening, match.end())
        return (len(text), False) if end < 0 else (end + len(opening), True)
    return match.end(), True


def _find_comment_end(text: str, start: int) -> tuple[int, bool]:
    """Comments lie in one another."""
    depth = 0
    for sign in _COMMENT.finditer(text, start):
        depth += 1 if sign[0] == "/*" else -1
        if not depth:
            return sign.end(), True
    return len(text), False


def _find_string_end(text: str, start: int) -> tuple[int, bool]:
    before = _word_before(text, start)
    escaped = before in ("e", "E")
    match = (_ESCAPED if escaped else _STANDARD).match(text, start)
    if match is None:
        return len(text), False
    # A word that ends in e is the name of a type, unless it begins as a number.
    doubtful = not escaped and before[-1:] in ("e", "E") and "\\" in match[0]
    return match.end(), not doubtful


def _word_before(text: str, at: int) -> str:
    match = _WORD.search(text, 0, at)
    return match[0] if match else ""
