"""Which tables an upgrade carried row by row, so that what is written to them afterwards can be carried as well.

A row of such a table is a row of the new one, with the same values in the columns that were kept and one value for all
rows in those that were added. Whatever else a revision may do to rows, or could have done unheard, rules a table out:
then the whole database is copied and upgraded anew. What is decided here by words is proved by sums of the values.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path

from ...dialects.model import Definition, Table
from ...dialects.rounds import Pair
from ..schema.listen import COPIES, Heard

_RUNS_CODE = ("trigger", "rule")
_VIEWS = ("view", "materialized view")
_FUNCTIONS = ("function", "procedure")
_REACHES_AROUND = re.compile(
    r"\b(cursor|raw_connection|driver_connection|dbapi_connection|create_engine|engine_from_config|connect"
    r"|executescript|getattr|exec|eval|open|__\w+__(?<!__future__))\b|\.connection\b"
)
"""Ways for a revision to send what nobody hears."""
_ENV_SENDS = frozenset(
    ("execute", "executemany", "executescript", "exec_driver_sql", "scalar", "scalars", "cursor", "add_all", "merge")
)
"""What an ``env.py`` calls that sends statements, which are not heard as a revision's."""
_SETS = re.compile(r"\s*(PRAGMA|SET|BEGIN|START|COMMIT|ROLLBACK|SAVEPOINT|RELEASE)\b", re.IGNORECASE)
_KNOWN = frozenset(
    (
        *("__future__", "alembic", "sqlalchemy", "sqlmodel", "typing", "typing_extensions", "collections", "datetime"),
        *("decimal", "enum", "json", "math", "re", "string", "textwrap", "uuid"),
    )
)
"""Modules that send nothing by themselves."""
_CONSTANT = re.compile(
    r"(- )?\d+( \. \d+)?|\( ?(- )?\d+( \. \d+)? ?\)|true|false|null|'(?:[^']|'')*'", re.IGNORECASE | re.DOTALL
)
_CAST = re.compile(r" :: .*", re.DOTALL)


@dataclass
class RowByRow:
    """The tables of a live database before an upgrade, and what became of them.

    :ivar pairs: by the live table's name, those that were carried row by row.
    :ivar others: by the live table's name, why it was not; of these nothing may be written.
    """

    pairs: dict[str, Pair] = field(default_factory=dict)
    others: dict[str, str] = field(default_factory=dict)


def pair_same(tables: Mapping[str, Table]) -> RowByRow:
    """The tables of a database and those of a copy of it."""
    return pair(tables, tables, (), (), Heard())


def pair(
    before: Mapping[str, Table],
    after: Mapping[str, Table],
    definitions_before: Iterable[Definition],
    definitions_after: Iterable[Definition],
    heard: Heard,
) -> RowByRow:
    """Decide of each table by what was heard of the revisions, and by what the schema was and is."""
    result = RowByRow()
    were, are = list(definitions_before), list(definitions_after)
    runs_code = any(item.kind in _RUNS_CODE for item in (*were, *are))
    has_functions = any(item.kind in _FUNCTIONS for item in (*were, *are))
    rewritten = _find_written(before, after, heard)
    unknown = _speaks_of_others(
        before, after, {item.name.lower() for item in (*were, *are) if item.kind in _VIEWS}, heard
    )
    for name, table in before.items():
        if unknown:
            result.others[name] = "revisions spoke of rows by a name that is no table's"
            continue
        if heard.opaque or heard.strange or (heard.wrote and runs_code) or (heard.called and has_functions):
            result.others[name] = "revisions ran code of which nobody can say what it did"
            continue
        if _is_made_plain(table, heard, were, are):
            result.others[name] = "a column that the server computed is an ordinary one now"
            continue
        made_pair = _pair(table, after, are, heard, rewritten)
        if isinstance(made_pair, Pair):
            result.pairs[name] = made_pair
        else:
            result.others[name] = made_pair
    return result


def reaches_around(files: Iterable[Path]) -> bool:
    """Whether a revision has ways around the connection that is listened to, or uses code that may have."""
    texts = [file.read_text(encoding="utf-8", errors="replace") for file in files]
    return any(_REACHES_AROUND.search(text) or not _find_imports(text) <= _KNOWN for text in texts)


def env_sends(file: Path) -> bool:
    """Whether an ``env.py`` has ways to write rows itself: it sends more than settings and ends of transactions."""
    nodes = _parse(file.read_text(encoding="utf-8", errors="replace"))
    return not nodes or any(isinstance(node, ast.Call) and _sends(node) for node in nodes)


def _sends(call: ast.Call) -> bool:
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in _ENV_SENDS:
        return False
    text: ast.expr | None = call.args[0] if call.args else None
    while isinstance(text, ast.Call) and text.args:  # text("...")
        text = text.args[0]
    if isinstance(text, ast.JoinedStr) and text.values:
        text = text.values[0]
    return not (isinstance(text, ast.Constant) and isinstance(text.value, str) and _SETS.match(text.value))


def _parse(text: str) -> list[ast.AST]:
    """All that a module's text is made of; nothing where it is no Python."""
    try:
        return list(ast.walk(ast.parse(text)))
    except SyntaxError:
        return []


