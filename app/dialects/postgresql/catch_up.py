"""PostgreSQL: what a live schema has otherwise than its staging, found by the server and brought over.

Rows of the same key are compared as images, byte for byte (``*=``, manual, 9.25.6): 1.0 is not 1.00, a negative zero
not the other one. All statements of a round see one instant.

Foreign keys stay, and look at each row that is brought over. For the length of the transaction they are put off to its
end, so that the order of tables and rows does not matter; what ON DELETE does is done by them, and found afterwards.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import psycopg
from sqlalchemy import URL

from ..base import Fence
from ..model import Table, Values, Where
from ..rounds import CannotCatchUp, Memory, Pair, Round
from . import copy
from .connect import Connection, connect_to
from .differing import Differing, explain_refusals, same_rows
from .large import are_there
from .names import Place, quote
from .rules import ENABLE, TRIGGERS
from .scales import Scales
from .types import Declared

_REFERENCES = """
SELECT c.relname::text, k.conname::text, k.condeferrable, k.condeferred, k.convalidated
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND k.contype = 'f' AND k.conparentid = 0 ORDER BY 1, 2
"""
# Who refers to whom, and whether what happens to the latter's rows changes the former's.
_ACTIONS = """
SELECT c.relname::text, p.relname::text, k.confdeltype NOT IN ('a', 'r'), k.confupdtype NOT IN ('a', 'r')
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_class p ON p.oid = k.confrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND k.contype = 'f' AND (k.confdeltype NOT IN ('a', 'r') OR k.confupdtype NOT IN ('a', 'r'))
"""
_ODD = """
SELECT c.relhasrules OR c.relrowsecurity OR c.relhassubclass AND c.relkind <> 'p' OR EXISTS (
    SELECT FROM pg_inherits h WHERE h.inhrelid = c.oid) FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s
