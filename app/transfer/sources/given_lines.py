"""Lines of an export that are given on while it comes, to whoever loads them."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from ...dialects.model import Table
from ..rows.encode import TakeLines
from ..rows.header import Header
from ..rows.line_batches import Batch
from ..rows.received import TakeBatch


class GivenLines:
    """Gives lines on that are spelled as our own writer spells them, of one attempt.

    Whoever loads them looks for values of another type by how those are spelled.

    :param to: takes them.
    :param tables: what was announced; it expects rows of these.
    :ivar is_whole: nothing was given on but what the export has; False where that was not seen to the end.
    """

    def __init__(self, to: TakeLines, tables: Mapping[str, Table]) -> None:
        self._to, self._tables = to, tables
        self._has_begun = self._is_over = False
        self.is_whole = True

    def begin(self, header: Header) -> TakeBatch | None:
        """What takes the lines of an export that begins so; None where nobody does."""
        if self._has_begun or {table.name: table for table in header.tables} != self._tables:
            self._end()
            return None
        self._has_begun = True
        return self._take

    def _take(self, name: str, batch: Batch) -> None:
        if self._is_over:
            return
        if batch.has_tags and not _are_plain(batch.joined):
            self._end()
            return
        self._to(name, batch.joined, len(batch.lines))

    def _end(self) -> None:
        """What was given so far may be of another attempt, or more than was looked at: it is to be loaded anew."""
        self._is_over, self.is_whole = True, False


def _are_plain(lines: bytes) -> bool:
    """Whether lines are spelled as our own writer spells their rows."""
    return b",\n".join(map(orjson.dumps, orjson.loads(b"[%b]" % lines))) == lines
