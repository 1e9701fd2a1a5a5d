"""Lines of a section that follow one another, looked at together: some calls of C code for a hundred of them.

Where one of them may be no row, or a value is of no usual type, each is looked at by itself: what is refused is
what :mod:`.row_check` refuses, and it is named.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ...dialects.model import Table, Values
from .canonical import hash_line, lines_hasher
from .row_check import NotARow, row_check, rows_check


@dataclass(frozen=True)
class Batch:
    """Lines that are rows of their table, or records.

    :ivar joined: they, with a comma and a line's end between them.
    :ivar hashes: of each, as the checksum takes them.
    :ivar has_tags: a value is none of its column's type, and says so.
    """

    lines: Sequence[bytes]
    joined: bytes
    hashes: list[int]
    has_tags: bool = False


class NotRows(NotARow):
    """A line is no row of its table.

    :ivar place: of the line among those that were looked at.
    """

    def __init__(self, place: int, words: str) -> None:
        super().__init__(words)
        self.place = place


def batch_check(table: Table | None) -> Callable[[Sequence[bytes], bytes], Batch]:
    """A function (lines, the same joined) -> batch for the lines of a section.

    :param table: whose rows they are; None for records.
    :raises NotRows: by the function.
    """
    if table is None:
        return lambda lines, joined: Batch(lines, joined, list(map(hash_line, lines)))
    check_rows, check_row, hash_lines = rows_check(table), row_check(table), lines_hasher(table)

    def check(lines: Sequence[bytes], joined: bytes) -> Batch:
        rows = check_rows(lines, joined)
        if rows is not None:
            return Batch(lines, joined, hash_lines(rows, lines))
        rows = _check_each(check_row, lines)
        return Batch(lines, joined, hash_lines(rows, lines), any(dict in map(type, row) for row in rows))

    return check


def _check_each(check_row: Callable[[bytes], Values], lines: Sequence[bytes]) -> list[Values]:
    rows = []
    for place, line in enumerate(lines):
        try:
            rows.append(check_row(line))
        except NotARow as error:
            raise NotRows(place, str(error)) from error
    return rows