"""
_ALWAYS = """
SELECT a.attname::text FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = %s AND c.relname = %s AND a.attidentity = 'a'
"""


class PostgresqlRound(Differing):
    """One transaction over two schemas of a database.

    :param connection: in the transaction.
    """

    # Which tables can be compared

    def refuse(self, pair: Pair) -> None:
        for ours, theirs in zip(*self._both(pair), strict=True):
            if (ours.base, ours.kind, ours.modifier) != (theirs.base, theirs.kind, theirs.modifier):
                raise CannotCatchUp(f"{pair.live.name}.{ours.name} is of another type now")
        if are_there(self._connection) and any(column.base == "oid" for column in self._both(pair)[0]):
            raise CannotCatchUp(f"{pair.live.name} may name large objects")
        for schema, table in ((self._live, pair.live), (self._staging, pair.staged)):
            if self._ask(_ODD, schema, table.name) != [(False,)]:
                raise CannotCatchUp(f"{table.name} has rules, row security, or a table that inherits")
        if pair.added:
            with explain_refusals():
                self._refuse_various(pair)

    def _refuse_various(self, pair: Pair) -> None:
        """:raises CannotCatchUp: columns that were added have several values, or the rows are too few to tell."""
        names = [quote(name) for name in pair.added]
        one, other = ([f"{alias}.{name}" for name in names] for alias in "sf")
        sql = f"SELECT count(*), count(*) FILTER (WHERE NOT ({same_rows(one, other)})) "
        [(rows, others)] = self._ask(f"{sql} FROM {self._new(pair)} s, ({self._first(pair)}) f")
        if int(str(rows)) < 2 or others:
            raise CannotCatchUp(
                f"the rows of {pair.live.name} have several values in {', '.join(pair.added)}, or are too few"
            )

    def _first(self, pair: Pair) -> str:
        return f"SELECT {', '.join(map(quote, pair.added))} FROM {self._new(pair)} LIMIT 1"

    def rows(self, pair: Pair) -> Iterator[Values]:
        return self._readers[self._staging].rows(pair.staged, within=self._where(pair))

    def _where(self, pair: Pair) -> Where:
        names = ", ".join(self._key_of(pair, "s", "own"))
        numbers = ", ".join(f"c{number}" for number in range(len(pair.key)))
        return Where(f"({names}) IN (SELECT {numbers} FROM {self._keys[pair.staged.name]})")

    # What is brought over

    def apply(self, pairs: Sequence[Pair]) -> None:
        self._readers[self._staging].close_cursors()
        with explain_refusals(), self._without_triggers(), self._deferring():
            for number, pair in enumerate(pairs):
                if pair.added:
                    self._ask(f"CREATE TEMP TABLE ferry_first_{number} ON COMMIT DROP AS {self._first(pair)}")
            # So nothing refers to what goes but what goes, too, and ON DELETE does what it did to the live rows.
            for pair in pairs:
                self._update(pair)
            for pair in pairs:
                keys = self._keys[pair.staged.name]
                self._ask(f"DELETE FROM {self._new(pair)} s USING {keys} k WHERE {self._on(pair, 's')} AND NOT k.lives")
            for number, pair in enumerate(pairs):
                self._insert(pair, f"pg_temp.ferry_first_{number}")
            for pair in pairs if self._keep else ():
                self._keep_rows(pair, self._keep or "")

    def _keep_rows(self, pair: Pair, generation: str) -> None:
        keys, to = self._keys[pair.staged.name], f"{quote(generation)}.{quote(pair.staged.name)}"
        on = " AND ".join(f"{text} = k.c{number}" for number, text in enumerate(self._key_of(pair, "s", "g")))
        self._ask(f"DELETE FROM {to} g USING {keys} k WHERE {on}")
        source = f"{self._new(pair)} own WHERE {self._where(pair).condition}"
        if statement := copy.keep_rows(self._connection, self._staging, pair.staged.name, source, to):
            self._ask(statement)

    def list_acted_on(self, pairs: Sequence[Pair]) -> set[str]:
        actions, reached = self._ask(_ACTIONS, self._staging), set[str]()
        if not actions:
            return reached
        for pair in pairs:
            keys = self._keys[pair.staged.name]
            [(deleted, updated)] = self._ask(f"SELECT bool_or(NOT lives), bool_or(lives AND staged) FROM {keys}")
            name = pair.staged.name
            reached |= {c for c, p, on_delete, on_update in actions if p == name and (deleted and on_delete)}
            reached |= {c for c, p, on_delete, on_update in actions if p == name and (updated and on_update)}
        while more := {child for child, parent, *_ in actions if parent in reached} - reached:
            reached |= more
        return reached

    def find_dangling(self, pairs: Sequence[Pair] | None = None) -> str | None:
        """None: foreign keys are enforced, here as well."""
        del pairs
        return None

    def keep_scales(self, tables: Sequence[Table], unlike: str | None) -> None:
        """See :meth:`.rounds.Rounds.keep_scales`."""
        scales = Scales(self._readers[self._staging], self._readers[self._live], unlike)
        for statement in (one for table in tables for one in scales.statements(table)):
            self._ask(statement)

    @contextlib.contextmanager
    def _without_triggers(self) -> Iterator[None]:
        triggers = self._ask(TRIGGERS, self._staging)
        for table, name, _ in triggers:
            self._ask(f"ALTER TABLE {quote(self._staging)}.{quote(table)} DISABLE TRIGGER {quote(name)}")
        yield
        for table, name, enabled in triggers:
            self._ask(f"ALTER TABLE {quote(self._staging)}.{quote(table)} {ENABLE[enabled]} TRIGGER {quote(name)}")

    @contextlib.contextmanager
    def _deferring(self) -> Iterator[None]:
        """Foreign keys are looked at at the end, and are what they were then.

        :raises CannotCatchUp: one was not proved, and what is brought over could hide behind the rows it has.
        """
        keys = self._ask(_REFERENCES, self._staging)
        if unproved := [name for _, name, *_, proved in keys if not proved]:
            raise CannotCatchUp(f"the foreign key {unproved[0]} was not proved")
        fixed = [(table, name) for table, name, deferrable, *_ in keys if not deferrable]
        places = [(f"{quote(self._staging)}.{quote(table)}", quote(name)) for table, name in fixed]
        for table, name in places:
            self._ask(f"ALTER TABLE {table} ALTER CONSTRAINT {name} DEFERRABLE INITIALLY DEFERRED")
        self._ask("SET CONSTRAINTS ALL DEFERRED")
        yield
        self._ask("SET CONSTRAINTS ALL IMMEDIATE")
        for table, name in places:
            self._ask(f"ALTER TABLE {table} ALTER CONSTRAINT {name} NOT DEFERRABLE")

    def _update(self, pair: Pair) -> None:
        always = {name for (name,) in self._ask(_ALWAYS, self._staging, pair.staged.name)}
        keys, columns = {theirs for _, theirs in pair.pairs_of_key}, zip(*self._both(pair), strict=True)
        changes = [
            f"{quote(theirs.name)} = {_brought(ours, theirs)}"
            for ours, theirs in columns
            if theirs.name not in keys | always
        ]
        if changes:
            self._ask(
                f"UPDATE {self._new(pair)} s SET {', '.join(changes)} FROM {self._old(pair)} l, "
                f"{self._keys[pair.staged.name]} k WHERE {self._on(pair, 's')} AND {self._on(pair, 'l')} "
                "AND k.lives AND k.staged"
            )

    def _insert(self, pair: Pair, first: str) -> None:
        names = [quote(theirs) for _, theirs in pair.columns] + list(map(quote, pair.added))
        values = [_brought(*both) for both in zip(*self._both(pair), strict=True)]
        values += [f"f.{quote(name)}" for name in pair.added]
        place = f"{self._old(pair)} l JOIN {self._keys[pair.staged.name]} k ON {self._on(pair, 'l')} AND NOT k.staged"
        further = f" CROSS JOIN {first} f" if pair.added else ""
        # A row without a value for what was added would be left out with the others.
        if further and self._ask(f"SELECT 1 FROM {place} LIMIT 1") and not self._ask(f"SELECT 1 FROM {first}"):
            raise CannotCatchUp(f"no row of {pair.live.name} says what is in {', '.join(pair.added)}")
        self._ask(
            f"INSERT INTO {self._new(pair).removeprefix('ONLY ')} ({', '.join(names)}) OVERRIDING SYSTEM VALUE "
            f"SELECT {', '.join(values)} FROM {place}{further}"
        )


def _brought(ours: Declared, theirs: Declared) -> str:
    """The live value in the type that the column has in staging, which is that schema's own where somebody made it."""
    name = f"l.{quote(ours.name)}"
    return name if ours.spelled == theirs.spelled else f"{ours.as_text(name)}::{theirs.spelled}"


