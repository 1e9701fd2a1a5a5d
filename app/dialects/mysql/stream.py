"""MySQL and MariaDB: the rows of one statement, streamed over a connection that others may need meanwhile."""

from __future__ import annotations

import pickle
import tempfile
from collections.abc import Iterator
from typing import Any

from pymysql.cursors import SSCursor

from ...errors import FerryError
from .packets import take_rows, texts_of


class Stream(SSCursor):
    """Rows of one statement as the server sends them; the connection is taken until the last one was read."""

    parked: Any = None

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """The rows, wherever they are by then."""
        texts = texts_of(self._result)  # type: ignore[attr-defined] # PyMySQL does not type it
        while self.parked is None:
            # Of a stream that somebody else ended the driver says that there are no more rows.
            if not self.is_open:
                raise FerryError("rows were being read from a connection that was used for something else")
            if texts and (rows := take_rows(self.connection, texts)):
                yield from rows
                continue
            row = self.fetchone()
            if row is None:
                return
            yield row
        while (row := pickle.load(self.parked)) is not None:  # noqa: S301 # an unnamed file that we wrote
            yield row

    @property
    def is_open(self) -> bool:
        return bool(self._result is not None and self._result.unbuffered_active)  # type: ignore[attr-defined] # PyMySQL does not type it

    def park(self) -> None:
        """Move what was not read yet to an unnamed file, so that the connection is free."""
        file = tempfile.TemporaryFile()  # noqa: SIM115 # closed when the stream is
        while self.is_open:
            pickle.dump(self.fetchone(), file, pickle.HIGHEST_PROTOCOL)
        file.seek(0)
        self.parked = file

    def abandon(self) -> None:
        """Read nothing more; the connection is of no use afterwards."""
        if self.is_open:
            self._result.unbuffered_active = False  # type: ignore[attr-defined] # PyMySQL does not type it
        self.end()

    def end(self) -> None:
        """Free the connection, whatever is still to come."""
        if self.parked is not None:
            self.parked.close()
        self.close()

    def __exit__(self, *error: object) -> None:
        """Who fails, or is interrupted, does not read the rest of a table before anybody hears of it."""
        if any(error):
            self.abandon()
        self.close()

    def close(self) -> None:
        """As of every cursor; where the connection is gone there is nothing more to be read from it."""
        if self.connection is not None and not self.connection.open and self.is_open:
            self._result.unbuffered_active = False  # type: ignore[attr-defined] # PyMySQL does not type it
        super().close()

    __del__ = close
