"""MySQL and MariaDB: rows taken out of the driver's buffer, many at a time.

The driver reads a packet by two calls and a cell by four, all of them in Python: a fifth of a whole run went there.
What lies in its buffer as complete, ordinary rows is taken apart here in one loop. Whatever else comes (the last
packet, an error, a row of 16 MiB, one that is not what the server announced) is left for the driver to read.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pymysql
from pymysql.constants import CR

BUFFER_BYTES = 1 << 18
"""Of what a connection has read ahead: it should hold many rows."""

_NULL, _TWO, _THREE, _EIGHT, _END = 251, 252, 253, 254, 254
"""What the first byte of a cell says of its length, and of a packet that is no row (MySQL internals manual, 14.1)."""
_HEADER = 4
_TEXT_ENCODINGS = frozenset({"utf8", "ascii"})


def texts_of(result: Any) -> list[bool] | None:
    """Which cells of a result's rows are text, and not bytes; None where the driver has to read the rows itself."""
    if any(converter is not None for _, converter in result.converters):
        return None
    encodings = [encoding for encoding, _ in result.converters]
    if not encodings or not _TEXT_ENCODINGS.issuperset(filter(None, encodings)):
        return None
    return [encoding is not None for encoding in encodings]


def take_rows(connection: pymysql.Connection[Any], texts: Sequence[bool]) -> list[tuple[Any, ...]]:
    """The rows that have arrived whole; none where the driver has to read the next packet.

    :raises pymysql.OperationalError: the connection was lost, in the driver's words.
    """
    driver: Any = connection
    try:
        data: bytes = driver._rfile.peek()
    except OSError as error:
        driver._force_close()
        words = f"Lost connection to MySQL server during query ({error})"
        raise pymysql.OperationalError(CR.CR_SERVER_LOST, words) from error
    rows: list[tuple[Any, ...]] = []
    sequence, start, size = driver._next_seq_id, 0, len(data)
    while start + _HEADER < size:
        begin = start + _HEADER
        end = begin + (data[start] | data[start + 1] << 8 | data[start + 2] << 16)
        if end > size or data[start + 3] != sequence or data[begin] >= _END:
            break
        row = _row(data, begin, end, texts)
        if row is None:
            break
        rows.append(row)
        sequence, start = (sequence + 1) % 256, end
    driver._rfile.read(start)
    driver._next_seq_id = sequence
    return rows


def _row(data: bytes, place: int, end: int, texts: Sequence[bool]) -> tuple[Any, ...] | None:
    """The cells between two places; None where they do not end there, or a text is none."""
    row: list[Any] = []
    try:
        for is_text in texts:
            size = data[place]
            place += 1
            if size > _NULL:
                if size == _TWO:
                    size = data[place] | data[place + 1] << 8
                    place += 2
                elif size == _THREE:
                    size = data[place] | data[place + 1] << 8 | data[place + 2] << 16
                    place += 3
                else:
                    return None
            elif size == _NULL:
                row.append(None)
                continue
            stop = place + size
            row.append(data[place:stop].decode() if is_text else data[place:stop])
            place = stop
    except (IndexError, UnicodeDecodeError):
        return None
    return tuple(row) if place == end else None
