"""Lines of a file that anybody may have written: many at a time, and none longer than who reads them wants."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import IO, cast

READ_BYTES = 1 << 18


class TooLongLine(Exception):
    """A line is longer than it may be."""


class NoLine(Exception):
    """No further line ends."""


class BoundedLines:
    """Reads the lines of a file once, in order.

    :ivar number: of the line that was read last, or was to be.
    """

    def __init__(self, file: IO[bytes]) -> None:
        # So much as is there: what comes before a place that is damaged is read.
        self._file = cast("io.BufferedReader", file)
        self._lines: list[bytes] = []
        self._place = 0
        self._tail: list[bytes] = []
        self.number = 0

    def next(self, most_bytes: int) -> bytes:
        """The next line without its end.

        :param most_bytes: of it, its end included.
        :raises TooLongLine, NoLine: there is none.
        """
        [line] = self._take(1, most_bytes)
        return line

    def take_before(self, end: bytes, most: int, most_bytes: int) -> Sequence[bytes]:
        """Lines that follow one another, up to the one that is ``end``: none where that is the next one.

        :param most: of the lines.
        :param most_bytes: of each, its end included.
        :raises TooLongLine, NoLine: there is none, and no ``end`` either.
        """
        lines = self._take(most, most_bytes)
        if end not in lines:
            return lines
        place = lines.index(end)
        self.give_back(len(lines) - place)
        return lines[:place]

    def _take(self, most: int, most_bytes: int) -> list[bytes]:
        if self._place == len(self._lines):
            self._read(most_bytes)
        lines = self._lines[self._place : self._place + most]
        # Those behind it lie in one piece that was read.
        if len(lines[0]) >= most_bytes:
            self.number += 1
            raise TooLongLine
        self._place += len(lines)
        self.number += len(lines)
        return lines

    def give_back(self, count: int) -> None:
        """Let the last ones of the lines that were just taken be the next ones."""
        self._place -= count
        self.number -= count

    def is_at_end(self) -> bool:
        """Whether nothing more is there, not even a line that does not end."""
        if self._place == len(self._lines) and not self._tail:
            self._tail = [piece for piece in [self._file.read1(1)] if piece]
        return self._place == len(self._lines) and not self._tail

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self, most_bytes: int) -> None:
        self._lines, self._place = [], 0
        size = sum(map(len, self._tail))
        while size <= most_bytes:
            piece = self._file.read1(READ_BYTES)
            if not piece:
                self.number += 1
                raise NoLine
            size += len(piece)
            self._tail.append(piece)
            if b"\n" in piece:
                *self._lines, rest = b"".join(self._tail).split(b"\n")
                self._tail = [rest] if rest else []
                return
        self.number += 1
        raise TooLongLine
