"""SQLite: what a file is known by as it lies, page by page."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import xxhash

from .names import is_area

PIECE_BYTES = 1 << 20

# What a copy by SQLite's own API sets anew (sqlite.org/fileformat.html, 1.3): the versions of reading and writing,
# which say whether there is a WAL; the counter of changes; the counter of schemas; for which counter the number of the
# last library holds, and that number.
_OWN = (slice(18, 20), slice(24, 28), slice(40, 44), slice(92, 100))
_HEADER_BYTES = 100


def digest_of_pages(connection: sqlite3.Connection) -> str | None:
    """XXH3-128 of a database's pages, without what no copy of it has; None where the file is not all of it.

    None of a file that is not of our own area either: to close it would give up every lock that this process has on it
    (sqlite.org/howtocorrupt.html, 2.2).

    :param connection: in a read transaction, so that the file stays as it is.
    """
    ((_, _, file),) = connection.execute("PRAGMA database_list").fetchall()[:1]
    ((mode,),) = connection.execute("PRAGMA main.journal_mode").fetchall()
    # What was written last may lie in the WAL, or in the memory of this connection.
    if not file or not any(map(is_area, Path(file).parents)) or mode == "wal" or connection.total_changes:
        return None
    digest = xxhash.xxh3_128()
    with Path(file).open("rb") as pages:
        header = bytearray(pages.read(_HEADER_BYTES))
        for part in _OWN:
            header[part] = bytes(part.stop - part.start)
        digest.update(header)
        while piece := pages.read(PIECE_BYTES):
            digest.update(piece)
    return digest.hexdigest()
