"""MySQL and MariaDB: parts that are loaded once; see :mod:`..once`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import URL

from ..once import MOST_WAITED_S, TABLE, begin_part, claim_words
from .connect import connect_to
from .names import database_of, refuse_live
from .read import asking


def begin(execute: Callable[[str], tuple[int, int]], part: str) -> None:
    """Begin a transaction with a part's name, if it has one; whoever has it in another one is waited for.

    :raises PartLoaded: it is in.
    """
    execute("START TRANSACTION")
    if part:
        begin_part(part, execute(f"INSERT IGNORE INTO {TABLE} VALUES ({claim_words(part)})")[0])


class Sharing:
    """A room in which several load."""

    _tls_ca: Path | None

    @contextlib.contextmanager
    def sharing(self, staging: URL) -> Iterator[None]:
        refuse_live(database_of(staging))
        patience = (f"lock_wait_timeout = {MOST_WAITED_S}",)
        with connect_to(staging, self._tls_ca, session=patience) as connection:
            ask = asking(connection)
            ask(f"CREATE TABLE {TABLE} (name VARCHAR(60) CHARACTER SET ascii PRIMARY KEY) ENGINE = InnoDB")
        yield
        with connect_to(staging, self._tls_ca, session=patience) as connection:
            asking(connection)(f"DROP TABLE {TABLE}")
