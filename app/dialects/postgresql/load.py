"""PostgreSQL: rows copied in, those that the server refuses named; what does not look at rows while they are."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

import psycopg

from ...errors import LoadError
from ..model import LoadResult, Refusal, Table, Values
from ..once import end_part
from ..values import parse_large
from .catalogue import ask_for_table, sort_columns
from .connect import Connection, is_lost, is_out_of_space, words_of
from .driver import Question
from .extensions import lent_to_end
from .large_write import Resolver
from .names import Place, quote
from .once import claim
from .types import Declared
from .write import Refused, bindable, texts

_ROWS_OWN = ("22", "23", "44", "54", "P0")
"""SQLSTATE classes: bad data, constraints, WITH CHECK, too large for an index, raised by a function."""

_IN_COLUMN = re.compile(r", column ([^:]+):")


@dataclass
class _Pending:
    """A row on its way, with its number in the table."""

    number: int
    row: Values
    bound: list[Any]


class Loader:
    """Loads one table in the connection's transaction, behind a savepoint."""

    def __init__(self, connection: Connection, place: Place, table: Table, columns: list[Declared]) -> None:
        """:param columns: those that the table has, in its place."""
        self._connection, schema = connection, place.schema
        self._place = place
        known = {column.name: column for column in columns}
        if missing := [name for name in table.column_names if name not in known]:
            raise LoadError(f"{table.name} has no column {', '.join(missing)}.")
        self._columns = [known[name] for name in table.column_names]
        names = f" ({', '.join(map(quote, table.column_names))})" if self._columns else ""
        self._copy_in = f"COPY {quote(schema)}.{quote(table.name)}{names} FROM STDIN".encode()
        self._bind = bindable(self._columns)
        # What was copied since the savepoint, and so would be gone with the next refusal.
        self._has_copied = False

    def load(self, rows: Iterable[Values], batch_rows: int) -> LoadResult:
        loaded, refused, number = 0, [], 0
        source = iter(rows)
        while batch := list(islice(source, batch_rows)):
            failed = self._batch(batch, number)
            refused += failed
            loaded += len(batch) - len(failed)
            number += len(batch)
        return LoadResult(loaded, refused)

    def _batch(self, batch: list[Values], before: int) -> list[Refusal]:
        pending, refused = [], []
        numbers = self._find_numbers(batch)
        for number, row in enumerate(batch, start=before + 1):
            try:
                pending.append(_Pending(number, row, self._bind(self._put_numbers(row, numbers))))
            except Refused as error:
                refused.append(Refusal(number, row, str(error)))
        changed = self._is_changed(pending)
        refused += [Refusal(one.number, one.row, changed[one.number]) for one in pending if one.number in changed]
        refused += self._put([one for one in pending if one.number not in changed])
        return sorted(refused, key=lambda refusal: refusal.number)

    def _find_numbers(self, batch: list[Values]) -> dict[tuple[int, bytes], int]:
        places = [index for index, column in enumerate(self._columns) if column.base == "oid"]
        named = {one for row in batch for place in places if (one := parse_large(row[place]))} if places else set()
        return Resolver(self._connection, self._place).resolve(named) if named else {}

    def _put_numbers(self, row: Values, numbers: dict[tuple[int, bytes], int]) -> Values:
        """A row with the numbers that large objects have here.

        :raises Refused: it names one that is not here.
        """
        if dict not in map(type, row):
            return row
        values = list(row)
        for index, column in enumerate(self._columns):
            one = parse_large(row[index]) if column.base == "oid" else None
            if one is not None and one not in numbers:
                raise Refused(
                    f"column {column.name}: the content of the large object {one[0]} is neither in the source nor here"
                )
            values[index] = numbers[one] if one else row[index]
        return values

    def _put(self, rows: list[_Pending]) -> list[Refusal]:
        """Copy rows; when one is refused, halve them until it is alone."""
        if not rows:
            return []
        if self._has_copied:
            self._connection.ask_at_once(("RELEASE rows", ()), ("SAVEPOINT rows", ()))
            self._has_copied = False
        try:
            with self._connection.cursor() as cursor, cursor.copy(self._copy_in) as copy:
                for one in rows:
                    copy.write_row(one.bound)
            self._has_copied = True
            return []
        except (psycopg.Error, UnicodeEncodeError) as error:
            if not _is_rows_own(error):
                raise
            self._connection.execute("ROLLBACK TO SAVEPOINT rows")
            if len(rows) == 1:
                return [Refusal(rows[0].number, rows[0].row, _words(error))]
        middle = len(rows) // 2
        return [*self._put(rows[:middle]), *self._put(rows[middle:])]

    def _is_changed(self, rows: list[_Pending]) -> dict[int, str]:
        """The numbers of rows with a tagged text that the server would not give back as it is."""
        changes: dict[int, str] = {}
        for index, tagged in texts(self._columns, [one.row for one in rows]).items():
            column = self._columns[index]
            for place, words in self._ask(column, tagged):
                changes.setdefault(rows[place].number, f"column {column.name}: {words}")
        return changes

    def _ask(self, column: Declared, tagged: list[tuple[int, str]]) -> Iterator[tuple[int, str]]:
        form = column.as_text(f"u.given::{column.spelled}")
        query = f"SELECT u.place, {form} FROM unnest(%s::text[]) WITH ORDINALITY u (given, place)"
        try:
            with self._connection.transaction():
                rows = self._connection.execute(query.encode(), ([text for _, text in tagged],)).fetchall()
        except (psycopg.Error, UnicodeEncodeError) as error:
            if not _is_rows_own(error):
                raise
            if len(tagged) == 1:
                yield tagged[0][0], _words(error)
                return
            middle = len(tagged) // 2
            yield from self._ask(column, tagged[:middle])
            yield from self._ask(column, tagged[middle:])
            return
        for place, form in rows:
            number, text = tagged[place - 1]
            if form != text:
                yield number, f"{column.spelled} would hold {text[:80]!r} as {str(form)[:80]!r}"


