"""Run one of the forum's commands, and count what happens to its rows.

``python -m benchmarks.counting FILE ARGUMENT...`` runs ``flask ARGUMENT...`` and writes the counts to a JSON file:
``read``, by the database; ``summed`` by the server; ``encoded``, ``parsed`` and ``hashed``. Each is a number of rows.

A row is known by how it begins: not with an object, as those values of the forum's JSON columns do that are lists.
Rows that are parsed together begin with two brackets.
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson
import xxhash
from flask.cli import main as flask_main

from app.dialects.model import Table, Values
from app.dialects.mysql.read import MySqlReader
from app.dialects.postgresql.read import PostgresqlReader
from app.dialects.sqlite.read import SqliteReader
from app.transfer.rows import spelled

Reader = SqliteReader | MySqlReader | PostgresqlReader
FORUM_TABLES = ("users", "posts", "tags", "post_tags", "follows")
COUNTS: Counter[tuple[str, str]] = Counter()
"""By what was done, and where: a database for reads, nothing else."""

_ROW = re.compile(rb"\[[^{]")


def name_database(reader: Reader) -> str:
    """Which database a reader reads: a file, a database or a schema."""
    if isinstance(reader, MySqlReader):
        return reader.database
    connection: Any = reader._connection
    if isinstance(reader, PostgresqlReader):
        return f"{connection.info.dbname}.{reader._schema}"
    return str(next(iter(connection.execute("PRAGMA database_list")))[2])


def count_reads(kind: type[Reader]) -> None:
    """Count the rows that a kind of reader gives, and those that its server adds up."""
    rows, digest = kind.rows, kind.digest

    def count_rows(self: Reader, table: Table) -> Iterator[Values]:
        where = name_database(self)
        for row in rows(self, table):  # type: ignore[arg-type] # of its own kind
            COUNTS["read", where] += table.name in FORUM_TABLES
            yield row

    def count_summed(self: Reader, table: Table) -> str | None:
        value = digest(self, table)  # type: ignore[arg-type]
        if value is not None and table.name in FORUM_TABLES:
            COUNTS["summed", ""] += self.count(table.name)
        return value

    kind.rows, kind.digest = count_rows, count_summed  # type: ignore[assignment,method-assign]


def count_calls(module: Any, name: str, what: str, is_row: Callable[[Any], bool]) -> None:
    """Count the calls of a function whose first argument is a row."""
    function = getattr(module, name)

    def count(value: Any, *arguments: Any, **options: Any) -> Any:
        if is_row(value):
            COUNTS[what, ""] += 1
        return function(value, *arguments, **options)

    setattr(module, name, count)


def count_parsed() -> None:
    """Count the rows that are parsed, which are parsed many at a time."""
    loads = orjson.loads

    def count(value: Any) -> Any:
        parsed = loads(value)
        if _is_line(value):
            COUNTS["parsed", ""] += len(parsed) if value.startswith(b"[[") else 1
        return parsed

    orjson.loads = count


def count_spelled() -> None:
    """Count the rows whose lines are looked at one by one, instead of their checksum."""
    add = spelled._add

    def counted(rows: Iterable[Values]) -> Iterator[Values]:
        for row in rows:
            COUNTS["hashed", ""] += _is_row(row)
            yield row

    spelled._add = lambda digest, rows: add(digest, counted(rows))


def _is_row(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and not isinstance(value[0], dict)


def _is_line(value: Any) -> bool:
    return isinstance(value, bytes) and _ROW.match(value) is not None


def install() -> None:
    """Count from now on, in this process."""
    for kind in (SqliteReader, MySqlReader, PostgresqlReader):
        count_reads(kind)
    count_calls(orjson, "dumps", "encoded", _is_row)
    count_parsed()
    count_spelled()
    for name in ("xxh3_128_intdigest", "xxh3_128_digest", "xxh3_128_hexdigest", "xxh3_64_intdigest"):
        count_calls(xxhash, name, "hashed", _is_line)


def main(file: str, *arguments: str) -> None:
    install()
    sys.argv = ["flask", *arguments]
    try:
        flask_main()
    finally:
        Path(file).write_text(json.dumps([[*key, count] for key, count in COUNTS.items()]))


if __name__ == "__main__":
    main(*sys.argv[1:])
