"""PostgreSQL: large objects brought into a database, and never one changed or deleted that was there before.

A number belongs to the whole database: the live tables, kept generations and other apps may name the object that has
it. So an object that is brought

- keeps its number where that is free;
- is the one that is there, where that has its content, owner, privileges and comment;
- has a new number otherwise, and whoever writes the rows that name it asks for that one.

A table of the control area says which objects were made for which staging schema. They are deleted with the schema, and
stay for good once that is live: a generation that is kept may name them after it.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg import sql
from sqlalchemy import URL

from ...errors import DoesNotFit, FerryError
from ..model import Grant, OutsideObject
from . import dump
from .connect import Connection, connect_to
from .large import PART_BYTES, find_digests, read_attributes
from .large_records import GROUP, Records
from .names import Place, database_of

T = TypeVar("T")

SHOWN = 5

_BOTH = ("SELECT", "UPDATE")


class ReadFailed(Exception):  # answered by whoever brings the objects
    """The source of the objects failed, and not the database that they are brought to; the cause says how."""


def _mark_errors(items: Iterable[T]) -> Iterator[T]:
    """:raises ReadFailed: for an error of the driver's."""
    source = iter(items)
    while True:
        try:
            item = next(source)
        except StopIteration:
            return
        except psycopg.Error as error:
            raise ReadFailed from error
        yield item


