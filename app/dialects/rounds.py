"""What a live database has otherwise than its staging, found and brought over in rounds: words that all rooms share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol

from sqlalchemy import URL

from .model import Table, Values


@dataclass(frozen=True)
class Pair:
    """A table of a live database, and what an upgrade made of it, row by row.

    :ivar columns: what the upgrade kept: a column's name in the live table, and its name in the new one.
    :ivar key: names in the live table of columns that are never NULL, and of which no two rows have the same.
    :ivar added: columns of the new table that the live one has not; all rows have the same values there.
    """

    live: Table
    staged: Table
    columns: tuple[tuple[str, str], ...]
    key: tuple[str, ...]
    added: tuple[str, ...] = ()

    @property
    def pairs_of_key(self) -> list[tuple[str, str]]:
        """The names of the key's columns in both tables."""
        names = dict(self.columns)
        return [(name, names[name]) for name in self.key]


class CannotCatchUp(Exception):  # an event, answered with a whole pass, which says what is wrong, if anything is
    """What was written cannot be brought into staging row by row, or it cannot be known whether it can."""


class Round(Protocol):
    """One transaction in which staging is brought to what was written to the live database, table by table."""

    def refuse(self, pair: Pair) -> None:
        """Refuse a pair of which it is not certain that a row of the one is a row of the other, byte for byte.

        :raises CannotCatchUp: says why.
        """

    def find(self, pair: Pair, *, still: bool = False) -> int:
        """Remember the keys of all rows that differ in any byte of the columns kept, or are on one side alone.

        :param still: nobody writes meanwhile, so that rows may be counted instead of looked for.
        :return: how many.
        """

    def agree(self, pair: Pair) -> bool:
        """Whether of each key remembered both have the same row, or neither has one."""

    def rows(self, pair: Pair) -> Iterator[Values]:
        """The canonical rows of staging that have a key remembered."""

    def apply(self, pairs: Sequence[Pair]) -> None:
        """Let staging have, for each key remembered, the live row, or none.

        Triggers of staging do not fire. Its rules are looked at, but foreign keys only where the server cannot do
        without.

        :raises CannotCatchUp: the server refused something; nothing of the round is kept.
        """

    def list_acted_on(self, pairs: Sequence[Pair]) -> set[str]:
        """The tables of staging that its foreign keys may change where the keys remembered are brought over."""

    def find_dangling(self, pairs: Sequence[Pair] | None = None) -> str | None:
        """A foreign key of staging that does not hold, in words; None where all do.

        :param pairs: where all held before: only what was brought over into these is looked at.
        """


class Rounds(Protocol):
    """How staging is brought to what was written meanwhile."""

    def catching_up(self, live: URL, staging: URL, keep: URL | None = None) -> AbstractContextManager[Round]:
        """A transaction over both, which lie on one server; it is kept where nothing was raised.

        Only ever called for a staging database of which nobody else knows.

        :param keep: a generation of staging, made by :meth:`.base.Backups.keep`: it gets what is brought over, too.
        :raises CannotCatchUp: at its end, too.
        """

    def keep_scales(self, staging: URL, tables: Sequence[Table], source: URL, unlike: URL | None = None) -> None:
        """Let decimals of staging, loaded from canonical rows, have the noughts at the end that they have elsewhere.

        Only where a server keeps them with each value, and only of numbers that are equal in rows of the same key.
        Only ever called while staging is loaded, so that no rule of it acts.

        :param source: where the rows came from.
        :param unlike: only of values that the source has otherwise than this database.
        """