def _find_imports(text: str) -> set[str]:
    """The first words of all modules that a text imports; an unknown one where it is no Python."""
    nodes = _parse(text)
    names = [alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names]
    names += ["." * node.level + (node.module or "") for node in nodes if isinstance(node, ast.ImportFrom)]
    return {name.partition(".")[0] for name in names} if nodes else {""}


def _is_made_plain(table: Table, heard: Heard, were: list[Definition], are: list[Definition]) -> bool:
    """Whether a column that was generated is not any more: its values are those of rows that were there."""
    names, renamed = _follow(table, heard)

    def list_generated(definitions: list[Definition], name: str) -> set[str]:
        of_table = [item for item in definitions if (item.table or "").lower() == name]
        return {column.lower() for item in of_table if item.kind == "generated column" for column in item.columns}

    before = {renamed.get(name, name) for name in list_generated(were, names[0])}
    return not before <= list_generated(are, names[-1])


def _speaks_of_others(before: Mapping[str, Table], after: Mapping[str, Table], views: set[str], heard: Heard) -> bool:
    """Whether rows were written, or read, by the name of a view or of a part of a table: of which, nobody can say."""
    tables = {name.lower() for name in chain(before, after)} | heard.created
    tables |= {name for rename in heard.renames if not rename.table for name in (rename.old, rename.new)}
    return bool(heard.spoken_of - tables or views & (heard.read | heard.written))


def _find_written(before: Mapping[str, Table], after: Mapping[str, Table], heard: Heard) -> set[str]:
    """The names of tables, in lower case, whose rows revisions wrote: named, or referring to one of those."""
    rewritten = set(heard.written)
    while rewritten:
        more = {
            name.lower()
            for name, table in chain(before.items(), after.items())
            if any(key.table.lower() in rewritten for key in table.foreign_keys)
        }
        if more <= rewritten:
            break
        rewritten |= more
    return rewritten


def _pair(
    table: Table, after: Mapping[str, Table], definitions: list[Definition], heard: Heard, rewritten: set[str]
) -> Pair | str:
    """The pair of a table, or why there is none."""
    names, renamed = _follow(table, heard)
    if any(name in rewritten for name in names):
        return "revisions wrote rows"
    if any(name in heard.read for name in names):
        return "revisions read rows, and may have done something for each"
    if any(name in heard.retyped for name in names):
        return "a column of it was given another type"
    alike = [other for other in after.values() if other.name.lower() == names[-1]]
    matches = [other for other in alike if other.name == table.name] or alike
    if len(matches) != 1 or table.virtual or matches[0].virtual:
        return "it is not one table any more"
    staged = matches[0]
    if any(name in heard.dropped and f"{COPIES}{name}" not in heard.touched for name in names):
        return "a table of its name was dropped"
    columns = list(_match_columns(table, staged, renamed))
    if len(columns) < len(table.columns):
        return "columns of it are gone, or of another type"
    dropped = {column for of, column in heard.removed if of in names} | (heard.dropped.keys() - set(names))
    if any(theirs.lower() in dropped or ours.lower() in dropped for ours, theirs in columns):
        return "a column of that name was dropped"
    names_kept = {theirs for _, theirs in columns}
    added = tuple(name for name in staged.column_names if name not in names_kept)
    if not all(_is_constant(staged.name, name, definitions) for name in added):
        return "columns were added whose values are made for each row"
    key = _find_key(table, staged, dict(columns))
    return Pair(table, staged, tuple(columns), key, added) if key else "no key of it was kept"


def _follow(table: Table, heard: Heard) -> tuple[list[str], dict[str, str]]:
    """All names that a table had, the last of them its own now, and the new names of its columns; in lower case."""
    names, columns = [table.name.lower()], {name.lower(): name.lower() for name in table.column_names}
    for rename in heard.renames:
        if not rename.table and rename.old == names[-1]:
            names.append(rename.new)
        elif rename.table == names[-1]:
            columns = {first: rename.new if now == rename.old else now for first, now in columns.items()}
    return names, columns


def _match_columns(table: Table, staged: Table, renamed: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The columns that are there still, as they were."""
    for column in table.columns:
        wanted = renamed[column.name.lower()]
        matches = [
            other for other in staged.columns if other.name == column.name and wanted == column.name.lower()
        ] or [other for other in staged.columns if other.name.lower() == wanted]
        if len(matches) == 1:
            other = matches[0]
            if (other.type, other.length, other.scale) == (column.type, column.length, column.scale):
                yield column.name, other.name


def _is_constant(table: str, column: str, definitions: list[Definition]) -> bool:
    """Whether a column that was added has one value for all rows that were there, by its definition now."""
    for item in definitions:
        if item.table != table or column not in item.columns:
            continue
        if item.kind in ("autoincrement", "generated column"):
            return False
        if item.kind == "default" and not _CONSTANT.fullmatch(_CAST.sub("", item.text)):
            return False
    return True


def _find_key(table: Table, staged: Table, names: Mapping[str, str]) -> tuple[str, ...]:
    """Columns that tell one row from all others in both tables, and are never NULL."""
    theirs = {frozenset(key) for key in (staged.primary_key, *staged.unique) if key}
    for key in (table.primary_key, *table.unique):
        if key and frozenset(names[name] for name in key) in theirs:
            nullable = {column.name for column in table.columns if column.nullable}
            if key == table.primary_key or not nullable & set(key):
                return key
    return ()
