"""PostgreSQL: ``pg_restore``'s script, read as a stream and taken apart: statements, their words, rows of COPY.

The words are those of the server's own lexer (PostgreSQL manual, 4.1; ``src/backend/parser/scan.l``) with
``standard_conforming_strings = on``. Where the two might differ, the script is refused: ``U&``, a letter or a quote
right behind a number, control characters, comments within a statement. ``pg_dump`` writes none of these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

PIECE_BYTES = 1 << 18
MOST_BYTES = 1 << 24
"""Of a statement. Rows are none."""
MOST_WORDS = 500_000

_BLANK = re.compile(rb"(?:[ \t\n\r\f]+|--[^\n\r]*)*")
_COMMENT = re.compile(rb"/\*|\*/")
_TAG = re.compile(rb"\$(?:[A-Za-z_\x80-\xff][A-Za-z0-9_\x80-\xff]*)?\$")
_WORD = re.compile(rb"[A-Za-z_\x80-\xff][A-Za-z0-9_$\x80-\xff]*")
_NUMBER = re.compile(rb"[0-9]+(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?")
_PARAMETER = re.compile(rb"\$[0-9]+")
# None of these ever tries a shorter match: what does not end is seen in one pass.
_IDENTIFIER = re.compile(rb'"[^"\0]*+(?:""[^"\0]*+)*+"')
_STRING = re.compile(rb"'[^']*+(?:''[^']*+)*+'")
# A string goes on behind a line break, and one with escapes goes on as such (manual, 4.1.2.1).
_ESCAPED = rb"'[^'\\]*+(?:(?:''|\\.)[^'\\]*+)*+'"
_ESCAPES = re.compile(
    rb"[eE]" + _ESCAPED + rb"(?:(?:[ \t\f]|--[^\n\r]*)*[\n\r](?:[ \t\n\r\f]+|--[^\n\r]*[\n\r])*" + _ESCAPED + rb")*",
    re.DOTALL,
)
# Newer versions of pg_restore write these for psql, around everything (CVE-2025-8714).
_RESTRICT = re.compile(rb"\\(?:un)?restrict [A-Za-z0-9]+\r?\n")
_SINGLE = frozenset(b"()[],;.:+-*/<>=~!@#%^&|`?")
_OPERATOR = frozenset(b"+-*/<>=~!@#%^&|`?")
_END_OF_ROWS = b"\n\\.\n"


class Unreadable(Exception):  # answered by whoever knows the file
    """The script is none that ``pg_restore`` writes; the words say why, without any of its text."""


class Word(NamedTuple):
    """A word of a statement.

    :ivar kind: ``word``, ``identifier`` (quoted), ``string``, ``number``, ``parameter`` or ``sign``.
    :ivar raw: as it stands in the script.
    """

    kind: str
    raw: bytes

    @property
    def name(self) -> bytes:
        """What a word or identifier means."""
        return self.raw[1:-1].replace(b'""', b'"') if self.kind == "identifier" else self.raw.lower()

    @property
    def content(self) -> bytes:
        """What a string means; of escapes, only that of the backslash is known.

        :raises Unreadable: it has others.
        """
        if self.raw.startswith(b"$"):
            length = self.raw.index(b"$", 1) + 1
            return self.raw[length:-length]
        text = self.raw[self.raw.index(b"'") + 1 : -1].replace(b"''", b"'")
        if self.raw[:1] in b"eE":
            if re.search(rb"\\(?!\\)", text.replace(b"\\\\", b"")) or b"'" in self.raw[2:-1].replace(b"''", b""):
                raise Unreadable("an escape sequence stands where a name is expected")
            return text.replace(b"\\\\", b"\\")
        return text


def printable(text: str) -> str:
    """A text of a stranger's, for a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)


@dataclass(frozen=True)
class Statement:
    """One statement.

    :ivar number: from 1, in the script.
    :ivar text: without the semicolon and whatever stands before the first word.
    """

    number: int
    text: bytes
    words: list[Word]

    @property
    def beginning(self) -> str:
        """Its first words, for people; no content of strings, and nothing that a terminal would obey."""
        texts = ["'...'" if word.kind == "string" else word.raw.decode(errors="replace") for word in self.words[:6]]
        return printable(" ".join(texts).replace(" . ", "."))[:80]


