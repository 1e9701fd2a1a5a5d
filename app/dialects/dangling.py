"""Foreign keys of a staging database that are not enforced, looked at after a round brought rows over."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from .model import ForeignKey, Table, Where
from .rounds import Pair
from .samples import leads_nowhere


class Dangling:
    """A round of a server that does not look at foreign keys by itself.

    :ivar _ask: gives the rows of an answer.
    :ivar _tables: of staging. :ivar _keys: where the keys of a table's rows are remembered, by its name in staging.
    :ivar _has_lost: the tables of staging that rows went of.
    """

    _ask: Callable[..., Sequence[Any]]
    _tables: Mapping[str, Table]
    _keys: dict[str, str]
    _has_lost: set[str]

    @abstractmethod
    def _where(self, pair: Pair, alias: str = "own") -> Where:
        """Rows of staging whose keys are remembered."""

    @abstractmethod
    def _quote(self, name: str) -> str:
        """A column's name in a statement."""

    @abstractmethod
    def _place(self, name: str) -> str:
        """A table of staging in a statement, and no other one of that name."""

    def list_acted_on(self, pairs: Sequence[Pair]) -> set[str]:
        """None: foreign keys are not enforced."""
        del pairs
        return set()

    def find_dangling(self, pairs: Sequence[Pair] | None = None) -> str | None:
        """As :meth:`.rounds.Round.find_dangling`."""
        if pairs is None:
            looks = [(child, key, "") for child, table in self._tables.items() for key in table.foreign_keys]
        else:
            looks = [look for pair in pairs for look in self._list_touched(pair)]
        for child, key, more in looks:
            nowhere = leads_nowhere(key.columns, key.referred, "c", self._place(key.table), self._quote)
            if self._ask(f"SELECT 1 FROM {self._place(child)} c WHERE {nowhere}{more} LIMIT 1"):
                return f"rows of {child} refer to rows of {key.table} that are not there"
        return None

    def _list_touched(self, pair: Pair) -> Iterator[tuple[str, ForeignKey, str]]:
        """The foreign keys of a table, for the rows that were brought over, and those that lead to rows it lost."""
        name, where = pair.staged.name, self._where(pair, "c").condition
        for key in self._tables[name].foreign_keys:
            yield name, key, f" AND {where}"
        for child, table in self._tables.items() if name in self._has_lost else ():
            for key in keys_to(name, table):
                yield child, key, self._of_lost(pair, key)

    def _of_lost(self, pair: Pair, key: ForeignKey) -> str:
        """A condition: a row refers to one of the keys remembered; nothing where others are referred to than keys."""
        numbers = {theirs.lower(): f"c{number}" for number, (_, theirs) in enumerate(pair.pairs_of_key)}
        if {name.lower() for name in key.referred} != numbers.keys():
            return ""
        names = ", ".join(f"c.{self._quote(name)}" for name in key.columns)
        columns = ", ".join(numbers[name.lower()] for name in key.referred)
        return f" AND ({names}) IN (SELECT {columns} FROM {self._keys[pair.staged.name]})"

    def _may_be_left(self, pair: Pair) -> bool:
        """Whether others refer to columns of the table that may change while its key stays."""
        key = {theirs.lower() for _, theirs in pair.pairs_of_key}
        references = (one for table in self._tables.values() for one in keys_to(pair.staged.name, table))
        return any({name.lower() for name in one.referred} - key for one in references)


def keys_to(name: str, table: Table) -> list[ForeignKey]:
    """The foreign keys of a table that lead to one of a name."""
    return [key for key in table.foreign_keys if key.table.lower() == name.lower()]
