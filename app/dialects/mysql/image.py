"""MySQL and MariaDB: a target at one instant, which its token and its backup are of."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import URL

from ..dumping import Dump
from ..reader import Reader
from . import dump
from .growing import Growing
from .read import MySqlReader


class MySqlImage:
    """A consistent read of the target, which its token and its backup are of, too.

    :param restore: restores a backup file that is being written.
    """

    def __init__(self, reader: MySqlReader, token: bytes, restore: Callable[[Growing, URL], None]) -> None:
        self.reader: Reader = reader
        self.token, self._own, self._restore = token, reader, restore

    def dump(self, to: Path) -> None:
        dump.dump(self._own.session, self._own.database, to)

    def _dump(self, growing: Growing) -> None:
        dump.dump(self._own.session, self._own.database, growing.path, growing)

    def begin_dump(self, to: Path) -> Dump:
        """No other session can see this instant, so all of the file is written by the reader's own."""
        growing = Growing(to)
        return Dump(
            here=functools.partial(self._dump, growing),
            restore=functools.partial(self._restore, growing),
        )
