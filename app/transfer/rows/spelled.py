"""A section of a snapshot as it is spelled: rows whose lines are these, in this order, are these rows.

To see that costs a tenth of their checksum, which has JSON in its normal form. That rows are spelled otherwise, or come
in another order, says nothing: their checksum does.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

import orjson
import xxhash

from ...dialects.model import KeyRange, LogicalType, Table, Values
from .canonical import encode_row

RANGE_BYTES = 4 << 20
"""Of lines that are compared by themselves: enough that a session and the look at the catalogue do not count."""


@dataclass(frozen=True)
class Spelled:
    """A digest over the lines of a section, without what is between them.

    :ivar places: numbers of rows with the digest up to there, the last of them at the end, so that another spelling is
        seen before all rows are read.
    :ivar size: of the lines, in bytes.
    :ivar parts: the same of ranges of the key, which together are all rows there can be; none where it is not divided.
    """

    places: tuple[tuple[int, int], ...]
    size: int = 0
    parts: tuple[tuple[KeyRange, Spelled], ...] = field(default=(), compare=False)

    def fits(self, rows: Iterator[Values]) -> bool:
        """Whether these are the very lines of rows."""
        _, digest = self.begin(rows)
        return digest is not None and self.goes_on(digest, rows)

    def begin(self, rows: Iterator[Values]) -> tuple[list[Values], xxhash.xxh3_128 | None]:
        """Take the rows of the beginning, which tell already whether others are spelled so.

        :return: these rows, and what :meth:`goes_on` takes; None where they are spelled otherwise.
        """
        number, value = self.places[0]
        rows_there, digest = list(islice(rows, number)), xxhash.xxh3_128()
        _add(digest, rows_there)
        return rows_there, digest if digest.intdigest() == value else None

    def goes_on(self, digest: xxhash.xxh3_128, rows: Iterator[Values]) -> bool:
        """Whether the rows behind the beginning are the rest; not more of them are taken than it needs to say so."""
        before = self.places[0][0]
        for number, value in self.places[1:]:
            _add(digest, islice(rows, number - before))
            if digest.intdigest() != value:
                return False
            before = number
        return next(rows, None) is None


def _add(digest: xxhash.xxh3_128, rows: Iterable[Values]) -> None:
    for line in map(encode_row, rows):
        digest.update(line)


class Spelling:
    """Makes the digest of a section while its lines are written, or read."""

    def __init__(self) -> None:
        self._digest = xxhash.xxh3_128()
        self._rows = self._parts = self._size = 0
        self._places: list[tuple[int, int]] = []

    def add(self, lines: bytes, count: int = 1) -> None:
        """Add lines, without what separates them."""
        self._digest.update(lines)
        self._rows += count
        self._size += len(lines)
        self._parts += 1
        # Each time at twice as many: a logarithm of them is kept.
        if not self._parts & (self._parts - 1):
            self._note()

    @property
    def size(self) -> int:
        """Of the lines so far, in bytes."""
        return self._size

    def finish(self) -> Spelled:
        self._note()
        return Spelled(tuple(self._places), self._size)

    def _note(self) -> None:
        self._places.append((self._rows, self._digest.intdigest()))


class KeyedSpelling:
    """Makes the digest of a section, and of ranges of its key where that is one whole number.

    :param table: whose rows they are; None for what is no row of a table.
    """

    def __init__(self, table: Table | None) -> None:
        self._whole, self._part = Spelling(), Spelling()
        self._key, self._place = _find_key(table) if table else ("", 0)
        self._above: int | None = None
        self._parts: list[tuple[KeyRange, Spelled]] = []

    def add(self, lines: bytes, count: int, last: bytes) -> None:
        """Add lines, without what separates them.

        :param last: the last of them.
        """
        self._whole.add(lines, count)
        if self._key:
            self._part.add(lines, count)
            if self._part.size >= RANGE_BYTES:
                self._end_part(orjson.loads(last)[self._place])

    def _end_part(self, key: object) -> None:
        if type(key) is not int or (self._above is not None and key <= self._above):
            # A value of another type, or another order than that of numbers: it is compared as a whole.
            self._key, self._parts = "", []
            return
        self._parts.append((KeyRange(self._key, self._above, key), self._part.finish()))
        self._above, self._part = key, Spelling()

    def finish(self) -> Spelled:
        if self._parts:
            self._parts.append((KeyRange(self._key, self._above), self._part.finish()))
        return replace(self._whole.finish(), parts=tuple(self._parts))


def _find_key(table: Table) -> tuple[str, int]:
    """The column that divides a table, and its place; an empty text where none does."""
    if len(table.primary_key) == 1:
        [key] = table.primary_key
        place = table.column_names.index(key)
        if table.columns[place].type is LogicalType.INT:
            return key, place
    return "", 0
