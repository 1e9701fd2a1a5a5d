"""Definitions under the names that an upgrade gave to tables and columns."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from ...dialects import spelling
from ...dialects.model import UNNAMED, Definition
from ..schema.declarations import Declarations
from ..schema.listen import Heard
from ..schema.statements import Rename

OF_COLUMNS = (
    *("collation", "autoincrement", "generated column", "on update", "comment"),
    *("default", "not null", "column option", "histogram"),
)
"""Kinds whose name is a column's (a table's own comment has that of the table)."""
_REFERENCES = " references "


def list_renames(heard: Heard, declared: Declarations) -> list[Rename]:
    """All new names: those that were heard in their order, and those declared that nobody heard."""
    names = list(heard.renames)
    for moves in declared.moves:
        # Columns are declared under the old name of their table.
        for old, new in sorted(moves.items(), key=lambda move: "." not in move[0]):
            if len(new) == 1 and new[0].count(".") == old.count("."):
                table, _, former = old.lower().rpartition(".")
                rename = Rename(table, former, new[0].lower().rpartition(".")[2])
                if rename.old != rename.new and rename not in names:
                    names.append(rename)
    return names


def follow(definition: Definition, renames: Iterable[Rename]) -> Definition:
    """A definition under its new names, which it got one after the other."""
    for rename in renames:
        definition = _rename_column(definition, rename) if rename.table else _rename_object(definition, rename)
    return definition


def _rename_object(item: Definition, rename: Rename) -> Definition:
    is_of_table = item.table.lower() == rename.old
    is_it = item.kind not in UNNAMED and item.name.lower() == rename.old and (not item.table or not is_of_table)
    own_comment = item.kind == "comment" and item.name.lower() == rename.old and is_of_table
    return replace(
        item,
        table=rename.new if is_of_table else item.table,
        name=rename.new if is_it or own_comment else item.name,
        text=_rename_parent(item, rename, rename.old),
    )


def _rename_column(item: Definition, rename: Rename) -> Definition:
    names = {rename.old: rename.new}
    if item.table.lower() != rename.table:
        return replace(item, text=_rename_parent(item, rename, rename.table))
    child, reference, rest = item.text.partition(_REFERENCES) if item.kind == "foreign key" else (item.text, "", "")
    text = item.text if item.kind in ("comment", "default") else spelling.rename(child, names) + reference + rest
    renamed = replace(
        item,
        name=names.get(item.name.lower(), item.name) if item.kind in OF_COLUMNS else item.name,
        columns=tuple(names.get(column.lower(), column) for column in item.columns),
        text=text,
    )
    # A foreign key to its own table names its columns on both sides.
    return replace(renamed, text=_rename_parent(renamed, rename, rename.table))


def _rename_parent(item: Definition, rename: Rename, parent: str) -> str:
    """The text of a foreign key to a table that has a new name, or a column of it."""
    child, reference, rest = item.text.partition(_REFERENCES)
    if item.kind != "foreign key" or not reference or rest.split(" ", 1)[0] != parent:
        return item.text
    return child + reference + spelling.rename(rest, {rename.old: rename.new})
