"""What is read of a database: one consistent look at it, whatever server it lies on."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from typing import Any, Protocol

from .model import (
    Counter,
    Definition,
    ForeignKey,
    KeyRange,
    OutsideObject,
    SchemaObject,
    Table,
    Values,
    Where,
)


class Reader(Protocol):
    """One consistent read of a database."""

    def tables(self) -> dict[str, Table]:
        """All base tables by name, the engine's own and the server's left out."""

    def time_zone(self) -> str | None:
        """The zone in which the app's sessions read instants from columns that look as if they had none, or None."""

    def objects(self) -> list[SchemaObject]:
        """Views, triggers, indexes on their own and virtual tables, in an order that creates them.

        Of a table with rows of its own that :meth:`tables` does not have, the kind is ``virtual table``.
        """

    def definitions(self) -> list[Definition]:
        """Everything that the schema holds besides tables and columns, to be compared with another database's."""

    def numbers(self) -> dict[str, int]:
        """Numbers that an app may keep in the database itself, beside all tables: all that this kind has, by name."""

    def counters(self) -> list[Counter]:
        """Everything that gives out numbers, with the next one: never less than at the instant of this read.

        :raises DoesNotFit: the user may not read one of them.
        """

    def texts(self) -> list[str]:
        """Of :meth:`Dialect.app_reader`, for the rows read so far: where texts are not those stored, in sentences."""

    def outside(self) -> dict[str, list[str]]:
        """By table: what its values name that lies elsewhere on the server and goes with no row; in words, counted."""

    def unreadable_outside(self) -> list[str]:
        """What lies outside of the tables, and this user may not read, so that no copy can be whole; in words."""

    def outside_objects(self, excluded: Collection[str] = ()) -> Iterator[OutsideObject]:
        """What lies outside of the tables, with its content; each is read before the next.

        :param excluded: tables; what only these name is left out.
        """

    def count(self, table: str) -> int:
        """Rows of a table."""

    def counts(self, tables: Iterable[str]) -> dict[str, int]:
        """Rows of each of these tables: a server is asked once for many of them."""

    def rows(
        self, table: Table, dangling: ForeignKey | None = None, within: KeyRange | Where | None = None
    ) -> Iterator[Values]:
        """Canonical rows in the order of the primary key.

        :param dangling: only those which refer by this key of theirs to nothing, as the server compares the columns.
        :param within: only those of this range.
        :raises DoesNotFit: a value that no canonical form exists for, with table, column and key.
        """

    def rows_to_digest(self, table: Table) -> Iterator[Values]:
        """As :meth:`rows`, of a table whose :meth:`digest` is asked for behind the last of them."""

    def digest(self, table: Table) -> str | None:
        """What all values of a table sum up to, as cheaply as this server can say it; None where it cannot.

        Two tables of the same columns, in databases of one server, that have the same digest hold the same values.
        """

    def count_readable(self, table: str) -> int:
        """Rows of a table, all values of which are looked at as far as :meth:`rows` could refuse them.

        Only of a database that :meth:`whole` knows.

        :raises DoesNotFit: as :meth:`rows`.
        """

    def whole(self) -> str | None:
        """What the whole database is known by as it lies, without a look at any row; None where there is no such thing.

        Two databases of one server that are known by the same hold the same tables with the same values.
        """

    def values(self, table: Table, column: str) -> Iterator[Any]:
        """The canonical values of one column that are not NULL, in no order."""