class Script:
    """Reads a script; what is not read yet is at most a statement or a piece of rows.

    :param read: gives at most that many bytes, and none at the end.
    """

    def __init__(self, source: Callable[[int], bytes]) -> None:
        self._read = source
        self._buffer = b""
        self._at = 0
        self._ended = False
        self._in_rows = False

    def _more(self) -> bool:
        """Read on; False at the end."""
        if self._ended:
            return False
        piece = self._read(max(PIECE_BYTES, len(self._buffer) - self._at))
        if not piece:
            self._ended = True
            return False
        self._buffer, self._at = self._buffer[self._at :] + piece, 0
        return True

    def statements(self) -> Iterator[Statement]:
        """All statements; the rows behind one are read by :meth:`rows` before the next one is asked for.

        :raises Unreadable: see there.
        """
        number = 0
        while self._at_statement():
            number += 1
            yield self._statement(number)
            if self._in_rows:
                raise Unreadable(f"the rows behind statement {number} were not read")

    def _at_statement(self) -> bool:
        """Skip what stands between statements."""
        while True:
            blank = _BLANK.match(self._buffer, self._at)
            end = blank.end() if blank else self._at
            rest = len(self._buffer) - end
            # A comment may go on, and the line of a command to psql is short.
            if rest < 256 and self._more():
                continue
            self._at = end
            if restrict := _RESTRICT.match(self._buffer, self._at):
                self._at = restrict.end()
            elif self._buffer.startswith(b"/*", self._at):
                raise Unreadable("a comment in /* */ stands between statements")
            else:
                return rest > 0

    def _statement(self, number: int) -> Statement:
        words: list[Word] = []
        blocks = _Blocks()
        # Positions are relative to the statement's beginning: the buffer is cut there whenever more is read.
        position = 0
        while True:
            word, position = self._word(position)
            if word.raw == b";" and blocks.are_closed:
                text = self._buffer[self._at : self._at + position - 1].rstrip()
                self._at += position
                if b"\0" in text:
                    raise Unreadable(f"statement {number} holds a NUL")
                return Statement(number, text, words)
            blocks.see(word, words)
            words.append(word)
            if position > MOST_BYTES or len(words) > MOST_WORDS:
                raise Unreadable(f"statement {number} is longer than any that pg_dump writes")

    def _word(self, position: int) -> tuple[Word, int]:
        """The next word behind a position, and where it ends."""
        while True:
            at = self._at + position
            span = _scan(self._buffer, at, ended=self._ended)
            if span:
                kind, begin, end = span
                return Word(kind, self._buffer[begin:end]), end - self._at
            if len(self._buffer) - self._at > 2 * MOST_BYTES:
                raise Unreadable("a statement is longer than any that pg_dump writes")
            if not self._more() and not _scan(self._buffer, self._at + position, ended=True):
                raise Unreadable("it ends within a statement")

    def rows(self) -> Iterator[bytes]:
        """The rows behind a COPY statement, in pieces of some size; without the line that ends them.

        :raises Unreadable: they do not end.
        """
        self._in_rows = True
        while (end_of_line := self._buffer.find(b"\n", self._at)) < 0:
            if len(self._buffer) - self._at > PIECE_BYTES or not self._more():
                raise Unreadable("no rows stand behind a COPY statement")
        if self._buffer[self._at : end_of_line].strip():
            raise Unreadable("something stands behind a COPY statement, in its line")
        # The line break counts as that before the line that ends the rows, where there are none.
        self._at = end_of_line
        first = True
        while (end := self._buffer.find(_END_OF_ROWS, self._at)) < 0:
            keep = max(len(self._buffer) - len(_END_OF_ROWS) + 1, self._at)
            if keep - self._at > 1:
                yield self._buffer[self._at + first : keep]
                self._at, first = keep, False
            if not self._more():
                raise Unreadable("it ends within rows")
        if end + 1 > self._at + first:
            yield self._buffer[self._at + first : end + 1]
        self._at = end + len(_END_OF_ROWS)
        self._in_rows = False


