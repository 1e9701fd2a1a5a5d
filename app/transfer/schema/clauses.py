"""What a revision says of a column or a table in so many words: what it says, it meant.

A column has no name for its DEFAULT, its NOT NULL or its comment, so no ``DROP`` names them. Where a statement restates
a column (MySQL's ``MODIFY``), only what stands there is meant, and what is left out is lost beside the way.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from alembic.operations import ops

_DROPPED = {
    # What draws from a sequence is a DEFAULT as well.
    ("default",): ("default", "autoincrement"),
    ("not", "null"): ("not null",),
    ("identity",): ("autoincrement",),
    ("expression",): ("generated column",),
}
_OF_A_DEFAULT = ("default", "autoincrement", "generated column")
_RESTATED = {
    "collate": "collation",
    "charset": "collation",
    "character": "collation",
    "comment": "comment",
    "default": "default",
    "as": "generated column",
    "update": "on update",
}
_BEFORE_A_NAME = frozenset({"if", "exists", "only", "column"})


@dataclass(frozen=True)
class Clause:
    """A kind of definition that a revision spoke of, with its table and its name, in lower case.

    :ivar kind: an empty text for all that a column has.
    :ivar name: as in a definition; an empty text for all of the table.
    """

    kind: str
    table: str
    name: str


def find_operation_clauses(operation: ops.MigrateOperation) -> Iterator[Clause]:
    """What an operation of Alembic says by its arguments; what those restate as existing is not said to go."""
    match operation:
        case ops.AlterColumnOp():
            table, column = operation.table_name.lower(), operation.column_name.lower()
            yield from (Clause(kind, table, column) for kind in _list_altered(operation))
        case ops.DropColumnOp():
            yield Clause("", operation.table_name.lower(), operation.column_name.lower())
        case ops.CreateTableCommentOp() | ops.DropTableCommentOp():
            yield Clause("comment", operation.table_name.lower(), operation.table_name.lower())
        case ops.CreatePrimaryKeyOp():
            yield Clause("primary key", operation.table_name.lower(), "")
        case ops.DropConstraintOp() if operation.constraint_type == "primary":
            yield Clause("primary key", operation.table_name.lower(), "")
        case _:
            pass


def _list_altered(operation: ops.AlterColumnOp) -> Iterator[str]:
    if operation.modify_server_default is not False:
        yield from _OF_A_DEFAULT
    if operation.modify_nullable is not None:
        yield "not null"
    if operation.modify_comment is not False:
        yield "comment"
    if operation.kw.get("autoincrement") is not None:
        yield "autoincrement"
    if _names_a_collation(operation.modify_type):
        yield "collation"


def _names_a_collation(type_: Any) -> bool:
    return any(getattr(type_, name, None) for name in ("collation", "charset"))


def find_clauses(words: list[str]) -> Iterator[Clause]:
    """What a statement says, by its words."""
    if words[:2] == ["alter", "table"]:
        name, actions = _take_name(words[2:])
        table = name[-1] if name else ""
        for action in _split(actions):
            yield from _read_action(table, action)
    elif words[:2] == ["comment", "on"]:
        name, _ = _take_name(words[3:])
        if words[2:3] == ["column"] and len(name) > 1:
            yield Clause("comment", name[-2], name[-1])
        elif name:
            yield Clause("comment", name[-1], name[-1])


def _take_name(words: list[str]) -> tuple[list[str], list[str]]:
    """The parts of a name, and what follows it."""
    start = next((n for n, word in enumerate(words) if word not in _BEFORE_A_NAME), len(words))
    end = start + 1
    while words[end : end + 1] == ["."]:
        end += 2
    return words[start:end:2], words[end:]


def _split(words: list[str]) -> Iterator[list[str]]:
    """The actions of a statement: what stands between commas; what stands in brackets is left out."""
    action: list[str] = []
    depth = 0
    for word in [*words, ","]:
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == "," and not depth:
            yield action
            action = []
        elif not depth and word != ")":
            action.append(word)


def _read_action(table: str, action: list[str]) -> Iterator[Clause]:
    name, rest = _take_name(action[1:])
    column = name[0] if name else ""
    match action:
        case ["alter", *_]:
            yield from (Clause(kind, table, column) for kind in _list_of_column(rest))
        case ["modify" | "change", *_]:
            yield from (Clause(kind, table, column) for kind in _list_restated(rest))
        case ["drop", "primary", "key"]:
            yield Clause("primary key", table, "")
        case ["drop", "system", "versioning"] | ["remove", "partitioning"]:
            yield Clause("table option", table, "")
        case ["drop", *_] if column:
            yield Clause("", table, column)
        case ["convert" | "default" | "character" | "charset" | "collate", *_]:
            yield Clause("collation", table, "")
        case ["comment", *_]:
            yield Clause("comment", table, table)
        case ["disable" | "no", *_] if "security" in action:
            yield Clause("row security", table, table)
        case _:
            pass


def _list_of_column(words: list[str]) -> Iterator[str]:
    """Of ``ALTER COLUMN name ...``."""
    if words[:1] == ["drop"]:
        for start, kinds in _DROPPED.items():
            yield from kinds if tuple(words[1 : 1 + len(start)]) == start else ()
    if words[:2] == ["set", "default"]:
        yield from _OF_A_DEFAULT
    if "collate" in words:
        yield "collation"


def _list_restated(words: list[str]) -> Iterator[str]:
    """Of ``MODIFY name ...`` and ``CHANGE name ...``."""
    yield from (_RESTATED[word] for word in words if word in _RESTATED)
    if any(word == "null" and before != "not" for before, word in itertools.pairwise(words)):
        yield "not null"
