"""A read that lends its instant: other sessions, on other machines too, see what it sees, as long as it is open."""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from sqlalchemy import URL

from .model import KeyRange, Table
from .reader import Reader


@dataclass(frozen=True)
class Instant:
    """What a read sees.

    :ivar name: what its server calls it.
    :ivar server: which server that is, since it was started; another one may have an instant of the same name.
    """

    name: str
    server: str


@runtime_checkable
class Lends(Protocol):
    """A room whose server lends instants."""

    def lend(self, reader: Reader) -> Instant | None:
        """Lend the instant of a read of this room; None where it cannot be lent."""

    def divide(self, reader: Reader, table: Table, size: int) -> list[KeyRange]:
        """Ranges of a table's key, in its order, which together are all rows there can be.

        :param size: of the rows of a range, in bytes, about.
        :return: none where its key does not begin with a whole number, or it is not worth it.
        """

    def reader_at(self, url: URL, instant: Instant) -> AbstractContextManager[Reader]:
        """A read at that instant.

        :raises FerryError: the URL leads to another server, from where this runs.
        """
