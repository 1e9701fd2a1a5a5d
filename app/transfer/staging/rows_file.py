"""The rows of a snapshot that are loaded: adapted to what staging is, problems found, exclusions kept out."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from ...dialects.model import Column, LogicalType, Table, TableChecksum, Values
from ...dialects.wording import count_of, count_rows
from ...errors import DoesNotFit
from ..rows.coerce import Coercion, coercion, is_out_of_place, is_shown
from ..rows.header import Checked
from ..rows.scratch import Aside, RowStore
from ..rows.snapshot import read_checked
from ..rows.spelled import Spelled
from ..rows.zones import parse_zone
from ..run.way_out import migrate_without


def _way_out(tables: list[str]) -> str:
    """What to type next; a column is not left out by an option."""
    if not tables:
        return "Add a revision that has it, or repair the source, then run again: flask db-migrate-data"
    return f"Add a revision that has it, or leave it out: {migrate_without(tables)}"


def _spelled_otherwise(name: str, schema: Iterable[str]) -> str:
    """What a server that folds names has in its place."""
    other = next((other for other in schema if other.lower() == name.lower()), None)
    return f": here it is called {other}, as this server folds the names of tables" if other else ""


def _way_to_accept(needed: list[str]) -> str:
    if needed:
        return "Stamp the source with the revision it is at (flask db stamp REVISION), or add these columns to it."
    return (
        "Stamp the source with the revision it is at (flask db stamp REVISION), or let what it lacks arrive empty: "
        "flask db-migrate-data --accept-missing"
    )


Read = Callable[[Collection[str]], Iterable[tuple[Table, Iterator[Values]]]]
"""Gives every table with its rows, but for those that are named."""


class RowsFile:
    """A ``rows`` snapshot as rows of a given schema, without those that are excluded or set aside.

    :param schema: the tables of staging at the snapshot's revision.
    :param time_zone: in which the source's app read instants, in the place of what the snapshot says.
    :param accept_missing: tables that the source lacks arrive empty, and columns NULL where they may be.
    :param read_all: gives every table with all its rows, where no file has them.
    :raises DoesNotFit: a table or a column with values that the schema does not have, or one that only the schema has.
    """

    def __init__(
        self,
        snapshot: Checked,
        schema: Mapping[str, Table],
        exclude: Collection[str],
        aside: Aside,
        time_zone: str | None = None,
        *,
        accept_missing: bool = False,
        read_all: Read | None = None,
    ) -> None:
        self._snapshot, self.schema = snapshot, schema
        self._read = read_all or (lambda besides: read_checked(self._snapshot, besides))
        self.missing: list[str] = []
        """Tables, and columns as ``table.column``, that the source lacks, which was accepted."""
        self._exclude = frozenset(exclude)
        self.aside = aside
        self.fixed: RowStore | None = None
        """Rows that come in the place of those of the same number."""
        self.header, self.checksums = snapshot.header, snapshot.footer.checksums
        self.zone = time_zone or self.header.time_zone
        self._shown: dict[str, list[int]] = {}
        self._places: dict[str, list[int]] = {}
        self._coercions: dict[str, list[tuple[int, Coercion]]] = {}
        self._strict: dict[str, list[tuple[int, Column]]] = {}
        self.tables = self._fit(schema)
        self._refuse_lacking(schema, accept_missing=accept_missing)

    def _fit(self, schema: Mapping[str, Table]) -> dict[str, Table]:
        extra: dict[str, list[str]] = {}
        fitted: dict[str, Table] = {}
        for table in self.header.tables:
            if table.name not in schema:
                extra[table.name] = []
                continue
            by_name = {column.name: column for column in schema[table.name].columns}
            self._places[table.name] = [i for i, column in enumerate(table.columns) if column.name in by_name]
            extra[table.name] = [column.name for column in table.columns if column.name not in by_name]
            columns = tuple(by_name[table.columns[i].name] for i in self._places[table.name])
            coercions = self._coercions_of(table, by_name)
            self._coercions[table.name] = [(place, change) for place, change in enumerate(coercions) if change]
            # What lies in such a column of such a source may be anything; of any other source it may not.
            sources = [table.columns[i] for i in self._places[table.name]]
            self._strict[table.name] = [
                (place, to)
                for place, (one, to) in enumerate(zip(sources, columns, strict=True))
                if to.loose > one.loose
            ]
            at_r = schema[table.name]
            fitted[table.name] = Table(table.name, columns, at_r.primary_key, at_r.unique, at_r.foreign_keys)
        problems = self._values_without_a_place(schema, {name: names for name, names in extra.items() if names})
        problems += [
            f"table {name}{_spelled_otherwise(name, schema)}"
            for name in extra
            if name not in schema and name not in self._exclude
        ]
        if problems:
            raise DoesNotFit(
                f"Revision {self.header.revision} has no place for what the source holds.",
                details=problems,
                hint=_way_out([name for name in extra if name not in schema and name not in self._exclude]),
            )
        unknown = sorted(self._exclude - set(extra) - set(schema))
        if unknown:
            raise DoesNotFit(
                f"--exclude names what has no rows to leave out: {', '.join(unknown)}.",
                hint="Leave it out of --exclude. A view, and a search index over another table, are made anew.",
            )
        return fitted

    def _coercions_of(self, table: Table, by_name: Mapping[str, Column]) -> list[Coercion | None]:
        """What is done to each column that has a place.

        :raises DoesNotFit: instants would be shown in a zone that is not known here.
        """
        pairs = [(table.columns[i], by_name[table.columns[i].name]) for i in self._places[table.name]]
        by_clock = [i for i in self._places[table.name] if is_shown(table.columns[i], by_name[table.columns[i].name])]
        if not by_clock or self.zone is None:
            return [coercion(*pair) for pair in pairs]
        zone = parse_zone(self.zone)
        if zone is None and table.name not in self._exclude:
            raise DoesNotFit(
                f"{table.name}.{table.columns[by_clock[0]].name} was read in the time zone {self.zone}, which is "
                "not known here.",
                hint="Say which one it is: FERRY_SOURCE_TIME_ZONE=Europe/Berlin, or an offset such as +02:00",
            )
        self._shown[table.name] = by_clock
        return [coercion(*pair, zone) for pair in pairs]

    @property
    def shown_columns(self) -> list[str]:
        """The columns whose instants are loaded as a clock of :attr:`zone` showed them."""
        names_of = {table.name: table.column_names for table in self.header.tables}
        by_table = {name: places for name, places in self._shown.items() if name not in self._exclude}
        return [f"{name}.{names_of[name][place]}" for name, places in by_table.items() for place in places]

    def instants(self) -> Iterator[tuple[str, str, Table, Values]]:
        """Every instant of :attr:`shown_columns`: the column, the instant, its table and row."""
        for table, rows in self._read(()):
            places = [] if table.name in self._exclude else self._shown.get(table.name, [])
            for row in rows if places else ():
                for place in places:
                    if type(row[place]) is str:
                        yield f"{table.name}.{table.column_names[place]}", row[place], table, row

    def _refuse_lacking(self, schema: Mapping[str, Table], *, accept_missing: bool) -> None:
        """What says it is at a revision has all that the revision has; else rows would arrive empty unnoticed."""
        has = {table.name: set(table.column_names) for table in self.header.tables}
        absent = [name for name in schema if name not in has and name not in self._exclude]
        # A snapshot of an older version has no virtual tables, and one of another server cannot have them.
        tables = sorted(name for name in absent if not schema[name].virtual)
        columns = sorted(
            (f"{name}.{column.name}", column.nullable)
            for name in schema.keys() & has.keys() - self._exclude
            for column in schema[name].columns
            if column.name not in has[name]
        )
        needed = [name for name, nullable in columns if not nullable]
        if needed or ((tables or columns) and not accept_missing):
            details = [f"table {name}" for name in tables]
            details += [f"column {name}{', which cannot be NULL' if name in needed else ''}" for name, _ in columns]
            raise DoesNotFit(
                f"The source is taken to be at revision {self.header.revision}, and lacks what that revision has.",
                details=details,
                hint=_way_to_accept(needed),
            )
        self.missing = [*tables, *(name for name, _ in columns)]

    def _values_without_a_place(self, schema: Mapping[str, Table], extra: Mapping[str, list[str]]) -> list[str]:
        counts: dict[str, int] = {}
        if not extra:
            return []
        for table, rows in self._read(()):
            places = [(n, table.column_names.index(n)) for n in extra.get(table.name, ())]
            if not places or table.name not in schema or table.name in self._exclude:
                continue
            for row in rows:
                for name, place in places:
                    if row[place] is not None:
                        key = f"column {table.name}.{name}"
                        counts[key] = counts.get(key, 0) + 1
        return [f"{name} ({count_of(values, 'value')})" for name, values in counts.items()]

    @property
    def path(self) -> Path:
        """The file."""
        return self._snapshot.path

    def move_to(self, path: Path) -> None:
        """The file has another name by now."""
        self._snapshot = replace(self._snapshot, path=path)

    def all_rows(self, besides: Collection[str] = ()) -> Iterator[tuple[Table, Iterator[Values]]]:
        """Every table of the schema with all its rows, those left out later included.

        :param besides: tables whose rows nobody needs.
        """
        for table, rows in self._read(besides):
            if table.name in self.tables:
                places = self._places[table.name]
                if places != list(range(len(table.columns))):
                    rows = _project(rows, places)
                changes = self._coercions[table.name]
                yield self.tables[table.name], _coerce(rows, changes) if changes else rows

    def rows(self, name: str) -> Iterator[Values]:
        """The rows of one table that are loaded."""
        for table, rows in self.all_rows():
            if table.name == name:
                yield from (row for _, row in self.kept_rows(table, rows))
                return

    def kept_rows(self, table: Table, rows: Iterable[Values]) -> Iterator[tuple[int, Values]]:
        """The rows that are neither excluded nor set aside, with their numbers from 1."""
        if table.name in self._exclude:
            return
        check = table.name in self.aside.tables()
        fixed = dict.fromkeys(self.fixed.counts()) if self.fixed else {}
        for number, row in enumerate(rows, 1):
            if not (check and self.aside.has(table.name, number)):
                yield number, (self._fix(table, number) if table.name in fixed else None) or row

    def known_checksum(self, table: Table) -> TableChecksum | None:
        """What the snapshot says of a table, where all of its rows are loaded as they stand in it; else None."""
        name = table.name
        if name in self.aside.tables() or name in (self.fixed.counts() if self.fixed else ()):
            return None
        stored = next(stored for stored in self.header.tables if stored.name == name)
        if self._coercions[name] or list(map(_hashed_as, stored.columns)) != list(map(_hashed_as, table.columns)):
            return None
        return self.checksums[name]

    def lines_of(self, table: Table, loaded: TableChecksum) -> Spelled | None:
        """The lines of a table in the file, where what was loaded is all of them as they stand there; else None."""
        lines = self._snapshot.footer.spelled.get(table.name)
        return lines if lines and self.known_checksum(table) == loaded else None

    def _fix(self, table: Table, number: int) -> Values | None:
        row = self.fixed.get(table.name, number) if self.fixed else None
        return [row[name] for name in table.column_names] if row else None

    def bring_in(self, fixed: RowStore) -> None:
        """From now on these rows are loaded, in the place of those that were set aside."""
        self.fixed = self.fixed or RowStore()
        for table, number, reason, row in fixed.rows():
            self.aside.take_back(table, number)
            self.fixed.add(table, number, reason, row)

    def out_of_place(self, table: Table, row: Values) -> str:
        """Why a row must not be loaded although the server would take it, or an empty text."""
        for place, column in self._strict[table.name]:
            if type(row[place]) is dict and is_out_of_place(column, row[place]):
                return f"column {column.name}: no application could read this value from a column of type {column.type}"
        return ""

    @property
    def excludes(self) -> bool:
        """Whether any table is left out."""
        return bool(self._exclude)

    def is_excluded(self, name: str) -> bool:
        return name in self._exclude


def fit_as_it_stands(stored: Table, table: Table) -> Table | None:
    """A table with the columns of a snapshot's in their order, where its rows are loaded as they stand; else None."""
    by_name = {column.name: column for column in table.columns}
    if by_name.keys() != {*stored.column_names}:
        return None
    columns = tuple(by_name[name] for name in stored.column_names)
    for one, to in zip(stored.columns, columns, strict=True):
        if coercion(one, to) or _hashed_as(one) != _hashed_as(to):
            return None
    return replace(table, columns=columns)


