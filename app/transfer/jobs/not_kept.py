"""What a rollback that keeps writes cannot keep: rows and columns that the old schema has no place for, named."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...dialects.model import Table
from ...dialects.wording import count_rows
from ..proof.compare import SHOWN
from ..proof.verify import follow_moves
from ..proof.writes import Written
from ..schema.declarations import Declarations
from ..schema.statements import Rename
from ..staging.changes import Changes
from ..staging.load import describe_key

ROW = "no difference at the old revision"
COLUMN = "the old schema has no such column"


class NotKept:
    """Rows written to the live database of which nothing, or not every column, is among the changes.

    :param declared: where the old revision's tables and columns went. :param old: its tables.
    :param renames: what the downgrades gave other names, in lower case.
    :ivar items: for the report, each with some keys. :param file: where all of them are kept.
    """

    def __init__(
        self,
        changes: Changes,
        declared: Declarations,
        old: Mapping[str, Table],
        file: Path,
        renames: Sequence[Rename] = (),
    ) -> None:
        self._changes, self.file = changes, file
        self._origins: dict[str, dict[str, bool]] = {}
        self._columns: dict[str, set[str]] = {}
        for name, table in old.items():
            former = _find_former(name.lower(), "", renames)
            for place in {name.lower(), former, *_fold(follow_moves(name, declared))}:
                self._origins.setdefault(place.partition(".")[0], {})[name] = True
            for column in table.column_names:
                renamed = f"{former}.{_find_former(column.lower(), former, renames, name.lower())}"
                moved = _fold(follow_moves(f"{name}.{column}", declared))
                for place in {f"{name}.{column}".lower(), renamed, *moved}:
                    new, _, column_name = place.partition(".")
                    self._columns.setdefault(new, set()).add(column_name)
                    self._origins.setdefault(new, {}).setdefault(name, False)
        self._keys: dict[tuple[str, str], list[str]] = {}
        self._left: set[tuple[str, str]] = set()

    @property
    def items(self) -> list[dict[str, Any]]:
        return [
            {"what": what, "why": why, "rows": len(keys), "keys": keys[:SHOWN]}
            for (what, why), keys in self._keys.items()
        ]

    @property
    def rows(self) -> int:
        """How many rows are concerned."""
        return len(self._left)

    def all_keys(self) -> list[dict[str, Any]]:
        """As :attr:`items`, with every key."""
        return [{"what": what, "why": why, "keys": keys} for (what, why), keys in self._keys.items()]

    def lines(self) -> list[str]:
        """For the question."""
        return [f"Not kept:  {one['what']}: {count_rows(one['rows'])} ({', '.join(one['keys'])})" for one in self.items]

    def take(self, writes: Iterable[Written]) -> None:
        """Look at each row that was written."""
        for item in writes:
            key = describe_key(item.table, item.after or item.before or [])
            if not self._is_kept(item):
                self._add(item.table.name, ROW, key, item)
                continue
            for column in self._find_lost_columns(item):
                self._add(f"{item.table.name}.{column}", COLUMN, key, item)

    def _add(self, what: str, why: str, key: str, item: Written) -> None:
        self._keys.setdefault((what, why), []).append(key)
        self._left.add((item.table.name, key))

    def _is_kept(self, item: Written) -> bool:
        """Whether a table that this one was made of has a change of this key, or any where keys are others there."""
        for origin, same_rows in self._origins.get(item.table.name.lower(), {}).items():
            touched = self._changes.tables.get(origin)
            if touched is None:
                continue
            by_key = same_rows and len(touched.compared.primary_key) == len(item.table.primary_key) > 0
            if not by_key or self._changes.has(origin, item.key[0]):
                return True
        return False

    def _find_lost_columns(self, item: Written) -> list[str]:
        """The columns without a place in the old schema that were given a value, or another one."""
        if item.after is None:
            return []
        known = self._columns.get(item.table.name.lower(), set())
        before = item.before or [None] * len(item.after)
        values = zip(item.table.column_names, before, item.after, strict=True)
        return [name for name, old, new in values if name.lower() not in known and old != new]


def _fold(names: Iterable[str]) -> list[str]:
    return [name.lower() for name in names]


def _find_former(name: str, table: str, renames: Sequence[Rename], later_table: str = "") -> str:
    """What had a name before it was given that, by one rename after the other.

    :param table: of a column, its table's former name; ``later_table`` the one that it has now.
    """
    for rename in reversed(renames):
        if rename.new == name and rename.table in (table, later_table):
            name = rename.old
    return name
