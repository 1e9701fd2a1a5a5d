"""What ``flask db check`` finds, in words: where a database and the models differ."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

_THINGS = {"table": "table", "column": "column", "index": "index", "constraint": "constraint", "fk": "foreign key"}
_PROPERTIES = {"type": "type", "nullable": "NULL allowed", "default": "default", "comment": "comment"}


def is_ahead(differences: Iterable[Any]) -> bool:
    """Whether the models have a table or column that the database lacks, and not only something else about one."""
    return any(
        str(item[0] if isinstance(item, tuple) else item).find(kind) >= 0
        for item in differences
        if not isinstance(item, list)  # what one column differs in
        for kind in ("add_table", "add_column")
    )


def describe_differences(differences: Iterable[Any], database: str) -> list[str]:
    """A line for each difference that Alembic found.

    :param differences: as ``alembic.autogenerate.compare_metadata()`` gives them: tuples, and lists of them for what
        one column differs in.
    :param database: what was compared with the models, for people.
    """
    lines = (line for item in differences for line in _describe(item, database))
    return list(dict.fromkeys(lines))


def _describe(difference: Any, database: str) -> Iterator[str]:
    if isinstance(difference, list):
        for item in difference:
            yield from _describe(item, database)
        return
    if not isinstance(difference, tuple):  # Alembic before 1.15 gives them in one text only
        yield str(difference)
        return
    action, _, thing = str(difference[0]).partition("_")
    if action in ("add", "remove") and thing in _THINGS:
        name = f"{_THINGS[thing]} {_name(difference)}"
        yield (
            f"{name} of the models is not in {database}" if action == "add" else f"{name} of {database} is in no model"
        )
    elif action == "modify" and thing in _PROPERTIES:
        _, _, table, column, _, old, new = difference
        yield f"column {table}.{column}: {_PROPERTIES[thing]} is {old!r} in {database}, {new!r} in the models"
    else:
        yield " ".join(str(part) for part in difference)


def _name(difference: tuple[Any, ...]) -> str:
    thing = difference[-1]
    if difference[0].endswith("_column"):
        return f"{difference[2]}.{thing.name}"
    table = getattr(getattr(thing, "table", None), "name", None)
    if table is None:
        return str(thing.name)
    return f"{thing.name or ', '.join(str(column.name) for column in thing.columns)} of the table {table}"