def is_looser(stored: Table, table: Table) -> bool:
    """Whether a table takes values that the app could not read again, and the snapshot's would not have."""
    loose = {column.name: column.loose for column in stored.columns}
    return any(column.loose > loose[column.name] for column in table.columns)


def _hashed_as(column: Column) -> tuple[str, bool]:
    """What a row's hash depends on, besides the values."""
    return column.name, column.type is LogicalType.JSON


def _project(rows: Iterator[Values], places: list[int]) -> Iterator[Values]:
    return ([row[place] for place in places] for row in rows)


def _coerce(rows: Iterator[Values], changes: list[tuple[int, Coercion]]) -> Iterator[Values]:
    for row in rows:
        for place, change in changes:
            if row[place] is not None:
                row[place] = change(row[place])
        yield row


def check_exclusions(rows: RowsFile) -> None:
    """Refuse to leave a table out while loaded rows refer to it.

    :raises DoesNotFit: names the referring tables and how many rows.
    """
    if not rows.excludes:
        return
    problems = []
    for table, values in rows.all_rows():
        keys = [key for key in table.foreign_keys if rows.is_excluded(key.table) and key.table != table.name]
        if rows.is_excluded(table.name) or not keys:
            continue
        referred = [places_of(table, key.columns) for key in keys]
        referring = sum(1 for row in values if any(all(row[i] is not None for i in places) for places in referred))
        if referring:
            verb = "refers" if referring == 1 else "refer"
            problems.append(f"{count_rows(referring)} of {table.name} {verb} to {', '.join(key.table for key in keys)}")
    if problems:
        raise DoesNotFit(
            "A table cannot be left out while other rows refer to it.",
            details=problems,
            hint="Exclude the referring tables as well, or neither.",
        )


def places_of(table: Table, names: Iterable[str]) -> list[int]:
    return [table.column_names.index(name) for name in names]
