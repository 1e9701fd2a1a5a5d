"""SQLite: everything that a schema holds besides tables and columns, listed to be compared.

What PRAGMAs do not tell (CHECK, COLLATE, AUTOINCREMENT, WITHOUT ROWID) is read from the statement that SQLite keeps.
"""

from __future__ import annotations

import itertools
import sqlite3
from collections.abc import Iterator, Sequence

from ..model import Definition
from ..spelling import Token, join, normalise, read_tokens
from .mark import VIEW
from .names import quote

_OF_TABLES = ("constraint", "check", "unique", "primary", "foreign")
_OPTIONS = {"without rowid", "strict"}


def list_definitions(connection: sqlite3.Connection) -> list[Definition]:
    """All definitions of a database; those of SQLite's own tables left out."""
    definitions: list[Definition] = []
    rows = connection.execute(
        "SELECT m.type, m.name, m.tbl_name, m.sql, coalesce(l.type, '') FROM sqlite_schema m "
        "LEFT JOIN pragma_table_list l ON l.schema = 'main' AND l.name = m.name AND m.type = 'table' "
        "WHERE m.sql IS NOT NULL AND m.name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY m.rowid"
    ).fetchall()
    for kind, name, table, sql, detail in rows:
        if name == VIEW:
            continue
        if detail == "virtual":
            definitions.append(Definition("virtual table", name, name, text=normalise(sql)))
        elif kind == "table" and detail != "shadow":
            definitions += _of_table(connection, name, sql)
        elif kind in ("view", "trigger"):
            definitions.append(Definition(kind, "" if kind == "view" else table, name, text=normalise(sql)))
    return definitions


def _of_table(connection: sqlite3.Connection, table: str, sql: str) -> Iterator[Definition]:
    yield from _columns(connection, table)
    yield from _indexes(connection, table)
    yield from _foreign_keys(connection, table, sql)
    yield from _of_statement(table, sql)


def _columns(connection: sqlite3.Connection, table: str) -> Iterator[Definition]:
    rows = connection.execute(f"PRAGMA table_xinfo({quote(table)})").fetchall()
    for _, column, _, not_null, default, *_ in rows:
        if not_null:
            yield Definition("not null", table, column, (column,), "not null")
        if default is not None and (text := _strip_brackets(default)) != "null":
            yield Definition("default", table, column, (column,), text)
    if key := _primary_key(connection, table):
        yield Definition("primary key", table, "", tuple(key), " , ".join(key).lower())


def _strip_brackets(expression: str) -> str:
    """An expression free of its spelling, and of brackets around all of it."""
    tokens = list(read_tokens(expression))
    while tokens[:1] == [Token("other", "(")]:
        inside, rest = _split_brackets(tokens, 0)
        if rest:
            break
        tokens = inside
    return join(tokens)


def _indexes(connection: sqlite3.Connection, table: str) -> Iterator[Definition]:
    for _, name, unique, origin, partial in connection.execute(f"PRAGMA index_list({quote(table)})").fetchall():
        if origin == "pk":
            continue
        parts = connection.execute(f"PRAGMA index_xinfo({quote(name)})").fetchall()
        keys = [(column, descending, collation) for _, _, column, descending, collation, key in parts if key]
        columns = tuple(column for column, _, _ in keys if column)
        if partial or len(columns) < len(keys):
            [(statement,)] = connection.execute("SELECT sql FROM sqlite_schema WHERE name = ?", (name,)).fetchall()
            text = _after_table(statement)
        else:
            text = " , ".join(_part(*key) for key in keys)
        yield Definition("unique" if unique else "index", table, "" if origin == "u" else name, columns, text)


def _part(column: str, descending: int, collation: str) -> str:
    return f"{column.lower()}{' collate ' + collation.lower() if collation != 'BINARY' else ''}{' desc' * descending}"


def _after_table(statement: str) -> str:
    """An index's statement from its columns on."""
    tokens = list(read_tokens(statement))
    first = next((n for n, token in enumerate(tokens) if token == Token("other", "(")), 0)
    return join(tokens[first:])


def _foreign_keys(connection: sqlite3.Connection, table: str, sql: str) -> Iterator[Definition]:
    deferred = {
        (columns, parent)
        for columns, words in _clauses(sql)
        for parent, rest in _references(words)
        if _is_deferred(rest)
    }
    keys: dict[int, list[tuple[str, ...]]] = {}
    for number, _, *rest in connection.execute(f"PRAGMA foreign_key_list({quote(table)})").fetchall():
        keys.setdefault(number, []).append(tuple(str(item or "") for item in rest))
    for parts in keys.values():
        columns = tuple(part[1] for part in parts)
        parent, _, first, updated, deleted, _ = parts[0]
        actions = "".join(
            f" on {event} {action.lower()}"
            for event, action in (("update", updated), ("delete", deleted))
            if action != "NO ACTION"
        )
        referred = [part[2] for part in parts] if first else _primary_key(connection, parent)
        text = f"{' , '.join(columns)} references {parent} ( {' , '.join(referred)} ){actions}".lower()
        if (tuple(column.lower() for column in columns), parent.lower()) in deferred:
            text += " deferrable initially deferred"
        yield Definition("foreign key", table, "", columns, text)


