"""SQLite: rules that do not hold, and the rows that break them."""

from __future__ import annotations

import contextlib
import re
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from ...errors import Protected
from ..samples import SHOWN, Problem, ProblemKind, dangling, name_some
from .connect import Files, damage_named
from .functions import WAY_OUT, find_lacking
from .names import quote
from .read import tables_with_sql

_REFUSED = re.compile(r"(UNIQUE|NOT NULL) constraint failed: ([^)]+)")


def problems(files: Files, path: Path) -> list[Problem]:
    """Every rule that does not hold, and every damage found."""
    # Over a read-only connection PRAGMA integrity_check does not look at CHECK constraints (3.40, seen).
    with damage_named(path), files.open(path) as connection:
        if lacking := find_lacking(tables_with_sql(connection), files.functions):
            raise Protected(f"{path} cannot be checked: {'; '.join(lacking)}.", hint=WAY_OUT)
        if files.functions.has_own():
            # In Python, and for the app's own thread.
            return [*_find_damage(connection), *_find_dangling(connection)]
        with ThreadPoolExecutor(1) as beside:
            # Both read all of the file, which leaves Python to others.
            dangling = beside.submit(_find_dangling_in, files, path)
            return [*_find_damage(connection), *dangling.result()]


def _find_damage(connection: sqlite3.Connection) -> list[Problem]:
    return [
        Problem(ProblemKind.DAMAGE, "", text)
        for (text,) in connection.execute("PRAGMA integrity_check")
        if text != "ok"
    ]


def _find_dangling_in(files: Files, path: Path) -> list[Problem]:
    with files.open(path) as connection:
        return _find_dangling(connection)


def _find_dangling(connection: sqlite3.Connection) -> list[Problem]:
    try:
        orphans = connection.execute(
            "SELECT \"table\", parent, count(*), group_concat(CASE WHEN n <= 6 THEN rowid END, ', ') FROM "
            '(SELECT *, row_number() OVER (PARTITION BY "table", parent) AS n FROM pragma_foreign_key_check) '
            'GROUP BY "table", parent'
        ).fetchall()
    except sqlite3.OperationalError as error:
        # "foreign key mismatch": the referred columns are not unique.
        return [Problem(ProblemKind.RULE, "", str(error))]
    return [dangling(table, rows, parent, f"rowid {_first(keys)}") for table, parent, rows, keys in orphans]


def find_refused_keys(files: Files, path: Path, words: str) -> list[str]:
    """The rows that break the constraint which the server's words name, by some of their keys."""
    match = _REFUSED.search(words)
    if match is None:
        return []
    # Alembic's batch mode fills a table of another name; the rows are still in the table itself.
    parts = [part.strip().removeprefix("_alembic_tmp_").partition(".") for part in match.group(2).split(",")]
    table, columns = parts[0][0], ", ".join(quote(column) for _, _, column in parts)
    query = (
        f"SELECT group_concat(rowid, ', ') FROM {quote(table)} WHERE ({columns}) IS NULL"
        if match.group(1) == "NOT NULL"
        else f"SELECT group_concat(rowid, ', ') FROM {quote(table)} GROUP BY {columns} HAVING count(*) > 1 LIMIT 5"
    )
    # After the failure the columns may have the names of an earlier revision; then the words alone must do.
    with contextlib.suppress(sqlite3.Error), files.read(path) as connection:
        return [f"{table}: rowid {_first(keys)}" for (keys,) in connection.execute(query) if keys]
    return []


def _first(keys: str | None) -> str:
    if keys is None:
        return "without rowid"
    some = keys.split(", ")
    return name_some(some[:SHOWN], more=len(some) > SHOWN)
