"""An application that draws numbers from sequences all the time, and remembers which it was given."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter

import pymysql

from tests.support.going import Going
from tests.support.servers.mariadb import MariaDB

ENDED = (1205, 1213)
"""What a transaction is answered that is to be tried again: its number is gone, and stays nobody's."""


class Drawing(Going):
    """Threads that draw: by themselves, in a transaction with a row, and by a column's default.

    :param sequence: rows go to ``numbered (id, how)``, of which ``id`` has its next number as default; None: none do.
    :ivar numbers: what was given out and acknowledged, in no order.
    :ivar rows: keys of the rows that were acknowledged.
    :ivar unexpected: errors, in words.
    """

    def __init__(self, server: MariaDB, database: str, sequence: str, *, rows: bool = True) -> None:
        self._server, self._database, self._sequence = server, database, sequence
        self.numbers, self.rows, self.unexpected = list[int](), set[int](), list[str]()
        super().__init__()
        ways = (self._draw, self._draw_with_row, self._insert) if rows else (self._draw, self._draw)
        self._begin_with(threading.Thread(target=self._go_on, args=(way,), daemon=True) for way in ways)

    def _go_on(self, way: object) -> None:
        assert callable(way)
        with self._server.connect(self._database) as connection:
            while not self._stop.wait(0.002):
                try:
                    way(connection)
                except pymysql.Error as error:
                    with contextlib.suppress(pymysql.Error):
                        connection.rollback()
                    if error.args[0] not in ENDED:
                        self.unexpected.append(str(error))

    def _ask(self, connection: pymysql.Connection[tuple[int, ...]], sql: str, *values: object) -> int:
        with connection.cursor() as cursor:
            cursor.execute(sql, values or None)
            row = cursor.fetchone()
            return int(row[0]) if row else 0

    def _draw(self, connection: pymysql.Connection[tuple[int, ...]]) -> None:
        self.numbers.append(self._ask(connection, f"SELECT NEXTVAL({self._sequence})"))

    def _draw_with_row(self, connection: pymysql.Connection[tuple[int, ...]]) -> None:
        """As SQLAlchemy does for a column with a ``Sequence``."""
        self._ask(connection, "BEGIN")
        number = self._ask(connection, f"SELECT NEXTVAL({self._sequence})")
        self.numbers.append(number)
        self._ask(connection, "INSERT INTO numbered (id, how) VALUES (%s, 'by hand')", number)
        self._ask(connection, "COMMIT")
        self.rows.add(number)

    def _insert(self, connection: pymysql.Connection[tuple[int, ...]]) -> None:
        number = self._ask(connection, "INSERT INTO numbered (how) VALUES ('default') RETURNING id")
        self.numbers.append(number)
        self.rows.add(number)

    def check(self, *, errors: bool = False) -> None:
        """No number was given out twice, and no row that was acknowledged is gone.

        :param errors: some are no fault: a table is not there for an instant, as a process was killed.
        """
        twice = [number for number, count in Counter(self.numbers).items() if count > 1]
        assert twice == [], f"{len(twice)} of {len(self.numbers)} numbers were given out twice"
        there = self._server.execute("SELECT id FROM numbered", database=self._database) if self.rows else []
        assert self.rows - {int(number) for (number,) in there} == set(), "acknowledged rows are gone"
        assert errors or self.unexpected == []
        assert len(self.numbers) > 20, "or this proves nothing"
