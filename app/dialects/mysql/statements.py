"""MySQL and MariaDB: whether a statement of the app's own code names a database that it must not reach.

These servers cannot hide the live database from a session of the same user, so each statement of a revision is looked
at before it is sent. Texts and comments are taken out by the servers' lexical rules (MySQL manual, 11.1 and 11.7); what
stands in a versioned comment is code. Where a name is followed by a dot, sqlglot says whether it is a database or an
alias; where it cannot say, the statement is refused. What a statement prepares is looked at by
:mod:`.prepared`.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass

_STRING = r"{0}(?:[^{0}\\]|\\.|{0}{0})*(?:{0}|\Z)"
_STRING_AS_IT_IS = r"{0}(?:[^{0}]|{0}{0})*(?:{0}|\Z)"
_LEXEME = r"""
    (?P<blank>\s+|--(?:[\x00-\x09\x0b-\x20][^\n]*)?(?=\n|\Z)|\#[^\n]*|/\*(?!M?!)(?:[^*]|\*(?!/))*(?:\*/|\Z)|/\*M?!\d*|\*/)
    |(?P<text>TEXT)
    |(?P<double>DOUBLE)
    |(?P<quoted>`(?:[^`]|``)*(?:`|\Z))
    |(?P<word>[0-9A-Za-z_$\u0080-\U0010ffff]+)
    |(?P<other>.)
    """
_BEFORE_A_DATABASE = frozenset({"USE", "DATABASE", "SCHEMA"})
_RUNS_TEXTS = frozenset({"PREPARE", "EXECUTE", "SET", "CREATE", "ALTER", "SELECT", "CALL", "BEGIN"})
_CACHED = 512


@dataclass(frozen=True)
class Mode:
    """What of a session's sql_mode changes where names and texts end (MySQL manual, 7.1.11)."""

    ansi_quotes: bool = False
    no_backslashes: bool = False


USUAL = Mode()


def find_reached(sql: str, names: frozenset[str], *, folds: bool, mode: Mode = USUAL) -> str | None:
    """The name in a statement that means one of some databases, or None.

    :param names: as they are spelled; in lower case where names are folded.
    :param mode: how the session reads the statement.
    """
    lowered = sql.lower()
    near = frozenset(name for name in names if name.lower() in lowered)
    if not near:
        return None
    return (_search if len(sql) < 1 << 16 else _search.__wrapped__)(sql, near, folds, mode)


@functools.lru_cache(maxsize=_CACHED)
def _search(sql: str, names: frozenset[str], folds: bool, mode: Mode) -> str | None:
    tokens = tokens_of(sql, mode)
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
            first = behind == "." and (not index or tokens[index - 1][1] != ".")
            if first and (mode != USUAL or _is_database(sql, names, folds)):
                return text
        if kind in ("text", "double") and (hit := _in_text(text, words, names, folds, mode)):
            return hit
    return None


def _in_text(text: str, words: list[str], names: frozenset[str], folds: bool, mode: Mode) -> str | None:
    """A name in a text that is run, or that asks the catalogs."""
    statement = next((word for word in words if word), "")
    if _fold(text, folds) in names and "INFORMATION_SCHEMA" in words:
        return f"{text} (ask for DATABASE() instead)"
    if statement in _RUNS_TEXTS and "." in text and any(name.lower() in text.lower() for name in names):
        return _search(text, names, folds, mode)
    return None


def tokens_of(sql: str, mode: Mode = USUAL) -> list[tuple[str, str]]:
    """Kind (``word``, ``quoted``, ``text``, ``double``, ``other``) and text of each token; comments are left out."""
    return [(kind, text) for kind, text, _end in tokens_with_ends(sql, mode)]


def tokens_with_ends(sql: str, mode: Mode) -> Iterator[tuple[str, str, int]]:
    """Kind, text and end of each token; of what is quoted, what it means."""
    for match in _pattern(mode).finditer(sql):
        kind, text = str(match.lastgroup), match[0]
        if kind == "blank":
            continue
        if kind in ("text", "double", "quoted"):
            quote = text[0]
            text = text[1:-1].replace(quote * 2, quote)
            if kind != "quoted" and not mode.no_backslashes:
                text = re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)
        yield ("quoted" if kind == "double" and mode.ansi_quotes else kind), text, match.end()


@functools.cache
def _pattern(mode: Mode) -> re.Pattern[str]:
    text = (_STRING_AS_IT_IS if mode.no_backslashes else _STRING).format("'")
    double = (_STRING_AS_IT_IS if mode.no_backslashes or mode.ansi_quotes else _STRING).format('"')
    return re.compile(_LEXEME.replace("TEXT", text).replace("DOUBLE", double), re.VERBOSE | re.DOTALL)


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
