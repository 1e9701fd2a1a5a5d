"""MySQL and MariaDB: rows loaded in one transaction, by LOAD DATA where the server allows it, and refused by name."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import CR
from sqlalchemy import URL

from ...errors import LoadError
from ..model import LoadResult, Refusal, Table, Values
from ..once import end_part
from .catalogue import columns_of
from .connect import connect_to, explanation, number_of, quote, words_of
from .driver import FILE_ASKED_FOR, Connection, current_of, version_of
from .equal import name_equal_rows
from .loading import look_at
from .once import AS_IT_IS, begin, patience_with
from .read import RAW, asking
from .write import Encoder, Unfit

BATCH_BYTES = 4 << 20
"""Of one statement or file: enough that its start-up does not count, and little memory."""

_OF_THE_ROW = frozenset(
    {
        1022,  # can't write; duplicate key
        1048,  # column cannot be null
        1062,  # duplicate entry
        1118,  # row size too large
        1169,  # unique constraint
        1264,  # out of range
        1265,  # data truncated
        1292,  # truncated incorrect value
        1300,  # invalid character string
        1364,  # no default value
        1366,  # incorrect value for the column
        1367,  # illegal value
        1406,  # data too long
        1411,  # incorrect value for a function
        1416,  # no geometry object
        1441,  # datetime overflow
        1451,  # is referred to
        1452,  # refers to nothing
        1526,  # no partition for it
        1690,  # out of range in an expression
        1713,  # undo record too big
        3140,  # MySQL: invalid JSON text
        3141,
        3157,  # MySQL: JSON nested too deep
        3819,  # MySQL: CHECK
        3988,  # MySQL: not in the column's character set
        4025,  # MariaDB: CHECK
    }
)
"""Errors that a row's own values are to blame for (MySQL 8.4 and MariaDB 10.11 error references)."""

_OF_THE_ENGINE, _TOO_BIG = 1030, "Got error 139"
"""InnoDB cannot hold a row of so many long columns (seen as 1118, too)."""

_NOT_OF_DATA = frozenset({1287, 1592, 1681})
"""Notes on the statement: something deprecated, or unsafe for a binary log of statements."""

_LOCAL_REFUSED = (1148, 3948, 4166)
"""LOAD DATA LOCAL is not allowed, whatever ``@@local_infile`` said."""

_OFFERED = "ferry-rows"
"""What the server is told that the file is called which it asks for; there is none."""
_PIECE_BYTES, _PACKET_BYTES = 1 << 16, 1 << 20


