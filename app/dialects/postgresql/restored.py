"""PostgreSQL: a restored schema that stands for a copy, as both are made of a dump by the same means."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy import URL

from .connect import connect_to
from .dump import make_comment
from .large import are_there
from .mark import comment_on, with_made
from .names import Place


class ForCopy:
    """A room in which a backup that was restored need not be copied once more."""

    _tls_ca: Path | None

    def _place(self, url: URL) -> Place:
        raise NotImplementedError

    def take_for_copy(self, source: URL, staging: URL) -> bool:
        """A copy would share large objects, which a restored schema has of its own."""
        origin, place = self._place(source), self._place(staging)
        with connect_to(staging, self._tls_ca, any_path=True) as connection:
            if are_there(connection):
                return False
            comment = with_made(comment_on(connection, origin.schema), [])
            connection.execute(make_comment(connection, place.schema, comment).encode())
        return True
