"""What an upgrade would lose, told before it runs over rows: by the tables at head, and what the revisions said."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from ...dialects.model import Table
from ...dialects.wording import count_of, count_rows
from ..schema.alembic import data_tables
from ..schema.declarations import Declarations
from ..schema.listen import Heard
from .losses import Undeclared, find_revision
from .verify import find_declared, follow_moves

CountValues = Callable[[Table, list[str]], Mapping[str, int]]
"""How many values that are not NULL some columns of a table hold."""


@dataclass
class Foreseen:
    """What would be gone at head.

    :ivar lost: what holds values and no revision declares: the run ends with 23.
    :ivar declared: what goes as a revision declares.
    :ivar unknown: what may have another name by then, which only its values tell.
    """

    lost: list[Undeclared] = field(default_factory=list)
    declared: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)


def foresee_losses(
    tables: Iterable[Table],
    rows: Mapping[str, int],
    count_values: CountValues,
    at_head: Mapping[str, Table],
    declared: Declarations,
    heard: Heard,
) -> Foreseen:
    """Compare tables that hold rows with those of head.

    :param tables: before the upgrade. :param rows: that each of them holds.
    :param at_head: the tables that the revisions make.
    :param heard: what the revisions said while they made them.
    """
    result, present = Foreseen(), data_tables(at_head)
    for table in tables:
        if not rows.get(table.name):
            continue
        places = [present[place] for place in follow_moves(table.name, declared) if place in present]
        if places:
            _compare_columns(table, places, present, count_values, declared, heard, result)
        else:
            what = count_rows(rows[table.name])
            _note_gone(table.name, what, f"table {table.name} ({what}) is gone", declared, heard, result)
    return result


def _compare_columns(
    table: Table,
    places: list[Table],
    present: Mapping[str, Table],
    count_values: CountValues,
    declared: Declarations,
    heard: Heard,
    result: Foreseen,
) -> None:
    here = {column for place in places for column in place.column_names}
    missing = [column for column in table.column_names if column not in here]
    renamed = {rename.old for rename in heard.renames if rename.table.lower() in ("", table.name.lower())}
    may_be_new_name = bool(here - set(table.column_names))
    for column, values in (count_values(table, missing) if missing else {}).items():
        full, what = f"{table.name}.{column}", count_of(values, "value")
        moves = [place for place in follow_moves(full, declared) if place != full and _is_there(place, present)]
        if not values or (moves and find_declared(full, declared) is None):
            continue
        if may_be_new_name and find_declared(full, declared) is None:
            if column.lower() not in renamed:
                result.unknown.append(f"whether the {what} of {full} are in a column of another name at head")
            continue
        _note_gone(full, what, f"column {full} ({what}) is gone", declared, heard, result)


def _is_there(place: str, present: Mapping[str, Table]) -> bool:
    table, _, column = place.partition(".")
    return table in present and (not column or column in present[table].column_names)


def _note_gone(name: str, what: str, text: str, declared: Declarations, heard: Heard, result: Foreseen) -> None:
    if (place := find_declared(name, declared)) is not None:
        result.declared.append(f"{name}: {what}: {declared.losses[place]}")
    else:
        result.lost.append(Undeclared(name, text, find_revision(name, heard)))
