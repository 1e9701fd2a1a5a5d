"""What revisions say while they run: the operations they call, the statements they send, and which revision it was.

An upgrade may drop what nobody meant to drop: SQLite's batch mode makes a table anew from what SQLAlchemy knows of it.
So what disappears is compared with what a revision named.
"""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from alembic.operations import ops
from alembic.operations.base import AbstractOperations
from sqlalchemy import Engine, event

from ...dialects.model import Definition, Table
from ...dialects.spelling import words_of

_DROPS = re.compile(
    r"\s*(?:DROP|CREATE\s+OR\s+REPLACE|ALTER\b.*?\bDROP|ALTER\s+(?!TABLE\b)\w+)\b", re.IGNORECASE | re.DOTALL
)
"""How a statement begins that may take away what it names. SQLAlchemy's batch drops only the table that it copied."""
COPIES = "_alembic_tmp_"
"""So begins the name of the table that batch mode copies to."""
_RUNS_CODE = frozenset({"call", "do", "execute", "exec"})
_WRITES = frozenset({"insert", "update", "delete", "replace", "merge", "truncate"})
_RENAMES = re.compile(r"\s*ALTER\s+TABLE\s+\S+\s+RENAME\s+(?:COLUMN\s+)?(\S+)\s+TO\s+(\S+?)\s*;?\s*$", re.IGNORECASE)


@dataclass
class Heard:
    """What the revisions of one upgrade said.

    :ivar dropped: names that an operation or a statement dropped, with the revision.
    :ivar renamed: columns and tables: former name -> new name.
    :ivar touched: table or other name -> the revision that spoke of it last.
    :ivar opaque: a statement was sent of which nobody can say what it touches, such as a call.
    :ivar wrote: rows were written, other than by copying a table as batch mode does.
    """

    dropped: dict[str, str] = field(default_factory=dict)
    renamed: dict[str, str] = field(default_factory=dict)
    touched: dict[str, str] = field(default_factory=dict)
    opaque: bool = False
    wrote: bool = False

    def reached(self, tables: Mapping[str, Table], definitions: Iterable[Definition]) -> set[str]:
        """The tables whose rows may be others now: spoken of, referring to one of those, or all where code ran."""
        if self.opaque or (self.wrote and any(item.kind in ("trigger", "rule") for item in definitions)):
            return set(tables)
        reached = {name for name in tables if name.lower() in self.touched}
        while self.wrote:
            more = {name for name, table in tables.items() if any(key.table in reached for key in table.foreign_keys)}
            if more <= reached:
                break
            reached |= more
        return reached

    def _drop(self, name: object, revision: str) -> None:
        if name:
            self.dropped[str(name).lower()] = revision

    def hear_operation(self, operation: ops.MigrateOperation, revision: str) -> None:
        """Note what an operation of Alembic drops or renames by name."""
        match operation:
            case ops.DropConstraintOp():
                self._drop(operation.constraint_name, revision)
                # On SQLite a constraint may have no name of its own; for this it gets that of a convention.
                kind = str(operation.constraint_type or "").replace("foreignkey", "foreign key")
                self._drop(f"{operation.table_name} {kind}", revision)
            case ops.DropIndexOp():
                self._drop(operation.index_name, revision)
            case ops.DropTableOp():
                self._drop(operation.table_name, revision)
            case ops.DropColumnOp():
                self._drop(f"{operation.table_name}.{operation.column_name}", revision)
            case ops.RenameTableOp():
                self.renamed[str(operation.table_name).lower()] = str(operation.new_table_name).lower()
            case ops.AlterColumnOp() if operation.modify_name:
                self.renamed[str(operation.column_name).lower()] = str(operation.modify_name).lower()
            case _:
                pass

    def hear_statement(self, sql: str, revision: str) -> None:
        """Note what a statement names, and what it may take away."""
        words = words_of(sql)
        for word in words:
            self.touched[word] = revision
        self.opaque |= bool(words & _RUNS_CODE)
        self.wrote |= bool(words & _WRITES) and not any(word.startswith(COPIES) for word in words)
        if match := _RENAMES.match(sql):
            former, new = (part.strip('"`[]').lower() for part in match.groups())
            if not former.startswith(COPIES):
                self.renamed[former] = new
        if _DROPS.match(sql):
            for word in words:
                self.dropped[word] = revision


@contextlib.contextmanager
def listen(engine: Engine, heard: Heard, revisions: Mapping[str, str]) -> Iterator[None]:
    """Hear operations and statements for as long as this is open.

    :param revisions: file of a revision -> its id.
    """
    former = AbstractOperations.invoke

    @functools.wraps(former)
    def invoke(self: Any, operation: ops.MigrateOperation) -> Any:
        heard.hear_operation(operation, _find_revision(revisions))
        return former(self, operation)

    def hear(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        if revision := _find_revision(revisions):
            heard.hear_statement(statement, revision)

    AbstractOperations.invoke = invoke  # type: ignore[method-assign] # Alembic has no event for an operation
    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield
    finally:
        AbstractOperations.invoke = former  # type: ignore[method-assign]
        event.remove(engine, "before_cursor_execute", hear)


def _find_revision(revisions: Mapping[str, str]) -> str:
    """The revision whose file is being run; an empty text where none is."""
    frame: Any = sys._getframe(1)
    while frame is not None:
        if (revision := revisions.get(frame.f_code.co_filename)) is not None:
            return revision
        frame = frame.f_back
    return ""
