"""What is wrong with rows, told in one way for every server: what kind, which table, how many, some keys."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from .wording import count_rows

SHOWN = 5
"""Keys of offending rows that are told."""


class ProblemKind(StrEnum):
    """Which kind of rule does not hold."""

    DANGLING = "foreign key"
    """Rows refer to rows that are not there."""
    RULE = "rule"
    """Rows do not pass a check, or the schema contradicts itself."""
    UNPROVED = "unproved"
    """Rows do not pass a rule of which the server itself knows that nobody ever proved it; it is for new ones."""
    DAMAGE = "damage"
    """The database itself is broken."""


AS_THEY_WERE = frozenset({ProblemKind.DANGLING, ProblemKind.UNPROVED})
"""Kinds that an app can live with: what was backed up with such rows comes back with them, and is not damaged."""


@dataclass(frozen=True)
class Problem:
    """A rule that does not hold in a database.

    :ivar table: where; an empty text where the whole database is meant.
    :ivar parent: the table that rows refer to which are not there, of :attr:`ProblemKind.DANGLING`.
    """

    kind: ProblemKind
    table: str
    text: str
    parent: str = ""

    def __str__(self) -> str:
        return self.text


def name_some(keys: Sequence[object], *, more: bool) -> str:
    """Some keys, and whether there are more."""
    return ", ".join(str(key) for key in keys) + (", ..." if more else "")


def leads_nowhere(
    columns: Sequence[str], referred: Sequence[str], child: str, parent: str, quote: Callable[[str], str]
) -> str:
    """The condition for rows that refer to nothing, by the server's own comparison; a NULL refers to nothing and may.

    :param child: what the table is called where this stands, in the server's words; ``parent`` likewise, after FROM.
    """
    filled = " AND ".join(f"{child}.{quote(name)} IS NOT NULL" for name in columns)
    pairs = zip(columns, referred, strict=True)
    equal = " AND ".join(f"p.{quote(theirs)} = {child}.{quote(name)}" for name, theirs in pairs)
    return f"{filled} AND NOT EXISTS (SELECT 1 FROM {parent} p WHERE {equal})"


def dangling(table: str, rows: int, parent: str, keys: str) -> Problem:
    """Rows of a table whose foreign key points to a row that is not there.

    :param keys: the name of the key and some values, as :func:`name_some` tells them.
    """
    refer = "refers to a row" if rows == 1 else "refer to rows"
    are = "is" if rows == 1 else "are"
    text = f"{table}: {count_rows(rows)} {refer} of {parent} that {are} not there ({keys})"
    return Problem(ProblemKind.DANGLING, table, text, parent)


def notes_of(error: BaseException) -> str:
    """What was noted of an error on its way, such as the table that was read then; with a blank before it."""
    return "".join(f" {note}" for note in getattr(error, "__notes__", ()))