def _is_rows_own(error: Exception) -> bool:
    if isinstance(error, UnicodeEncodeError):
        return True
    state = getattr(error, "sqlstate", None)
    return isinstance(error, psycopg.DataError) if state is None else state.startswith(_ROWS_OWN)


def _words(error: Exception) -> str:
    if isinstance(error, UnicodeEncodeError):
        return "half of a surrogate pair is no text"
    if isinstance(error, psycopg.Error) and error.sqlstate is None:
        return "PostgreSQL text cannot hold NUL" if "NUL" in str(error) else str(error)
    # The detail of some refusals is the whole row, which may hold anybody's password hash.
    words = words_of(error).partition(": Failing row contains")[0]
    context = getattr(error, "diag", None) and error.diag.context  # type: ignore[attr-defined] # looked for before
    match = _IN_COLUMN.search(context or "")
    return f"{words} (column {match[1]})" if match else words


def load(
    connection: Connection, place: Place, table: Table, rows: Iterable[Values], batch_rows: int, part: str = ""
) -> LoadResult:
    """Load rows into a table of a schema, over a connection that the caller closes then.

    :raises LoadError: there is no such table or column, or the server refused for a reason that is not a row's own.
    """
    # A unique constraint that is only looked at by a COMMIT could not name the row.
    begin: list[Question] = [("SET CONSTRAINTS ALL IMMEDIATE", ()), ("SAVEPOINT rows", ())]
    questions = *ask_for_table(place.schema, table.name), *begin
    # Checks may call functions of extensions.
    with (
        refusing(table.name),
        lent_to_end(connection, place.target, place.schema, *questions) as (is_there, columns, *_),
    ):
        if not is_there:
            raise LoadError(f"There is no table {table.name} in the schema {place.schema}.")
        # Behind the savepoint: a refusal goes back behind the claim, and none of a part that has one goes in.
        claim(connection, place.schema, part)
        result = Loader(connection, place, table, sort_columns(columns)).load(rows, batch_rows)
        end_part(part, result.refused)
        return result


@contextlib.contextmanager
def refusing(table: str) -> Iterator[None]:
    """:raises LoadError: the server refused for a reason that is not a row's, the connection's or the disk's own."""
    try:
        yield
    except psycopg.Error as error:
        if is_lost(error) or is_out_of_space(error) or error.sqlstate == "42501":
            raise
        raise LoadError(f"The database refused rows of {table}: {words_of(error)}") from error
