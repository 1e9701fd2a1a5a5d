"""What revisions say while they run: the operations they call, the statements they send, and which revision it was.

An upgrade may drop what nobody meant to drop: SQLite's batch mode makes a table anew from what SQLAlchemy knows of it.
So what disappears is compared with what a revision named.
"""

from __future__ import annotations

import contextlib
import functools
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Any

import alembic.ddl
from alembic.operations import batch, ops
from alembic.operations.base import AbstractOperations
from sqlalchemy import Engine, event

from ...dialects.model import Definition, Table
from .clauses import Clause, find_clauses, find_operation_clauses
from .statements import (
    READS,
    WRITES,
    Rename,
    find_created,
    find_drops,
    find_renames,
    find_sources,
    find_targets,
    is_strange,
    makes_values,
    reads_rows,
    retypes,
    split,
)

COPIES = "_alembic_tmp_"
"""So begins the name of the table that batch mode copies to."""
_DDL = str(Path(alembic.ddl.__file__).parent)
_BATCH = str(Path(batch.__file__))
_RUNS_CODE = frozenset({"call", "do", "execute", "exec"})


@dataclass(frozen=True)
class Nameless:
    """A constraint that was dropped under the name that a convention gives it: in the database it may have none."""

    table: str
    kind: str
    name: str
    revision: str


@dataclass
class Heard:
    """What the revisions of one upgrade said.

    :ivar dropped: names that an operation or a statement dropped, with the revision.
    :ivar nameless: constraints that operations dropped, which may have no name in the database.
    :ivar clauses: what was said of columns and tables in so many words, with the revision.
    :ivar renames: in their order.
    :ivar touched: table or other name -> the revision that spoke of it last.
    :ivar opaque: a statement was sent of which nobody can say what it touches, such as a call.
    :ivar wrote: rows were written, other than by copying a table as batch mode does.
    :ivar written: the words of the statements that wrote rows so, or made values or rows out of others.
    :ivar read: the words of the statements that gave the revision rows, by which it may have decided what it did.
    :ivar spoken_of: what was written, or read, by a name of its own: tables, or views and parts of them.
    :ivar created: tables that were created, in lower case.
    :ivar retyped: tables of which a column was given another type, on the way at least.
    :ivar called: something was read in a way in which a function may be called.
    :ivar strange: a statement of another kind than those of which it is known what they do to rows.
    :ivar removed: the columns that operations dropped, each with its table, in lower case.
    :ivar revisions: those that were heard.
    :ivar tell: takes each revision when it is first heard of.
    """

    dropped: dict[str, str] = field(default_factory=dict)
    nameless: list[Nameless] = field(default_factory=list)
    clauses: dict[Clause, str] = field(default_factory=dict)
    renames: list[Rename] = field(default_factory=list)
    touched: dict[str, str] = field(default_factory=dict)
    opaque: bool = False
    wrote: bool = False
    written: set[str] = field(default_factory=set)
    read: set[str] = field(default_factory=set)
    spoken_of: set[str] = field(default_factory=set)
    created: set[str] = field(default_factory=set)
    retyped: set[str] = field(default_factory=set)
    called: bool = False
    strange: bool = False
    removed: set[tuple[str, str]] = field(default_factory=set)
    revisions: list[str] = field(default_factory=list)
    tell: Callable[[str], None] = field(default=lambda _revision: None, repr=False, compare=False)
    _at: str = field(default="", repr=False, compare=False)

    def hear_revision(self, revision: str) -> None:
        """Tell that another revision is at work now."""
        if revision and revision != self._at:
            self._at = revision
            self.revisions.append(revision)
            self.tell(revision)

    def find_reached(self, tables: Mapping[str, Table], definitions: Iterable[Definition]) -> set[str]:
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

    def hear_operation(self, operation: ops.MigrateOperation, revision: str) -> None:
        """Note what an operation of Alembic drops or renames by name: in batch mode no statement does."""
        self.hear_revision(revision)
        self.clauses.update(dict.fromkeys(find_operation_clauses(operation), revision))
        match operation:
            case ops.DropConstraintOp():
                kind = str(operation.constraint_type or "").replace("foreignkey", "foreign key")
                name, table = (str(part or "").lower() for part in (operation.constraint_name, operation.table_name))
                self._drop(name, revision)
                self.nameless.append(Nameless(table, kind, name, revision))
            case ops.DropIndexOp():
                self._drop(operation.index_name, revision)
            case ops.DropTableOp():
                self._drop(operation.table_name, revision)
            case ops.DropColumnOp():
                self.removed.add((str(operation.table_name).lower(), str(operation.column_name).lower()))
            case ops.RenameTableOp():
                self._rename("", operation.table_name, operation.new_table_name)
            case ops.AlterColumnOp():
                self.retyped |= {operation.table_name.lower()} if operation.modify_type is not None else set()
                if operation.modify_name:
                    self._rename(operation.table_name, operation.column_name, operation.modify_name)
            case _:
                pass

    def hear_statement(self, sql: str, revision: str, *, restates: bool = False, copies: bool = False) -> None:
        """Note what the statements of a text name, drop and rename.

        :param restates: it was made of an operation, which said by its arguments what it means to change.
        :param copies: it is batch mode's own, which copies a table's rows as they are.
        """
        self.hear_revision(revision)
        for words in split(sql):
            named = frozenset(words)
            self.touched.update(dict.fromkeys(named, revision))
            self.opaque |= bool(named & _RUNS_CODE) or _calls_a_function(words)
            self._hear_rows(words, named, copies=copies)
            self.created.update(find_created(words))
            self.retyped |= named if retypes(words, restates=restates) else frozenset()
            self.called |= words[0] in READS and "(" in words
            self.strange |= is_strange(words)
            if not restates:
                self.clauses.update(dict.fromkeys(find_clauses(words), revision))
            for name in find_drops(words):
                self._drop(name, revision)
            for rename in find_renames(words):
                if not rename.old.startswith(COPIES):
                    self._rename(rename.table, rename.old, rename.new)

    def _hear_rows(self, words: list[str], named: frozenset[str], *, copies: bool) -> None:
        """Note of which tables a statement writes or reads rows, and under what names."""
        self.wrote |= bool(named & WRITES) and not any(word.startswith(COPIES) for word in named)
        if (_writes_rows(words) and not copies) or makes_values(words):
            self.written |= named
            self.spoken_of |= {*find_targets(words), *find_sources(words)}
        if reads_rows(words):
            self.read |= named
            self.spoken_of.update(find_sources(words))

    def _drop(self, name: object, revision: str) -> None:
        if name:
            self.dropped[str(name).lower()] = revision

    def _rename(self, table: object, old: object, new: object) -> None:
        rename = Rename(*(str(name or "").lower() for name in (table, old, new)))
        # An operation and the statement that comes of it say the same.
        if rename.old != rename.new and rename not in self.renames[-1:]:
            self.renames.append(rename)


