"""MySQL: histograms, by which the server guesses how many rows a condition takes; MariaDB keeps its own elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from .connect import quote
from .driver import version_of
from .session import Connection, execute

_LISTED = """
SELECT table_name, column_name, JSON_EXTRACT(histogram, '$."number-of-buckets-specified"'),
    COALESCE(JSON_EXTRACT(histogram, '$."auto-update"'), 'false')
FROM information_schema.column_statistics WHERE schema_name = %s ORDER BY 1, 2
"""


@dataclass(frozen=True)
class Histogram:
    """One as somebody asked for it; what the server then counted, it counts anew.

    :ivar is_kept_up: the server looks again by itself, when it looks at the table (since 8.2).
    """

    table: str
    column: str
    buckets: int
    is_kept_up: bool

    @property
    def words(self) -> str:
        return f"{self.buckets} buckets{' auto update' if self.is_kept_up else ''}"

    @property
    def statement(self) -> str:
        """What makes it, of the rows that are there then."""
        what = f"UPDATE HISTOGRAM ON {quote(self.column)} WITH {self.words.upper()}"
        return f"ANALYZE TABLE {quote(self.table)} {what}"


def list_histograms(connection: Connection, database: str) -> list[Histogram]:
    """Those of a database's tables."""
    if version_of(connection).is_mariadb:
        return []
    return [
        Histogram(table, column, int(buckets), kept_up == "true")
        for table, column, buckets, kept_up in execute(connection, _LISTED, database)
    ]


def make_histograms(connection: Connection, wanted: Iterable[Histogram]) -> None:
    """Make them in the default database. One that the server does not make is missing afterwards, without an error."""
    for item in wanted:
        execute(connection, item.statement)