def _primary_key(connection: sqlite3.Connection, table: str) -> list[str]:
    rows = connection.execute(f"PRAGMA table_info({quote(table)})").fetchall()
    return [column for _, column in sorted((row[5], row[1]) for row in rows if row[5])]


def _references(words: list[str]) -> Iterator[tuple[str, list[str]]]:
    """The parent of each foreign key of a column or constraint, and the words that follow."""
    starts = [place for place, word in enumerate(words) if word == "references"]
    for start, end in itertools.pairwise([*starts, len(words)]):
        if start + 1 < end:
            yield words[start + 1], words[start + 2 : end]


def _is_deferred(words: Sequence[str]) -> bool:
    """Whether a foreign key is looked at at the COMMIT; one that is NOT DEFERRABLE never is, whatever follows."""
    text = f" {' '.join(words)} "
    return " deferrable initially deferred " in text and " not deferrable " not in text


def _of_statement(table: str, sql: str) -> Iterator[Definition]:
    """What only the statement tells."""
    inside, rest = _body_of(sql)
    parts = _split(inside)
    names = {part[0].text for part in parts if part and not _is_of_table(part)}
    for part in parts:
        yield from _checks(table, part, names)
        if part and not _is_of_table(part):
            yield from _of_column(table, part)
    for option in join(rest).split(" , "):
        if option in _OPTIONS:
            yield Definition("table option", table, "", (), option)
    for columns, words in _clauses(sql):
        for place, word in enumerate(words[:-2]):
            if [word, words[place + 1]] == ["on", "conflict"] and words[place + 2] != "abort":
                what = f"{' , '.join(columns)} {words[place - 1]} on conflict {words[place + 2]}"
                yield Definition("conflict clause", table, "", columns, what)


def _body_of(sql: str) -> tuple[list[Token], list[Token]]:
    """What stands in the brackets of a table's statement, and what follows them."""
    tokens = list(read_tokens(sql))
    return _split_brackets(tokens, tokens.index(Token("other", "(")) if Token("other", "(") in tokens else len(tokens))


def _clauses(sql: str) -> Iterator[tuple[tuple[str, ...], list[str]]]:
    """The columns of each column's or constraint's definition, and its words that stand in no brackets."""
    for part in _split(_body_of(sql)[0]):
        words = [token.text for token in _outside(part)]
        if _is_of_table(part):
            inside, _ = (
                _split_brackets(part, part.index(Token("other", "("))) if Token("other", "(") in part else ([], [])
            )
            columns = tuple(column[0].text for column in _split(inside))
        else:
            columns = (part[0].text,)
        yield columns, words


def _is_of_table(part: list[Token]) -> bool:
    return part[0].kind == "word" and part[0].text in _OF_TABLES


def _split_brackets(tokens: list[Token], start: int) -> tuple[list[Token], list[Token]]:
    """What stands in the brackets that open at ``start``, and what follows them."""
    depth = 0
    for place in range(start, len(tokens)):
        if tokens[place].kind == "other":
            depth += {"(": 1, ")": -1}.get(tokens[place].text, 0)
        if not depth:
            return tokens[start + 1 : place], tokens[place + 1 :]
    return tokens[start + 1 :], []


def _split(tokens: list[Token]) -> list[list[Token]]:
    """Parts between commas, outside of brackets."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if token.kind == "other":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        if token == Token("other", ",") and not depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


def _checks(table: str, part: list[Token], columns: set[str]) -> Iterator[Definition]:
    for place, token in enumerate(part[:-1]):
        if token == Token("word", "check") and part[place + 1] == Token("other", "("):
            expression, _ = _split_brackets(part, place + 1)
            named = place > 1 and part[place - 2] == Token("word", "constraint")
            name = part[place - 1].text if named else ""
            needed = tuple(sorted({one.text for one in expression if one.kind != "text"} & columns))
            yield Definition("check", table, name, needed, join(expression))


def _of_column(table: str, part: list[Token]) -> Iterator[Definition]:
    column, outside = part[0].text, _outside(part)
    words = [token.text for token in outside]
    if "collate" in words[:-1] and (collation := words[words.index("collate") + 1]) != "binary":
        yield Definition("collation", table, column, (column,), collation)
    if "autoincrement" in words:
        yield Definition("autoincrement", table, column, (column,), "autoincrement")
    if "as" in words:
        expression, _ = _split_brackets(part, part.index(Token("word", "as")) + 1)
        yield Definition("generated column", table, column, (column,), join(expression))


def _outside(part: list[Token]) -> list[Token]:
    """The words of a column's definition that stand in no brackets."""
    words: list[Token] = []
    depth = 0
    for token in part[1:]:
        if token.kind == "other":
            depth += {"(": 1, ")": -1}.get(token.text, 0)
        elif not depth and token.kind != "text":
            words.append(token)
    return words
