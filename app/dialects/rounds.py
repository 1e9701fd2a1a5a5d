"""What a live database has otherwise than its staging, found and brought over in rounds: words that all rooms share."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from sqlalchemy import URL

from .model import Table, Values

if TYPE_CHECKING:
    from .base import Fence


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


@dataclass
class Memory:
    """What a round tells later ones of the same two databases; each by a table's name in staging.

    :ivar middles: a value of the key's first column, in the middle of the rows, as a number.
    :ivar equal: of a table that was found to be equal: the number of the first transaction that was not seen then, and
        the number of rows.
    """

    middles: dict[str, int] = field(default_factory=dict)
    equal: dict[str, tuple[int, int]] = field(default_factory=dict)


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

    def find_all(self, pairs: Sequence[Pair], *, still: bool = False) -> list[int]:
        """As :meth:`find`, of several tables, before any row is brought over; by several sessions where that helps.

        What earlier rounds of the same :class:`Memory` found to be equal, and the server says was not written since,
        is not compared again.
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

    def catching_up(
        self, live: URL, staging: URL, keep: URL | None = None, memory: Memory | None = None
    ) -> AbstractContextManager[Round]:
        """A transaction over both, which lie on one server; it is kept where nothing was raised.

        Only ever called for a staging database of which nobody else knows.

        :param keep: a generation of staging, made by :meth:`.base.Backups.keep`: it gets what is brought over, too.
        :param memory: of the rounds before; it is of no use any more where a round was not kept.
        :raises CannotCatchUp: at its end, too.
        """

    def renew_copy(self, live: URL, copy: URL, fence: Fence, *, timeout_s: float) -> None:
        """Let a copy of the live database that was made before be what it is now.

        Only ever called while the fence is held, and where a swap does not move the old database.

        :raises LockHeld: others kept the live database locked for ``timeout_s``.
        """

    def keep_scales(self, staging: URL, tables: Sequence[Table], source: URL, unlike: URL | None = None) -> None:
        """Let decimals of staging, loaded from canonical rows, have the noughts at the end that they have elsewhere.

        Only where a server keeps them with each value, and only of numbers that are equal in rows of the same key.
        Only ever called while staging is loaded, so that no rule of it acts.

        :param source: where the rows came from.
        :param unlike: only of values that the source has otherwise than this database.
        """
