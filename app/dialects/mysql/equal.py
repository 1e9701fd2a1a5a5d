"""MySQL and MariaDB: rows that a unique key takes for equal, because the collation of a column does."""

from __future__ import annotations

import functools
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

from ..model import Refusal, Table
from .catalogue import columns_of
from .connect import quote
from .names import target_of
from .read import Asks
from .types import Stored, reader_of

_DUPLICATE = re.compile(r"^Duplicate entry .* for key '(?:[^']*\.)?([^'.]+)'$", re.DOTALL)
_LOOKED_UP = 100
"""So many refused rows are looked after: each takes a query."""
_INDEX = (
    "SELECT s.column_name, c.collation_name, d.default_collation_name FROM information_schema.statistics s "
    "JOIN information_schema.columns c USING (table_schema, table_name, column_name) "
    "JOIN information_schema.schemata d ON d.schema_name = s.table_schema "
    "WHERE s.table_schema = %s AND s.table_name = %s AND s.index_name = %s ORDER BY s.seq_in_index"
)


def name_equal_rows(
    ask: Asks, database: str, table: Table, stored: dict[str, list[Stored]], refused: Sequence[Refusal]
) -> list[Refusal]:
    """Refusals of duplicates with the key of the row that was there, and why the server takes both for equal.

    :param ask: of a session that sees the rows which were loaded.
    """
    keys = _Keys(ask, database, table.name)
    named = [_name(keys, table, stored, one) for one in refused[:_LOOKED_UP]]
    return named + list(refused[_LOOKED_UP:])


class _Keys:
    """What the server says of a table's unique keys and of collations; each is asked for once."""

    def __init__(self, ask: Asks, database: str, table: str) -> None:
        self.ask, self.database, self._table = ask, database, table
        self._parts: dict[str, Sequence[tuple[Any, ...]]] = {}

    def parts_of(self, key: str) -> Sequence[tuple[Any, ...]]:
        """The columns of a key, each with its collation and the database's."""
        if key not in self._parts:
            self._parts[key] = self.ask(_INDEX, self.database, self._table, key)
        return self._parts[key]

    @functools.cached_property
    def collations(self) -> set[str]:
        return {name for (name,) in self.ask("SELECT collation_name FROM information_schema.collations")}


def _name(keys: _Keys, table: Table, stored: dict[str, list[Stored]], refusal: Refusal) -> Refusal:
    match = _DUPLICATE.match(refusal.message)
    parts = keys.parts_of(match[1]) if match else ()
    values = dict(zip(table.column_names, refusal.row, strict=True))
    texts = [
        (name, collation, default) for name, collation, default in parts if collation and type(values[name]) is str
    ]
    if not texts or any(name not in values or type(values[name]) not in (str, int) for name, _, _ in parts):
        return refusal
    names = [name for name, _, _ in parts]
    columns = columns_of(stored, table)
    wanted = [item for item in columns if item.name in (*names, *table.primary_key)]
    where = " AND ".join(f"{quote(name)} = %s" for name in names)
    sql = f"SELECT {', '.join(item.selected for item in wanted)} FROM {quote(table.name)} WHERE {where} LIMIT 1"
    rows = keys.ask(sql, *(values[name] for name in names))
    if not rows:
        return refusal
    other = {item.name: _read(item, value) for item, value in zip(wanted, rows[0], strict=True)}
    unlike = [(name, collation, default) for name, collation, default in texts if other[name] != values[name]]
    if not unlike:
        return refusal
    key = [other.get(name) for name in table.primary_key]
    words = "; ".join(
        _explain(keys, table.name, *one, blanks_only=_differ_in_blanks(values[one[0]], other[one[0]])) for one in unlike
    )
    return replace(refusal, message=words, equal_to=key)


def _read(item: Stored, value: Any) -> Any:
    convert = reader_of(item)
    return convert(value) if convert and value is not None else value


def _differ_in_blanks(one: str, other: str) -> bool:
    return one.rstrip(" ") == other.rstrip(" ")


def _explain(keys: _Keys, table: str, column: str, collation: str, default: str, *, blanks_only: bool) -> str:
    what = "blanks at the end" if blanks_only else "case, accents or other spellings"
    better = _find_better(keys.collations, collation, blanks_only=blanks_only)
    target = quote(target_of(keys.database) or keys.database)
    if not better:
        way = "no collation of this server tells them apart"
    elif collation == default:
        way = f"both stay with ALTER DATABASE {target} COLLATE {better} before the run"
    else:
        way = f"both stay with COLLATE {better} for it in the revision that makes it"
    return f"{table}.{column} has the collation {collation}, to which {what} do not count; {way}"


def _find_better(known: Collection[str], collation: str, *, blanks_only: bool) -> str:
    """A collation that tells such texts apart, and as few others as can be had; an empty text where there is none."""
    charset, _, rest = collation.partition("_")
    # MariaDB: utf8mb4_unicode_nopad_ci, utf8mb4_nopad_bin, utf8mb4_uca1400_nopad_ai_ci.
    stem, _, end = rest.rpartition("_")
    padded = [
        f"{charset}_{stem}_nopad_{end}".replace("__", "_"),
        f"{charset}_{rest.replace('1400_', '1400_nopad_', 1)}",
    ]
    # Those that end in _bin and are no NO PAD ones take blanks at the end for nothing, as all of MySQL's before 0900.
    exact = [f"{charset}_nopad_bin", "utf8mb4_nopad_bin", "utf8mb4_0900_bin"]
    wanted = [*padded, *exact] if blanks_only else [*exact, f"{charset}_bin", "utf8mb4_bin"]
    return next((name for name in wanted if name in known and name != collation), "")