@dataclass
class Bringer:
    """Brings large objects for a staging schema.

    :param connection: in autocommit mode.
    :ivar renumbered: those that have another number here.
    """

    connection: Connection
    place: Place
    renumbered: dict[int, int] = field(default_factory=dict, init=False)
    _foreign: set[str] = field(default_factory=set, init=False)
    _has_table: bool = field(default=False, init=False)

    def __post_init__(self) -> None:
        self._records = Records(self.connection, self.place.target)
        self._has_records = self._records.exist()
        self._owners: dict[str, bool] = {}
        self._roles = {name for (name,) in self.connection.execute("SELECT rolname::text FROM pg_catalog.pg_roles")}
        [(self._user,)] = self.connection.execute("SELECT current_user::text").fetchall()

    def bring(self, objects: Iterable[OutsideObject]) -> list[str]:
        """Bring objects; what is not as it was, in sentences."""
        source = _mark_errors(objects)
        pending = next(source, None)
        while pending is not None:
            with self.connection.transaction():
                for _ in range(GROUP):
                    self._bring(pending)
                    pending = next(source, None)
                    if pending is None:
                        break
        return list(self._notes())

    def _bring(self, item: OutsideObject) -> None:
        wanted = self._translate(item)
        former = self._records.find_made(self.place.schema, item.number) if self._has_records else None
        draft = Draft(self.connection, item.number if former is None else former)
        for part in join_parts(_mark_errors(item.parts)):
            draft.add(part)
        draft.compare_end()
        if not draft.is_same or not self._has_attributes(draft.number, wanted):
            draft.part_with()
            draft.finish()
            self._set_attributes(draft.number, wanted)
            if not self._has_table:
                self._records.create()
                self._has_records = self._has_table = True
            self._records.add(self.place.schema, item.number, draft.digest, draft.number)
        if draft.number != item.number:
            self.renumbered[item.number] = draft.number

    def _translate(self, item: OutsideObject) -> OutsideObject:
        """An object with the owner and privileges that it can have here."""
        owner = item.owner if self._may_own(item.owner) else self._user
        grants = item.grants
        if grants is None:
            grants = frozenset(Grant(owner, privilege, grantable=False) for privilege in _BOTH)
        else:
            self._foreign |= {grant.role for grant in grants if grant.role not in ("", item.owner, *self._roles)}
            grants = frozenset(
                Grant(
                    owner if grant.role and grant.role == item.owner else grant.role, grant.privilege, grant.grantable
                )
                for grant in grants
                if grant.role in ("", item.owner) or grant.role in self._roles
            )
        if item.owner and owner != item.owner:
            self._foreign.add(item.owner)
        return OutsideObject(item.number, owner, item.comment, grants, iter(()))

    def _may_own(self, role: str) -> bool:
        if role not in self._roles:
            return False
        if role not in self._owners:
            how = "SET" if self.connection.info.server_version >= 160000 else "MEMBER"
            # To give it away, and to remove it again.
            query = "SELECT pg_catalog.pg_has_role(%s, %s) AND pg_catalog.pg_has_role(%s, 'USAGE')"
            [(may,)] = self.connection.execute(query, (role, how, role)).fetchall()
            self._owners[role] = bool(may)
        return self._owners[role]

    def _has_attributes(self, number: int, wanted: OutsideObject) -> bool:
        there = read_attributes(self.connection, number)
        return there is not None and self._comparable(there) == self._comparable(wanted)

    def _comparable(self, item: OutsideObject) -> tuple[str, str | None, frozenset[Grant]]:
        grants = item.grants
        if grants is None:
            grants = frozenset(Grant(item.owner, privilege, grantable=False) for privilege in _BOTH)
        return item.owner, item.comment, grants

    def _set_attributes(self, number: int, wanted: OutsideObject) -> None:
        place = sql.SQL("LARGE OBJECT {}").format(sql.Literal(number))
        run = self.connection.execute
        if wanted.comment is not None:
            run(sql.SQL("COMMENT ON {} IS {}").format(place, sql.Literal(wanted.comment)))
        if wanted.owner != self._user:
            run(sql.SQL("ALTER {} OWNER TO {}").format(place, sql.Identifier(wanted.owner)))
        grants = wanted.grants or frozenset()
        usual = {Grant(wanted.owner, privilege, grantable=False) for privilege in _BOTH}
        if not usual <= grants:
            run(sql.SQL("REVOKE ALL ON {} FROM {}").format(place, sql.Identifier(wanted.owner)))
        for grant in sorted(grants - (usual if usual <= grants else set()), key=repr):
            role = sql.Identifier(grant.role) if grant.role else sql.SQL("PUBLIC")
            further = sql.SQL(" WITH GRANT OPTION" if grant.grantable else "")
            privilege = sql.SQL("SELECT" if grant.privilege == "SELECT" else "UPDATE")
            run(sql.SQL("GRANT {} ON {} TO {}{}").format(privilege, place, role, further))

    def _notes(self) -> Iterator[str]:
        if self.renumbered:
            count = len(self.renumbered)
            what = "1 large object has another number" if count == 1 else f"{count} large objects have other numbers"
            pairs = ", ".join(f"{was} is now {number}" for was, number in list(self.renumbered.items())[:SHOWN])
            more = ", ..." if count > SHOWN else ""
            yield (
                f"{what} here, as other objects have theirs: {pairs}{more}. Columns of the type oid or lo name what is "
                "new; whatever else holds such a number (an integer, a text) was left as it is."
            )
        if self._foreign:
            yield (
                "Large objects have this user as owner, or lack privileges, in the place of roles that are not here or "
                f"that it may not act for: {', '.join(sorted(self._foreign))}."
            )


def bring_outside(url: URL, tls_ca: Path | None, place: Place, objects: Iterable[OutsideObject]) -> list[str]:
    """Bring objects of another database for a staging schema; what is not as it was, in sentences.

    :raises FerryError: as :func:`.dump.answering` says.
    :raises psycopg.Error: the objects' own database failed.
    """
    try:
        with dump.answering(url, DoesNotFit, f"Large objects cannot be brought to {database_of(url)}"):
            marked = _mark_errors(objects)
            if (first := next(marked, None)) is None:
                return []
            with connect_to(url, tls_ca, search_path=[place.schema]) as connection:
                return Bringer(connection, place).bring(chain([first], marked))
    except ReadFailed as error:
        raise (error.__cause__ or error) from None


def join_parts(parts: Iterable[bytes]) -> Iterator[bytes]:
    """A content in parts of one size, but for the last one."""
    buffer = bytearray()
    for part in parts:
        buffer += part
        while len(buffer) >= PART_BYTES:
            yield bytes(buffer[:PART_BYTES])
            del buffer[:PART_BYTES]
    if buffer:
        yield bytes(buffer)