def _writes_rows(words: list[str]) -> bool:
    """Whether a statement has a word of one that writes rows, but for those that say what a foreign key does."""
    return any(word in WRITES and words[place - 1 : place] != ["on"] for place, word in enumerate(words))


def _calls_a_function(words: list[str]) -> bool:
    """Whether a statement only calls: ``SELECT fill_all()`` may write to any table."""
    return words[0] == "select" and "(" in words and "from" not in words


@contextlib.contextmanager
def listen(engine: Engine, heard: Heard, revisions: Mapping[str, str]) -> Iterator[None]:
    """Hear operations and statements for as long as this is open.

    :param revisions: file of a revision -> its id.
    """
    former = AbstractOperations.invoke

    @functools.wraps(former)
    def invoke(self: Any, operation: ops.MigrateOperation) -> Any:
        heard.hear_operation(operation, revisions.get(_list_running(revisions)[-1].co_filename, ""))
        return former(self, operation)

    def hear(_connection: Any, _cursor: Any, statement: str, *_rest: Any) -> None:
        running = _list_running(revisions)
        if revision := revisions.get(running[-1].co_filename, ""):
            copies = any(code.co_filename == _BATCH for code in running)
            heard.hear_statement(statement, revision, restates=any(map(_alters_a_column, running)), copies=copies)

    AbstractOperations.invoke = invoke  # type: ignore[method-assign] # Alembic has no event for an operation
    event.listen(engine, "before_cursor_execute", hear)
    try:
        yield
    finally:
        AbstractOperations.invoke = former  # type: ignore[method-assign]
        event.remove(engine, "before_cursor_execute", hear)


def _list_running(revisions: Mapping[str, str]) -> list[CodeType]:
    """The code that runs, the innermost first, up to that of a revision, or all where none is run."""
    frame: FrameType | None = sys._getframe(1)
    running = []
    while frame is not None:
        code = frame.f_code
        running.append(code)
        frame = None if code.co_filename in revisions else frame.f_back
    return running


def _alters_a_column(code: CodeType) -> bool:
    """Whether it is Alembic's own ``alter_column()``, which makes the statement, be it at the end of a batch."""
    return code.co_name == "alter_column" and code.co_filename.startswith(_DDL)


def find_lines(error: BaseException, revisions: Mapping[str, str]) -> list[tuple[str, int | None]]:
    """The revisions whose files an error's traceback leads through, with the line of each; the last one failed.

    :param revisions: file -> revision.
    """
    frames = traceback.extract_tb(error.__traceback__)
    files = [(str(Path(frame.filename).resolve()), frame.lineno) for frame in frames]
    return [(revisions[file], line) for file, line in files if file in revisions]
