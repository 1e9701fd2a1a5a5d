"""What a snapshot says of itself before and after its data: as objects, as JSON, and read back, every type checked."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, cast

import orjson

from ...dialects.model import Column, Counter, ForeignKey, LogicalType, Table, TableChecksum
from .expect import (
    Unexpected,
    a_count,
    a_count_or_null,
    a_digest,
    a_flag,
    a_list,
    a_number_as_text,
    a_text,
    a_text_or_null,
    a_whole_number,
    an_instant,
    an_object,
    distinct,
    one_of,
    texts,
)
from .spelled import Spelled

FORMAT = "ferry-snapshot"
VERSION = 1
Kind = Literal["rows", "records"]
LARGEST_SCALE = 16383
"""PostgreSQL's, the largest of all servers (manual, 8.1.2)."""


@dataclass(frozen=True)
class AppliedProfile:
    """The profile that a snapshot's rows were anonymised with: its name, and a digest of all that it declares."""

    name: str
    digest: str

    def identity_of(self, identity: str) -> str:
        """A source's identity with this profile: another one than without, or with another declaration."""
        return f"{identity} anonymised: {self.name} {self.digest}"


@dataclass(frozen=True)
class Header:
    """What a snapshot says of itself before its data.

    :ivar source: the source for people, without a secret.
    :ivar identity: the source for comparison (see :mod:`.sources`).
    :ivar tables: of kind ``rows``: the tables in the order of their sections; of kind ``records``: empty.
    :ivar types: of kind ``records``: the record types.
    :ivar read_from: when reading began, ISO 8601 in UTC.
    :ivar notes: remarks about the extraction, e.g. waivers of whole tables.
    :ivar counters: what the source would give out next; a file of an earlier version has none.
    :ivar time_zone: in which the source's app read instants; None where it read them in UTC.
    :ivar profile: what the rows were anonymised with; None for rows as the source had them.
    :ivar numbers: what the app keeps in the database itself, beside all tables; of SQLite alone.
    """

    kind: Kind
    source: str
    identity: str
    read_from: str
    revision: str | None = None
    tables: tuple[Table, ...] = ()
    types: tuple[str, ...] = ()
    missing: dict[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    profile: AppliedProfile | None = None
    numbers: dict[str, int] = field(default_factory=dict)
    counters: tuple[Counter, ...] = ()
    time_zone: str | None = None

    @property
    def sections(self) -> tuple[str, ...]:
        return tuple(table.name for table in self.tables) if self.kind == "rows" else self.types


@dataclass(frozen=True)
class Footer:
    """What a snapshot says of itself after its data.

    :ivar spelled: what was seen of the sections' lines as they were written or read, and is not in the file.
    """

    checksums: dict[str, TableChecksum]
    read_until: str
    spelled: Mapping[str, Spelled] = field(default_factory=dict, compare=False)


@dataclass(frozen=True)
class Checked:
    """A snapshot file that was read through: it is whole, and nothing in it has to be looked at again.

    :ivar identity: of the file as it was then; see :func:`.files.identify`.
    """

    path: Path
    header: Header
    footer: Footer
    identity: tuple[int, ...]


def header_to_json(header: Header) -> dict[str, Any]:
    """A header as the first line has it."""
    common = {
        "format": FORMAT,
        "version": VERSION,
        "kind": header.kind,
        "source": header.source,
        "identity": header.identity,
        "revision": header.revision,
        "read_from": header.read_from,
        "missing": header.missing,
        "notes": list(header.notes),
    }
    if header.profile is not None:
        common["profile"] = {"name": header.profile.name, "digest": header.profile.digest}
    if header.numbers:
        common["numbers"] = header.numbers
    if header.time_zone is not None:
        common["time_zone"] = header.time_zone
    if header.kind == "records":
        return {**common, "types": list(header.types)}
    counters = {"counters": [_counter_json(one) for one in header.counters]} if header.counters else {}
    return {**common, "tables": [table_to_json(table) for table in header.tables], **counters}


def _counter_json(counter: Counter) -> dict[str, Any]:
    """The number as text: it may be beyond 64 bits, and a reader's numbers may be smaller still."""
    optional = {"table": counter.table, "column": counter.column, "cycles": counter.cycles}
    required = {"name": counter.name, "next": str(counter.next), "step": str(counter.step)}
    return required | {key: value for key, value in optional.items() if value}


def _counter_from_json(data: Any, place: str) -> Counter:
    members = an_object(data, place)
    return Counter(
        a_text(members.get("name"), f"{place}: name"),
        a_number_as_text(members.get("next"), f"{place}: next"),
        a_text(members.get("table", ""), f"{place}: table"),
        a_text(members.get("column", ""), f"{place}: column"),
        a_number_as_text(members.get("step", "1"), f"{place}: step"),
        a_flag(members.get("cycles", False), f"{place}: cycles"),
    )


def table_to_json(table: Table) -> dict[str, Any]:
    """A table's description as the header has it."""
    return {
        "name": table.name,
        "columns": [_column_json(column) for column in table.columns],
        "primary_key": list(table.primary_key),
        "unique": [list(names) for names in table.unique],
        "foreign_keys": [[list(key.columns), key.table, list(key.referred)] for key in table.foreign_keys],
    }


def _column_json(column: Column) -> dict[str, Any]:
    required: dict[str, Any] = {"name": column.name, "type": str(column.type), "nullable": column.nullable}
    optional = {"length": column.length, "scale": column.scale, "loose": column.loose or None}
    return required | {key: value for key, value in optional.items() if value is not None}


def table_from_json(data: Any, place: str = "table") -> Table:
    """The table of :func:`table_to_json`.

    :raises Unexpected: not such a description, or its keys are of columns that it does not have.
    """
    members = an_object(data, place)
    name = a_text(members.get("name"), f"{place}: name")
    place = f"table {name[:100]!r}"
    columns = tuple(
        _column_from_json(column, f"{place}: columns[{index}]")
        for index, column in enumerate(a_list(members.get("columns"), f"{place}: columns"))
    )
    names = distinct(tuple(column.name for column in columns), f"{place}: columns")
    return Table(
        name,
        columns,
        _find_type(members.get("primary_key"), names, f"{place}: primary_key"),
        tuple(
            _find_type(item, names, f"{place}: unique[{index}]")
            for index, item in enumerate(a_list(members.get("unique"), f"{place}: unique"))
        ),
        tuple(
            _foreign_key(item, names, f"{place}: foreign_keys[{index}]")
            for index, item in enumerate(a_list(members.get("foreign_keys"), f"{place}: foreign_keys"))
        ),
    )


def _column_from_json(data: Any, place: str) -> Column:
    members = an_object(data, place)
    scale = members.get("scale")
    return Column(
        a_text(members.get("name"), f"{place}: name"),
        LogicalType(one_of(members.get("type"), f"{place}: type", tuple(LogicalType))),
        a_flag(members.get("nullable"), f"{place}: nullable"),
        a_count_or_null(members.get("length"), f"{place}: length"),
        None if scale is None else a_whole_number(scale, f"{place}: scale", -LARGEST_SCALE, LARGEST_SCALE),
        a_flag(members.get("loose", False), f"{place}: loose"),
    )


def _find_type(value: Any, columns: tuple[str, ...], place: str) -> tuple[str, ...]:
    names = distinct(texts(value, place), place)
    if set(names) - set(columns):
        raise Unexpected(place, "a list of columns of this table")
    return names


def _foreign_key(data: Any, columns: tuple[str, ...], place: str) -> ForeignKey:
    parts = a_list(data, place)
    if len(parts) != 3:
        raise Unexpected(place, "three things: columns, table, the columns they refer to")
    child, referred = _find_type(parts[0], columns, place), texts(parts[2], place)
    if len(child) != len(referred):
        raise Unexpected(place, "as many columns as it refers to")
    return ForeignKey(child, a_text(parts[1], place), referred)


def header_from_json(data: Any) -> Header:
    """The header of :func:`header_to_json`; its format and version are the caller's to check.

    :raises Unexpected: something in it is of another kind.
    """
    members = an_object(data, "the header")
    kind = cast(Kind, one_of(members.get("kind"), "kind", ("rows", "records")))
    tables = tuple(
        table_from_json(item, f"tables[{index}]")
        for index, item in enumerate(a_list(members.get("tables", []), "tables"))
    )
    distinct(tuple(table.name for table in tables), "tables")
    missing = an_object(members.get("missing"), "missing")
    return Header(
        kind=kind,
        source=a_text(members.get("source"), "source"),
        identity=a_text(members.get("identity"), "identity"),
        read_from=an_instant(members.get("read_from"), "read_from"),
        revision=a_text_or_null(members.get("revision"), "revision"),
        tables=tables,
        types=distinct(texts(members.get("types", []), "types"), "types"),
        missing={name: a_text(reason, f"missing: {name}") for name, reason in missing.items()},
        notes=texts(members.get("notes"), "notes"),
        counters=tuple(
            _counter_from_json(item, f"counters[{index}]")
            for index, item in enumerate(a_list(members.get("counters", []), "counters"))
        ),
        profile=profile_from_json(members["profile"]) if "profile" in members else None,
        numbers={
            name: a_whole_number(number, f"numbers: {name[:100]}", -(2**31), 2**31 - 1)
            for name, number in an_object(members.get("numbers", {}), "numbers").items()
        },
        time_zone=a_text_or_null(members.get("time_zone"), "time_zone"),
    )


def profile_from_json(data: Any) -> AppliedProfile:
    """:raises Unexpected: it is none."""
    members = an_object(data, "profile")
    return AppliedProfile(
        a_text(members.get("name"), "profile: name"), a_text(members.get("digest"), "profile: digest")
    )


@dataclass(frozen=True)
class StatedFooter:
    """A footer as a file has it, not compared with anything yet."""

    footer: Footer
    complete: bool
    sha256: str
    blocks: tuple[str, ...]


def footer_from_json(data: Any) -> StatedFooter:
    """The footer of a snapshot.

    :raises Unexpected: something in it is of another kind.
    """
    members = an_object(data, "the footer")
    sections = an_object(members.get("sections"), "sections")
    blocks = a_list(members.get("blocks"), "blocks")
    return StatedFooter(
        Footer(
            {name: read_checksum(item, f"sections: {name[:100]}") for name, item in sections.items()},
            an_instant(members.get("read_until"), "read_until"),
        ),
        a_flag(members.get("complete"), "complete"),
        a_digest(members.get("sha256"), "sha256", 64),
        tuple(a_digest(item, f"blocks[{index}]", 16) for index, item in enumerate(blocks)),
    )


def read_checksum(data: Any, place: str) -> TableChecksum:
    """The rows and the checksum that a footer or a manifest states of a table.

    :raises Unexpected: they are none.
    """
    members = an_object(data, place)
    digits = a_digest(members.get("checksum"), f"{place}: checksum", 32)
    return TableChecksum(a_count(members.get("rows"), f"{place}: rows"), int(digits, 16))


def header_of(
    label: str,
    identity: str,
    revision: str | None,
    tables: dict[str, Table],
    *,
    counters: Sequence[Counter] = (),
    numbers: Mapping[str, int] | None = None,
    time_zone: str | None = None,
) -> Header:
    """The header of a rows snapshot, parents before children; columns by name, as ledgers and manifests take them."""
    return Header(
        kind="rows",
        source=label,
        identity=identity,
        read_from=now(),
        revision=revision,
        tables=tuple(map(sort_columns, order_parents_first(tables))),
        counters=tuple(counters),
        numbers=dict(numbers or {}),
        time_zone=time_zone,
    )


def sort_columns(table: Table) -> Table:
    """The table with its columns by name, so that two databases whose columns come in another order agree."""
    columns = tuple(sorted(table.columns, key=lambda column: column.name))
    return replace(table, columns=columns)


def order_parents_first(tables: dict[str, Table]) -> list[Table]:
    """Tables in an order where each comes after those it refers to; a cycle is cut where it is met."""
    ordered: dict[str, Table] = {}
    open_: set[str] = set()

    def visit(name: str) -> None:
        if name in ordered or name in open_ or name not in tables:
            return
        open_.add(name)
        for key in tables[name].foreign_keys:
            visit(key.table)
        ordered[name] = tables[name]

    for name in sorted(tables):
        visit(name)
    return list(ordered.values())


def now() -> str:
    """The present instant, ISO 8601 in UTC to the second."""
    return dt.datetime.now(dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class NotAHeader(ValueError):
    """A line is not the first one of a snapshot, or not of this version's; says why."""


def parse_header(line: bytes) -> Header:
    """What the first line of a snapshot says.

    :raises NotAHeader: it is none.
    """
    try:
        data = an_object(orjson.loads(line.removeprefix(b'{"header": ').removesuffix(b",")), "the header")
        if data.get("format") != FORMAT:
            raise NotAHeader("not the header of a snapshot (another format)")
        if (version := a_count(data.get("version"), "version")) != VERSION:
            raise NotAHeader(f"format version {version}; this program reads {VERSION}")
        return header_from_json(data)
    except (orjson.JSONDecodeError, Unexpected) as error:
        raise NotAHeader(f"not the header of a snapshot ({error})") from error