class Draft:
    """A content on its way: compared with the object that has its number, and written from where it differs.

    :ivar number: of the object that has the content, at the end.
    :ivar is_same: the object that was there has all of it so far.
    """

    def __init__(self, connection: Connection, number: int) -> None:
        self._connection, self.number = connection, number
        self._digest = hashlib.sha256()
        self._size = self._written = 0
        there = connection.execute(
            "SELECT FROM pg_catalog.pg_largeobject_metadata WHERE oid = %s::oid", (number,)
        ).fetchone()
        self._free = there is None
        self.is_same = read_attributes(connection, number) is not None
        self._made = False

    @property
    def digest(self) -> bytes:
        return self._digest.digest()

    def add(self, part: bytes) -> None:
        if self.is_same and self._read(self.number, self._size, len(part)) != part:
            self.part_with()
        if not self.is_same:
            self._make()
            self._write(part)
        self._digest.update(part)
        self._size += len(part)

    def compare_end(self) -> None:
        """After all parts: an object that goes on behind them is not the one."""
        if self.is_same and self._read(self.number, self._size, 1):
            self.part_with()

    def _read(self, number: int, begin: int, length: int) -> bytes:
        row: Any = self._connection.execute(
            "SELECT pg_catalog.lo_get(%s::oid, %s::bigint, %s::int)", (number, begin, length), binary=True
        ).fetchone()
        return bytes(row[0])

    def part_with(self) -> None:
        """The object that was there is not the one: make another with what was the same so far."""
        if not self.is_same:
            self._make()
            return
        former, self.is_same = self.number, False
        self._make()
        size, self._size = self._size, 0
        while self._size < size:
            part = self._read(former, self._size, min(PART_BYTES, size - self._size))
            self._write(part)
            self._size += len(part)

    def _make(self) -> None:
        if self._made:
            return
        if self._free:
            with contextlib.suppress(psycopg.errors.UniqueViolation), self._connection.transaction():
                self._connection.execute("SELECT pg_catalog.lo_create(%s::oid)", (self.number,))
                self._made = True
        if not self._made:
            [(self.number,)] = self._connection.execute("SELECT pg_catalog.lo_create(0)").fetchall()
            self._made = True

    def _write(self, part: bytes) -> None:
        # What was never written is read as zeros: a hole stays one.
        if part.count(0) == len(part):
            return
        self._connection.execute(
            "SELECT pg_catalog.lo_put(%s::oid, %s::bigint, %b::bytea)", (self.number, self._size, part)
        )
        self._written = self._size + len(part)

    def finish(self) -> None:
        """:raises FerryError: the server does not give the content back."""
        if self._written < self._size:
            self._connection.execute(
                "SELECT pg_catalog.lo_put(%s::oid, %s::bigint, '\\x00'::bytea)", (self.number, self._size - 1)
            )
        if find_digests(self._connection, [self.number]).get(self.number) != self.digest:
            raise FerryError(
                f"The server does not give the content of a large object back as it was written: {self.number}."
            )


class Resolver:
    """The numbers that large objects have here which rows from elsewhere name."""

    def __init__(self, connection: Connection, place: Place) -> None:
        self._connection, self._staging = connection, place.schema
        self._records = Records(connection, place.target)

    def resolve(self, named: Collection[tuple[int, bytes]]) -> dict[tuple[int, bytes], int]:
        """Number and digest to the number here: of what was brought for this schema, else of what is there with that
        content; without those that are not here.
        """
        numbers: dict[tuple[int, bytes], int] = {}
        records = self._records.find_all(named) if self._records.exist() else []
        for staging, was, digest, number in records:
            if staging == self._staging:
                numbers[was, digest] = number
        # What was brought for this schema was read back then; a content is read again only where it may be another.
        candidates = {(was, digest): [was] for was, digest in set(named) - numbers.keys()}
        for _, was, digest, number in records:
            candidates.get((was, digest), []).append(number)
        digests = find_digests(self._connection, {number for those in candidates.values() for number in those})
        for (was, digest), those in candidates.items():
            if (here := next((number for number in those if digests.get(number) == digest), None)) is not None:
                numbers[was, digest] = here
        return numbers
