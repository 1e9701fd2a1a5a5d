"""What an app calls Alembic's own table, before Alembic is asked: it is needed to look at a database at all."""

from __future__ import annotations

import ast
import functools
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ...dialects.model import VERSION_TABLE, Table
from ...errors import DoesNotFit

OPTION = "version_table"


def list_places(root: Path, name: str) -> list[Path]:
    """Where an app's Alembic scripts may lie, the likeliest first.

    Flask-Migrate counts its directory from the working directory; a deploy hook may run anywhere.

    :param root: the app's ``root_path``.
    """
    return [Path.cwd() / name, root.parent / name, root / name]


def version_table_of(migrate: Any, root: Path) -> str:
    """What the table is called by an app.

    :param migrate: what Flask-Migrate keeps in ``app.extensions["migrate"]``, or None.
    :param root: the app's ``root_path``.
    """
    if migrate is None:
        return VERSION_TABLE
    return name_version_table(migrate.configure_args, find_env(migrate, root) or Path())


def find_env(migrate: Any, root: Path) -> Path | None:
    """The app's ``env.py``, or None where there is none that can be read.

    :param migrate: what Flask-Migrate keeps in ``app.extensions["migrate"]``.
    :param root: the app's ``root_path``.
    """
    places = (place / "env.py" for place in list_places(root, str(migrate.directory)))
    return next((place for place in places if _is_readable(place)), None)


def _is_readable(file: Path) -> bool:
    """Whether this process can read a file: a web worker may not enter every place that a command can."""
    try:
        return file.is_file() and os.access(file, os.R_OK)
    except OSError:
        return False


def name_version_table(configure_args: Mapping[str, Any], env: Path) -> str:
    """The name that ``Migrate(...)`` or ``env.py`` gives, or Alembic's own.

    What ``env.py`` only composes while it runs is not known here; the checks of the host refuse that by name.

    :param configure_args: what ``Migrate(...)`` hands on to ``context.configure()``.
    :param env: the file, which need not be there.
    """
    name = configure_args.get(OPTION)
    if isinstance(name, str) and name:
        return name
    if not _is_readable(env):
        return VERSION_TABLE
    at = env.stat()
    names = _read_names(env, at.st_mtime_ns, at.st_size)
    return names[0] if len(names) == 1 else VERSION_TABLE


@functools.lru_cache(maxsize=32)
def _read_names(env: Path, _mtime_ns: int, _size: int) -> tuple[str, ...]:
    """The names that a file spells, as it is now: an app may ask in each request."""
    text = env.read_text(encoding="utf-8", errors="replace")
    if OPTION not in text:
        return ()
    try:
        tree = ast.parse(text, str(env))
    except SyntaxError:  # running it will say so
        return ()
    keywords = (item for node in ast.walk(tree) if isinstance(node, ast.Call) for item in node.keywords)
    constants = list_constants(tree)
    values = {_read(item.value, constants) for item in keywords if item.arg == OPTION}
    return tuple(sorted(value for value in values if isinstance(value, str) and value))


def _read(node: ast.expr, constants: Mapping[str, Any]) -> Any:
    """A literal, or the value of a name for one; None of anything else."""
    if isinstance(node, ast.Constant):
        return node.value
    return constants.get(node.id) if isinstance(node, ast.Name) else None


def list_constants(tree: ast.AST) -> dict[str, Any]:
    """The names of a file that are given a literal."""
    return {
        target.id: node.value.value
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def find_version_table(tables: Iterable[Table], expected: str) -> str:
    """What the table of revisions is called in a database of another app, or of this one in older days.

    :param expected: what this app calls it: the answer where it is there, or nothing is.
    """
    names = [table.name for table in tables if table.column_names == ("version_num",)]
    for name in (expected, VERSION_TABLE):
        if name in names:
            return name
    return names[0] if len(names) == 1 else expected


def only_revision(revisions: Sequence[str]) -> str | None:
    """The one of these that a database is at, or None.

    :raises DoesNotFit: there are more than one.
    """
    if len(revisions) > 1:
        raise DoesNotFit(
            f"The database is at several revisions at once: {', '.join(revisions)}.",
            hint="Bring it to one with: flask db upgrade heads",
        )
    return revisions[0] if revisions else None
