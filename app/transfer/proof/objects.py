"""Proof of what is not a row: everything that a schema held is there afterwards, was dropped by name, or is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace

from ...dialects.model import UNNAMED, Definition
from ...dialects.spelling import rename
from ..schema.alembic import Declarations
from ..schema.host import VERSION_TABLE
from ..schema.listen import Heard

_BY_TEXT = ("index",)
"""Named kinds that batch mode may bring back under their name as something less."""


@dataclass(frozen=True)
class Lost:
    """A definition that an upgrade took away.

    :ivar revision: the one that named it, or spoke of its table last; an empty text where none is known.
    :ivar reason: why that is accounted for; an empty text where it is not.
    """

    definition: Definition
    revision: str
    reason: str = ""

    def __str__(self) -> str:
        by = f" (revision {self.revision})" if self.revision else ""
        return f"{self.definition}: {self.reason}{by}" if self.reason else f"{self.definition} is gone{by}"


def find_missing(before: Iterable[Definition], after: Iterable[Definition]) -> list[Definition]:
    """Definitions of one database that another one does not have, whatever they are spelled like."""
    left = Counter(map(_identify, after))
    missing = []
    for definition in before:
        key = _identify(definition)
        if left[key]:
            left[key] -= 1
        else:
            missing.append(definition)
    return missing


_ALIKE = {"materialized view": "view", "procedure": "routine", "function": "routine", "type": "", "statistics": ""}
"""Kinds that another server may have otherwise; those without a notion there are only named."""
_ANYWHERE = frozenset(
    {"view", "materialized view", "trigger", "function", "procedure", "event", "virtual table", "sequence", "rule"}
    | {"policy", "type", "extension"}
)
"""Kinds whose names mean the same on every server; how the others are spelled says nothing on another one."""


def find_not_migrated(
    source: Iterable[Definition], staging: Collection[Definition], tables: Collection[str], *, same_server: bool
) -> list[Definition]:
    """What a source's schema holds and the tables that its revision makes do not.

    :param tables: those that are migrated: what belongs to another one goes without saying.
    """
    wanted = [item for item in source if not item.table or item.table in tables or item.table == item.name]
    wanted = [item for item in wanted if item.table != VERSION_TABLE and item.name != VERSION_TABLE]
    if same_server:
        missing = find_missing(wanted, staging)
        return [item for item in missing if not _has_name(item, staging) and not _is_replaced(item, staging)]
    names = {(_ALIKE.get(item.kind, item.kind), item.name.lower()) for item in staging}
    unique = {(item.table, frozenset(item.columns)) for item in staging if item.kind == "unique"}
    return [
        item
        for item in wanted
        if (item.kind in _ANYWHERE and (_ALIKE.get(item.kind, item.kind), item.name.lower()) not in names)
        or (item.kind == "unique" and item.columns and (item.table, frozenset(item.columns)) not in unique)
    ]


def _has_name(item: Definition, definitions: Iterable[Definition]) -> bool:
    """Whether a view, routine or the like is there under its name, which the server may spell otherwise."""
    if item.kind in UNNAMED or item.kind in _BY_TEXT:
        return False
    return any((item.kind, item.name.lower()) == (other.kind, other.name.lower()) for other in definitions)


def _identify(definition: Definition) -> tuple[str, ...]:
    kind, table = definition.kind, definition.table.lower()
    if kind in UNNAMED or kind == "comment":
        column = definition.columns[0].lower() if kind == "collation" and definition.columns else ""
        return kind, table, column, definition.text
    text = definition.text if kind in _BY_TEXT else ""
    return kind, table, definition.name.lower(), text


def find_lost(
    before: Collection[Definition],
    after: Collection[Definition],
    columns: Mapping[str, Collection[str]],
    heard: Heard,
    declared: Declarations,
) -> list[Lost]:
    """What an upgrade took away, each with why: dropped by name, gone with its column or table, declared, or nothing.

    :param columns: the tables of head and their columns.
    """
    names = {**heard.renamed, **_moves(declared)}
    named = {(item.kind, item.name.lower()) for item in after if item.kind not in UNNAMED}
    renamed = [_rename(item, names) for item in before]
    gone = find_missing(renamed, after)
    former = dict(zip(map(id, renamed), before, strict=True))
    lost = []
    for item in gone:
        # The server gives another text to what it renamed itself; what has a name is known by that.
        if item.kind not in (*UNNAMED, *_BY_TEXT, "comment") and (item.kind, item.name.lower()) in named:
            continue
        if not _is_replaced(item, after):
            lost.append(_account(former[id(item)], item, columns, heard, declared))
    return lost


def _is_replaced(item: Definition, definitions: Iterable[Definition]) -> bool:
    """Whether something is there that does what this did."""
    table = item.table.lower()
    others = [other for other in definitions if other.table.lower() == table]
    match item.kind:
        case "check":
            # A server spells the condition anew where it renames something in it.
            names = {other.name.lower() for other in others if other.kind == "check"}
            return bool(item.name) and item.name.lower() in names
        case "foreign key":
            # It may have got actions, and must not lose any.
            keys = [other.text for other in others if other.kind == "foreign key"]
            return any(f"{text} ".startswith(f"{item.text} on ") for text in keys)
        case "index":
            # A server drops an index that it made itself when there is another one that begins with its columns.
            indexes = [other.text for other in others if other.kind in ("index", "unique")]
            return any(f"{text} ,".startswith(f"{item.text} ,") for text in indexes)
        case _:
            return False


def _moves(declared: Declarations) -> dict[str, str]:
    """Declared moves of whole names to one other."""
    found = {}
    for moves in declared.moves:
        for old, new in moves.items():
            if len(new) == 1 and new[0].count(".") == old.count("."):
                found[old.rpartition(".")[2].lower()] = new[0].rpartition(".")[2].lower()
    return found


def _rename(item: Definition, names: Mapping[str, str]) -> Definition:
    table = item.table.lower()
    return replace(
        item,
        table=names.get(table, item.table),
        columns=tuple(names.get(column.lower(), column) for column in item.columns),
        text=item.text if item.kind == "comment" else rename(item.text, names),
    )


def _account(
    was: Definition,
    item: Definition,
    columns: Mapping[str, Collection[str]],
    heard: Heard,
    declared: Declarations,
) -> Lost:
    """Why a definition is gone; ``item`` is it under the names of head."""
    by = heard.touched.get(was.table.lower(), "")
    for key in (f"{was.kind} {was.label}", was.label, f"{was.kind} {was.name}", was.name):
        if key in declared.losses:
            return Lost(was, "", declared.losses[key])
    if revision := _find_drop(was, heard):
        return Lost(was, revision, "dropped by name")
    here = {name.lower(): {column.lower() for column in found} for name, found in columns.items()}
    table = item.table.lower()
    if table and table not in here:
        return Lost(was, by, f"gone with {was.table}")
    if gone := [column for column in item.columns if column.lower() not in here.get(table, set())]:
        return Lost(was, by, f"gone with the column {was.table}.{gone[0]}")
    return Lost(was, by)


def _find_drop(was: Definition, heard: Heard) -> str | None:
    """The revision that dropped it by name."""
    if was.kind in ("collation", "autoincrement", "generated column", "comment", "on update", "table option"):
        return None  # a column's name, or a table's, says nothing of these
    if was.name:
        return heard.dropped.get(was.name.lower())
    return heard.dropped.get(f"{was.table} {was.kind}".lower())
