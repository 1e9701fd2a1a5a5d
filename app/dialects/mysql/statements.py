"""MySQL and MariaDB: whether a statement of the app's own code names a database that it must not reach.

These servers cannot hide the live database from a session of the same user, so each statement of a revision is looked
at before it is sent. Texts and comments are taken out by the servers' lexical rules (MySQL manual, 11.1 and 11.7); what
stands in a versioned comment is code. Where a name is followed by a dot, sqlglot says whether it is a database or an
alias; where it cannot say, the statement is refused. What code puts together on the server itself, e.g. by
``CONCAT`` and ``PREPARE``, cannot be seen in its text.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pymysql

from ..base import OutsideStaging
from .connect import Connection

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+|--(?:[\x00-\x09\x0b-\x20][^\n]*)?(?=\n|\Z)|\#[^\n]*|/\*(?!M?!)(?:[^*]|\*(?!/))*(?:\*/|\Z)|/\*M?!\d*|\*/)
    |(?P<text>'(?:[^'\\]|\\.|'')*(?:'|\Z))
    |(?P<double>"(?:[^"\\]|\\.|"")*(?:"|\Z))
    |(?P<quoted>`(?:[^`]|``)*(?:`|\Z))
    |(?P<word>[0-9A-Za-z_$\u0080-\U0010ffff]+)
    |(?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)
_BEFORE_A_DATABASE = frozenset({"USE", "DATABASE", "SCHEMA"})
_RUNS_TEXTS = frozenset({"PREPARE", "EXECUTE", "SET", "CREATE", "ALTER", "SELECT", "CALL", "BEGIN"})
_CACHED = 512


class GuardedConnection(Connection):
    """A connection that sends no statement which names one of some databases, whatever cursor it comes from.

    :ivar guarded: the names; empty as long as the connection is being made.
    :ivar folds: names are compared without regard to case.
    """

    guarded: frozenset[str] = frozenset()
    folds: bool = False

    def query(self, sql: str | bytes, unbuffered: bool = False) -> int:
        if self.guarded:
            text = sql.decode("utf-8", "surrogateescape") if isinstance(sql, bytes | bytearray) else sql
            if place := reached(text, self.guarded, folds=self.folds):
                raise OutsideStaging(f"it names the database {place}")
        return int(super().query(sql, unbuffered))

    def select_db(self, db: str) -> None:
        if self.guarded and _fold(db, self.folds) in self.guarded:
            raise OutsideStaging(f"it selects the database {db}")
        super().select_db(db)


@dataclass(frozen=True)
class Guarded:
    """Databases that no statement may name; ``folds``: names are compared without regard to case."""

    names: frozenset[str]
    folds: bool


def guard(connection: pymysql.Connection[Any], guarded: Guarded) -> None:
    """From here on a connection sends nothing that names one of these databases."""
    assert isinstance(connection, GuardedConnection)  # noqa: S101 # it was made as one
    connection.folds = guarded.folds
    connection.guarded = frozenset(_fold(name, guarded.folds) for name in guarded.names)


def reached(sql: str, names: frozenset[str], *, folds: bool) -> str | None:
    """The name in a statement that means one of some databases, or None.

    :param names: as they are spelled; in lower case where names are folded.
    """
    lowered = sql.lower()
    near = frozenset(name for name in names if name.lower() in lowered)
    if not near:
        return None
    return _find_reached(sql, near, folds) if len(sql) < 1 << 16 else _find_reached.__wrapped__(sql, near, folds)


@functools.lru_cache(maxsize=_CACHED)
def _find_reached(sql: str, names: frozenset[str], folds: bool) -> str | None:
    tokens = tokens_of(sql)
    words = [text.upper() if kind == "word" else "" for kind, text in tokens]
    statement = next((word for word in words if word), "")
    for index, (kind, text) in enumerate(tokens):
        name = _fold(text, folds)
        if kind in ("word", "quoted", "double") and name in names:
            behind = tokens[index + 1][1] if index + 1 < len(tokens) else ""
            before = words[index - 1] if index else ""
            if before in _BEFORE_A_DATABASE or words[max(index - 2, 0) : index] == ["IF", "EXISTS"]:
                return text
            if statement == "SHOW" and before in ("FROM", "IN"):
                return text
            if behind == "." and (not index or tokens[index - 1][1] != ".") and _is_database(sql, names, folds):
                return text
        if kind in ("text", "double") and (found := _in_text(text, words, statement, names, folds)):
            return found
    return None


def _in_text(text: str, words: list[str], statement: str, names: frozenset[str], folds: bool) -> str | None:
    """A name in a text that is run, or that asks the catalogs."""
    if _fold(text, folds) in names and "INFORMATION_SCHEMA" in words:
        return f"{text} (ask for DATABASE() instead)"
    if statement in _RUNS_TEXTS and "." in text and any(name.lower() in text.lower() for name in names):
        return _find_reached(text, names, folds)
    return None


def tokens_of(sql: str) -> list[tuple[str, str]]:
    """Kind (``word``, ``quoted``, ``text``, ``double``, ``other``) and text of each token; comments are left out."""
    return list(_tokens(sql))


def _tokens(sql: str) -> Iterator[tuple[str, str]]:
    """Kind and text of each token; of what is quoted, what it means."""
    for match in _TOKEN.finditer(sql):
        kind, text = str(match.lastgroup), match[0]
        if kind == "blank":
            continue
        if kind in ("text", "double", "quoted"):
            quote = text[0]
            text = text[1:-1].replace(quote * 2, quote)
            if kind != "quoted":
                text = re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
        yield kind, text


def _is_database(sql: str, names: frozenset[str], folds: bool) -> bool:
    """Whether a name before a dot is a database's; also where that cannot be said."""
    # An alias or a table of that name is all that it could be instead.
    import sqlglot  # a tenth of a second, for a case that is rare
    from sqlglot import errors, exp

    plain = re.sub(r"/\*M?!\d*|\*/", " ", sql) if re.search(r"/\*M?!", sql) else sql
    try:
        parsed = sqlglot.parse(plain, read="mysql")
    except (errors.SqlglotError, RecursionError):
        return True
    for tree in parsed:
        if tree is None or isinstance(tree, exp.Command) or tree.find(exp.Command):
            return True
        parts = [str(table.db) for table in tree.find_all(exp.Table)]
        parts += [str(column.db) for column in tree.find_all(exp.Column)]
        if any(_fold(part, folds) in names for part in parts):
            return True
        known = {_fold(table.alias_or_name, folds) for table in tree.find_all(exp.Table)}
        known |= {_fold(query.alias, folds) for query in tree.find_all(exp.Subquery, exp.CTE)}
        if not any(name in known for name in names):
            return True
    return False


def _fold(name: str, folds: bool) -> str:
    return name.lower() if folds else name