class _Blocks:
    """Parentheses, and ``BEGIN ATOMIC ... END`` of a function in standard SQL, within which semicolons end nothing."""

    def __init__(self) -> None:
        self._parentheses = 0
        self._ends = 0

    @property
    def are_closed(self) -> bool:
        return self._parentheses <= 0 and self._ends <= 0

    def see(self, word: Word, before: list[Word]) -> None:
        if word.kind == "sign":
            self._parentheses += (word.raw == b"(") - (word.raw == b")")
        if word.kind != "word" or not before or before[0].name != b"create":
            return
        name = word.name
        if name == b"atomic" and before[-1].name == b"begin" and self._parentheses == 0:
            self._ends += 1
        elif self._ends:
            self._ends += (name == b"case") - (name == b"end")


def _scan(buffer: bytes, at: int, *, ended: bool) -> tuple[str, int, int] | None:
    """Kind, beginning and end of the next word; None where the buffer ends before that is certain.

    :raises Unreadable: see there.
    """
    while at < len(buffer) and buffer[at] in b" \t\n\r\f":
        at += 1
    # What a word is may depend on the two bytes behind it.
    if at >= len(buffer) or (not ended and at + 3 > len(buffer)):
        return None
    kind, end = _one(buffer, at, ended=ended)
    if end is None or (end >= len(buffer) and not ended):
        return None
    return kind, at, end


def _one(buffer: bytes, at: int, *, ended: bool) -> tuple[str, int | None]:
    """Kind and end of the word that begins here."""
    two = buffer[at : at + 2].lower()
    if two in (b"--", b"/*"):
        raise Unreadable("a comment stands within a statement")
    if buffer[at : at + 3].lower() in (b"u&'", b'u&"'):
        raise Unreadable("a text or name is written with U&")
    if two == b"e'":
        return "string", _end_of_escapes(buffer, at, ended=ended)
    if two in (b"b'", b"x'", b"n'"):
        return "string", _end(_STRING, buffer, at + 1)
    if two[:1] == b"'":
        return "string", _end(_STRING, buffer, at)
    if two[:1] == b'"':
        return "identifier", _end(_IDENTIFIER, buffer, at)
    if two[:1] == b"$":
        return _dollar(buffer, at)
    return _plain(buffer, at)


def _plain(buffer: bytes, at: int) -> tuple[str, int]:
    """Kind and end of a word without quotes."""
    if end := _end(_WORD, buffer, at):
        return "word", end
    if end := _end(_NUMBER, buffer, at):
        if _WORD.match(buffer, end) or buffer[end : end + 1] in (b"'", b'"', b"$"):
            raise Unreadable("something stands right behind a number")
        return "number", end
    if buffer[at] in _SINGLE:
        return "sign", at + 1
    raise Unreadable("a character stands outside of texts that pg_dump never writes there; no command to psql is run")


def _end(pattern: re.Pattern[bytes], buffer: bytes, at: int) -> int | None:
    match = pattern.match(buffer, at)
    return match.end() if match else None


def _end_of_escapes(buffer: bytes, at: int, *, ended: bool) -> int | None:
    end = _end(_ESCAPES, buffer, at)
    blank = end and _end(_BLANK, buffer, end)
    # It may go on in a line that is not read yet.
    return None if blank == len(buffer) and not ended else end


def _dollar(buffer: bytes, at: int) -> tuple[str, int | None]:
    if end := _end(_PARAMETER, buffer, at):
        return "parameter", end
    tag = _TAG.match(buffer, at)
    if tag is None:
        # A tag may be cut off by the buffer's end, and is no longer than a name.
        if len(buffer) - at > 1024:
            raise Unreadable("a dollar sign begins no text")
        return "string", None
    close = buffer.find(tag[0], tag.end())
    return "string", close + len(tag[0]) if close >= 0 else None


def is_operator(word: Word) -> bool:
    """Whether a word is (a part of) an operator's name."""
    return word.kind == "sign" and word.raw[0] in _OPERATOR