@contextlib.contextmanager
def begin_round(
    connection: Connection,
    live: str,
    staging: str,
    version_table: str,
    keep: str | None = None,
    memory: Memory | None = None,
) -> Iterator[PostgresqlRound]:
    """A transaction; it is kept where nothing was raised."""
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    try:
        with explain_refusals():
            # Types are spelled with their schemas; what is joined and sorted stays in memory a little longer.
            connection.execute("SET LOCAL search_path = pg_catalog")
            connection.execute("SET LOCAL work_mem = '64MB'")
            turn = PostgresqlRound(connection, live, staging, version_table, keep, memory)
        yield turn
    except BaseException:
        with contextlib.suppress(psycopg.Error):
            connection.execute("ROLLBACK")
        raise
    with explain_refusals():
        connection.execute("COMMIT")


class CatchingUp:
    """A room in which staging is brought to what was written meanwhile."""

    _tls_ca: Path | None
    _place: Callable[[URL], Place]
    _droppable_place: Callable[[URL], Place]
    version_table: str

    @contextlib.contextmanager
    def catching_up(
        self, live: URL, staging: URL, keep: URL | None = None, memory: Memory | None = None
    ) -> Iterator[Round]:
        kept_in = None if keep is None else self._droppable_place(keep).schema
        schemas = self._place(live).schema, self._droppable_place(staging).schema
        with (
            connect_to(staging, self._tls_ca, any_path=True) as connection,
            begin_round(connection, *schemas, self.version_table, kept_in, memory) as turn,
        ):
            yield turn

    def renew_copy(self, live: URL, copy: URL, fence: Fence, *, timeout_s: float) -> None:
        raise NotImplementedError  # here a swap moves the old database

    def keep_scales(self, staging: URL, tables: Sequence[Table], source: URL, unlike: URL | None = None) -> None:
        schemas = self._place(source).schema, self._droppable_place(staging).schema
        with (
            connect_to(staging, self._tls_ca, any_path=True) as connection,
            begin_round(connection, *schemas, self.version_table) as turn,
        ):
            turn.keep_scales(tables, None if unlike is None else self._place(unlike).schema)