class _Loading(Connection):
    """A connection that sends lines where the server asks for a file, and never a file.

    In the protocol it is the server that names the file (MySQL manual, 8.1.6); the driver sends any. Lines are made
    while they are sent, so that the server takes some of them while the next are made.
    """

    _lines: Iterator[bytes] | None = None
    limits: tuple[bool, int] | None = None
    failed: BaseException | None = None
    packet_bytes: int = _PACKET_BYTES

    def ask_limits(self) -> tuple[bool, int]:
        """Whether files are taken, and how long a packet may be, in bytes: asked once, as a session keeps the latter.

        That files are no longer taken is found out when one is offered.
        """
        if self.limits is None:
            [(allowed, largest)] = asking(self)("SELECT @@local_infile, @@max_allowed_packet")
            self.limits = bool(int(allowed)), int(largest)
            # A larger one is refused while lines are sent, and the driver cannot tell what the server said (seen).
            self.packet_bytes = min(_PACKET_BYTES, int(largest) // 2)
        return self.limits

    @contextlib.contextmanager
    def offering(self, lines: Iterator[bytes]) -> Iterator[None]:
        """Offer lines under the name of :data:`_OFFERED`, to be asked for once.

        An error of whoever makes the lines is raised as it is; the connection is closed then.
        """
        self._lines, self.failed = lines, None
        try:
            yield
        except BaseException:
            if self.failed is not None:
                raise self.failed  # noqa: B904 # with the cause that it has
            raise
        finally:
            self._lines = None

    def _read_packet(self, *arguments: Any, **named: Any) -> Any:
        # No row that is read over this connection begins with NULL, which is the same byte.
        packet = super()._read_packet(*arguments, **named)  # type: ignore[no-untyped-call] # PyMySQL does not type it
        data = packet.get_all_data()
        if data[:1] != b"\xfb":
            return packet
        lines, self._lines = self._lines, None
        if lines is None or data[1:] != _OFFERED.encode():
            self._force_close()
            raise pymysql.OperationalError(CR.CR_SERVER_LOST, FILE_ASKED_FOR)
        self._send_lines(lines)
        return super()._read_packet(*arguments, **named)  # type: ignore[no-untyped-call] # PyMySQL does not type it

    def _send_lines(self, lines: Iterator[bytes]) -> None:
        write: Callable[[bytes], None] = self.write_packet
        while piece := self._next_of(lines):
            for start in range(0, len(piece), self.packet_bytes):
                write(piece[start : start + self.packet_bytes])
        write(b"")

    def _next_of(self, lines: Iterator[bytes]) -> bytes:
        """The next piece that is not empty; an empty one behind the last."""
        try:
            return next(filter(None, lines), b"")
        except BaseException as error:
            # In the middle of a file nothing else can be said over this connection, and what is said is no error of it,
            # also where it is one of the driver's: of another server, which the rows come from.
            self.failed = error
            self._force_close()
            raise


@dataclass
class _Batch:
    rows: list[tuple[int, Values]] = field(default_factory=list)
    parts: list[bytes] = field(default_factory=list)
    size: int = 0
    begun: bool = False
    """Whether the server has asked for its lines."""

    def add(self, number: int, row: Values, part: bytes) -> None:
        self.rows.append((number, row))
        self.parts.append(part)
        self.size += len(part)


class _Load:
    """One table's rows on their way in: batches, and row by row where one is not taken as it is."""

    def __init__(self, url: URL, connection: _Loading, encoder: Encoder, largest: int, *, streams: bool) -> None:
        self._url, self._connection, self._encoder, self._streams = url, connection, encoder, streams
        self._largest = largest - len(encoder.insert) - 64
        self.loaded = 0
        self.refused: list[Refusal] = []
        self.note = ""
        self._has_batch = self._is_first = False

    def rows(self, rows: Iterable[Values], batch_rows: int) -> None:
        """Load all rows; the transaction is the caller's."""
        numbered: Iterator[tuple[int, Values]] = enumerate(rows, 1)
        while self._streams and (first := next(numbered, None)):
            if not self._stream(first, numbered, batch_rows):
                numbered = chain([first], numbered)
        self._insert_all(numbered, batch_rows)

    def _stream(self, first: tuple[int, Values], numbered: Iterator[tuple[int, Values]], batch_rows: int) -> bool:
        """Load a batch by LOAD DATA LOCAL; False where the server asks for no file, and nothing was taken.

        It ignores strict mode: what it says of data is in its warnings alone, and in the count.
        """
        batch = _Batch()
        self._begin_batch()
        try:
            with self._connection.offering(self._make_lines(batch, first, numbered, batch_rows)):
                count, warnings = self.execute(self._encoder.load_data(_OFFERED))
            if not batch.begun:
                self._streams = False
                self.note = "the server did not ask for the rows of LOAD DATA LOCAL: multi-row INSERT"
                return False
            whole = count == len(batch.rows) and not self._warnings(warnings)
        except pymysql.Error as error:
            if number_of(error) in _LOCAL_REFUSED and not batch.begun:
                self._streams = False
                self.note = f"LOAD DATA LOCAL is refused ({words_of(error)}): multi-row INSERT"
                return False
            if not is_of_the_row(error) or not batch.begun or error is self._connection.failed:
                raise
            whole = False
        self._settle(batch, whole=whole)
        return True

    def _make_lines(
        self, batch: _Batch, first: tuple[int, Values], numbered: Iterator[tuple[int, Values]], batch_rows: int
    ) -> Iterator[bytes]:
        """The lines of a batch in pieces; no row behind it is taken."""
        batch.begun = True
        piece: list[bytes] = []
        begin = 0
        for number, row in chain([first], numbered):
            if (line := self._encode(number, row)) is not None:
                batch.add(number, row, line)
                piece.append(line)
            if batch.size - begin >= _PIECE_BYTES:
                yield b"".join(piece)
                piece, begin = [], batch.size
            if len(batch.rows) >= batch_rows or batch.size >= BATCH_BYTES:
                break
        yield b"".join(piece)

    def _insert_all(self, numbered: Iterator[tuple[int, Values]], batch_rows: int) -> None:
        batch = _Batch()
        most = min(BATCH_BYTES, self._largest)
        for number, row in numbered:
            part = self._encode(number, row)
            if part is None:
                continue
            if batch.rows and (len(batch.rows) >= batch_rows or batch.size + len(part) > most):
                self._insert(batch)
                batch = _Batch()
            batch.add(number, row, part)
        self._insert(batch)

    def _encode(self, number: int, row: Values) -> bytes | None:
        try:
            if self._streams:
                line = self._encoder.line(row)
                # As a statement it would be at most twice as long, besides what is written around each value.
                if 2 * len(line) + 16 * len(row) <= self._largest:
                    return line
            literal = self._encoder.literal(row)
            if len(literal) > self._largest:
                raise Unfit(f"The row needs {len(literal)} bytes, and max_allowed_packet allows {self._largest}")
            return line if self._streams else literal
        except Unfit as error:
            self.refused.append(Refusal(number, row, str(error)))
            return None

    def _insert(self, batch: _Batch) -> None:
        if not batch.rows:
            return
        self._begin_batch()
        try:
            count, warnings = self.execute(self._encoder.insert + b",".join(batch.parts))
            whole = count == len(batch.rows) and not self._warnings(warnings)
        except pymysql.Error as error:
            if not is_of_the_row(error):
                raise
            whole = False
        self._settle(batch, whole=whole)

    def _settle(self, batch: _Batch, *, whole: bool) -> None:
        if whole:
            self.loaded += len(batch.rows)
        else:
            self._undo_batch()
            self._row_by_row(batch)

    def _begin_batch(self) -> None:
        """Before the first batch there is nothing in the transaction that it could take along."""
        self._is_first, self._has_batch = not self._has_batch, True
        self.execute("START TRANSACTION" if self._is_first else "SAVEPOINT batch")

    def claim(self, part: str) -> None:
        """Begin with a part's name, which no batch takes along."""
        begin(self.execute, part)
        self._has_batch = True

    def commit(self) -> None:
        if self._has_batch:
            self.execute("COMMIT")

    def _undo_batch(self) -> None:
        self.execute("ROLLBACK" if self._is_first else "ROLLBACK TO SAVEPOINT batch")
        if self._is_first:
            self.execute("START TRANSACTION")

    def _row_by_row(self, batch: _Batch) -> None:
        for number, row in batch.rows:
            self.execute("SAVEPOINT one_row")
            try:
                _, warnings = self.execute(self._encoder.insert + self._encoder.literal(row))
                words = self._warnings(warnings)
            except pymysql.Error as error:
                if not is_of_the_row(error):
                    raise
                words = words_of(error)
            if words:
                self.execute("ROLLBACK TO SAVEPOINT one_row")
                self.refused.append(Refusal(number, row, words))
            else:
                self.loaded += 1

    def execute(self, sql: str | bytes) -> tuple[int, int]:
        """Rows affected and warnings of a statement.

        :raises pymysql.Error: an error of a row, or one that the connection's owner explains.
        :raises LoadError: any other.
        """
        with self._connection.cursor() as cursor:
            try:
                rows = cursor.execute(sql)  # type: ignore[arg-type] # the driver takes bytes as they are
            except pymysql.Error as error:
                if self._is_expected(error) or explanation(self._url, error):
                    raise
                raise LoadError(f"The database refused rows: {words_of(error)}") from error
            return int(rows), cursor.warning_count

    def _is_expected(self, error: pymysql.Error) -> bool:
        return is_of_the_row(error) or (self._streams and number_of(error) in _LOCAL_REFUSED)

    def _warnings(self, count: int) -> str:
        """What the last statement warned of about data, so many times."""
        rows = asking(self._connection)("SHOW WARNINGS") if count else ()
        if len(rows) < count:
            # Beyond max_error_count a server only counts, and an ordinary user of MySQL may not change that.
            return f"{count} warnings, of which the server shows {len(rows)}"
        return "; ".join(dict.fromkeys(text for _, number, text in rows if int(number) not in _NOT_OF_DATA))


def is_of_the_row(error: pymysql.Error) -> bool:
    """Whether an error is about the values of a row, and another row may well go in."""
    number = number_of(error)
    return number in _OF_THE_ROW or (number == _OF_THE_ENGINE and _TOO_BIG in words_of(error))


def load(
    url: URL, tls_ca: Path | None, table: Table, rows: Iterable[Values], *, batch_rows: int, part: str = ""
) -> LoadResult:
    """Load rows in one transaction.

    :param rows: taken while the server reads those before them, and holds locks on the table.
    :raises LoadError: the server refused for a reason that is not a row's own.
    """
    options: dict[str, Any] = {"driver": _Loading, "local_infile": True, "conv": RAW}
    with connect_to(url, tls_ca, shared=True, session=(*AS_IT_IS, *patience_with(part)), **options) as connection:
        assert isinstance(connection, _Loading)  # noqa: S101 # asked for
        ask, database = asking(connection), current_of(connection)
        is_mariadb = version_of(connection).is_mariadb
        allowed, largest = connection.ask_limits()
        stored, triggered = look_at(table.name, url, ask, database, is_mariadb=is_mariadb)
        connection.meets_no_trigger = table.name not in triggered
        columns = columns_of(stored, table)
        encoder = Encoder(table.name, columns, keeps_minus_zero=not is_mariadb)
        load = _Load(url, connection, encoder, largest, streams=allowed and encoder.takes_files)
        if encoder.takes_files and not allowed:
            load.note = "local_infile is off on the server: multi-row INSERT"
        if part:
            load.claim(part)
        load.rows(rows, batch_rows)
        end_part(part, load.refused)
        refused = sorted(load.refused, key=lambda refusal: refusal.number)
        load.commit()
        # Behind the transaction: what is looked up may fail, and is nothing that the rows depend on.
        refused = name_equal_rows(ask, database, table, stored, refused)
    return LoadResult(load.loaded, refused, load.note)


def clear(url: URL, tls_ca: Path | None, tables: Sequence[str]) -> None:
    """Delete all rows of tables, whatever refers to them."""
    with connect_to(url, tls_ca, shared=True, session=AS_IT_IS) as connection, connection.cursor() as cursor:
        for name in tables:
            cursor.execute(f"TRUNCATE TABLE {quote(name)}")
