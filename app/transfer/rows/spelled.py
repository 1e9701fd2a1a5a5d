"""Rows as they are spelled: JSON texts that are spelled alike are equal, and need not be normalised to see it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from ...dialects.model import LogicalType, Table, Values
from .canonical import MODULUS, encode_row, hash_line

SAMPLE_ROWS = 100


@dataclass
class Spelled:
    """How the rows of a table are spelled; their order does not count.

    :ivar total: the sum of their lines' hashes.
    :ivar first: the hashes of some of them, so that another spelling is seen early.
    """

    rows: int = 0
    total: int = 0
    first: set[int] = field(default_factory=set)

    def add(self, row: Values) -> None:
        value = hash_line(encode_row(row))
        self.rows += 1
        self.total += value
        if self.rows <= SAMPLE_ROWS:
            self.first.add(value)

    def fits(self, rows: Iterable[Values]) -> bool:
        """Whether rows are these, spelled alike; a server that spells JSON anew is known by the first of them.

        :param rows: in the order of those that were added, or most of them are read for nothing.
        """
        other = Spelled()
        for row in rows:
            other.add(row)
            if other.rows == SAMPLE_ROWS and not other.first & self.first:
                return False
        return (other.rows, other.total % MODULUS) == (self.rows, self.total % MODULUS)


def is_worth_a_look(table: Table) -> bool:
    """Whether a checksum of a table takes longer than to see how its rows are spelled: JSON has to be normalised."""
    return any(column.type is LogicalType.JSON for column in table.columns)
