"""SQLite: a file is written by one process at a time, so nobody loads parts of it from elsewhere."""

from __future__ import annotations

from contextlib import AbstractContextManager

from sqlalchemy import URL

from ...errors import FerryError


class Sharing:
    """A room in which one loads."""

    def sharing(self, staging: URL) -> AbstractContextManager[None]:
        raise FerryError(f"{staging.database} is a file, which nobody loads from elsewhere.")
