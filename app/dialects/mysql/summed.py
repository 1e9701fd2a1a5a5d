"""MySQL and MariaDB: a table's rows summed up by the server, from the values of their columns."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from ...errors import DoesNotFit
from .catalogue import read_catalogue, stored_columns
from .connect import quote
from .types import Stored

HASHES_AT_ONCE = 200_000
"""That a server makes before it adds them up, some 30 MB of it; of a larger table it keeps none."""

_OF_SEVERAL_VALUES = re.compile(r" array\)")


def sum_rows(
    ask: Callable[[str], Sequence[tuple[Any, ...]]], place: str, columns: Sequence[Stored]
) -> tuple[int, list[str]] | None:
    """The number of rows, and a sum of hashes in two parts of 64 bits; None of a server without this hash.

    :param place: the table, as a statement names it.
    """
    parts = ", ".join(f"IFNULL({item.summed}, '-')" for item in columns)
    halves = ", ".join(f"SUM(CAST(CONV({half}(h, 16), 16, 10) AS UNSIGNED))" for half in ("LEFT", "RIGHT"))
    rows = f"SELECT SHA2(CONCAT_WS('|', {parts}), 256) AS h FROM {place}"
    # With a limit the server makes the hashes first; else it hashes a row anew for each mention of its hash.
    for limit in (f" LIMIT {HASHES_AT_ONCE + 1}", ""):
        [(count, hashed, *sums)] = ask(f"SELECT COUNT(*), COUNT(h), {halves} FROM ({rows}{limit}) AS own")
        if int(count) <= HASHES_AT_ONCE:
            break
    # Some connections convert what they read, and others do not.
    return (int(count), [str(one) for one in sums]) if int(count) == int(hashed) else None


def has_no_checksum(definition: str) -> bool:
    """Whether ``CHECKSUM TABLE`` says something else of the same rows each time.

    So it is where an index has several values of a row, ``(CAST(doc->'$.tags' AS UNSIGNED ARRAY))``: that hidden column
    is summed up with the others, without a value (seen on MySQL 9.7).
    """
    return bool(_OF_SEVERAL_VALUES.search(definition))


def sum_table(ask: Callable[..., Sequence[tuple[Any, ...]]], database: str, table: str) -> str:
    """In the place of ``CHECKSUM TABLE``: a text that differs when a row does.

    :raises DoesNotFit: the server has no hash of a row.
    """
    columns = stored_columns(read_catalogue(ask, database, is_mariadb=False, only=table))[table]
    summed = sum_rows(ask, f"{quote(database)}.{quote(table)}", columns)
    if summed is None:
        raise DoesNotFit(f"The server does not sum up the rows of {table}.")
    return repr(summed)
