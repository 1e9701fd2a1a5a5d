"""Records become rows: runs an app's adapters over a ``records`` snapshot and writes a ``rows`` snapshot.

The ledger of conservation is kept here: every record gives rows or is named, every key is used or waived, every natural
key finds its row, equal rows are counted as repeats and unequal ones with one key stop the run.
"""

from __future__ import annotations

import contextlib
import importlib
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from ...dialects.model import Table
from ...dialects.wording import count_of
from ...errors import DoesNotFit, FerryError, Misconfigured
from ..adapters import Accounts, Adapter, AdapterSet, Record, Row
from ..rows.canonical import decode_row, encode_row, from_python, row_hasher
from ..rows.encode import HashedLine, Written, write_snapshot
from ..rows.header import Checked, Header, order_parents_first, sort_columns
from ..rows.scratch import Keys
from ..rows.snapshot import SnapshotReader
from ..rows.strictjson import SPOILED, loads
from ..run.run import Run
from ..schema.alembic import Schema
from ..schema.recognise import recognise_tables
from .parts import PartWriter

MOST_PROBLEMS = 20
WITHHELD = "it is not said what is wrong, as that may be personal; a run without a profile says it"


@dataclass
class Adapted:
    """What adapters made of the records."""

    accounts: Accounts = field(default_factory=Accounts)
    records: Counter[str] = field(default_factory=Counter)
    row_repeats: Counter[str] = field(default_factory=Counter)
    spoiled: dict[str, dict[int, str]] = field(default_factory=dict)
    """By table the numbers of rows of records that could not be kept as they were, each with the reason."""


class _Finder:
    """Answers an adapter's questions from the scratch database."""

    def __init__(self, keys: Keys, types: tuple[str, ...]) -> None:
        self._keys, self._types = keys, types
        self.asking = ""

    def id(self, table: str, natural_key: str) -> int:
        number = self._keys.find_id(table, natural_key)
        if number is None:
            raise DoesNotFit(f"{self.asking} refers to {natural_key!r} in {table}, which no record made.")
        return number

    def has_type(self, record_type: str) -> bool:
        return record_type in self._types

    def expect(self, table: str, primary_key: Any) -> None:
        self._keys.expect(table, primary_key, self.asking)


class _Run:
    def __init__(
        self,
        adapters: AdapterSet,
        tables: dict[str, Table],
        parts: dict[str, PartWriter],
        keys: Keys,
        *,
        withhold: bool,
    ) -> None:
        self.result = Adapted()
        self._withhold = withhold
        self._adapters = adapters
        self._tables = tables
        self._hashers = {name: row_hasher(table) for name, table in tables.items()}
        self._parts = parts
        self._keys = keys
        self.problems: list[str] = []

    def adapt(self, adapter: Adapter, line: bytes, number: int, finder: _Finder) -> None:
        name = f"{adapter.record_type} record {number}"
        finder.asking = name
        fault = ""
        try:
            values = _object(loads(line.decode()), name)
            fault = str(values.pop(SPOILED, ""))
            record = Record(adapter.record_type, values, self.result.accounts, name)
            count = new = 0
            for table, row in adapter.function(record, finder):
                count += 1
                if self._add(adapter, table, row, name):
                    new += 1
                    if fault:
                        self.result.spoiled.setdefault(table, {})[self._parts[table].lines] = f"{name}: {fault}"
        except DoesNotFit as error:
            words = f"{error.message} (as it was sent: {fault})" if fault else error.message
            self._problem(f"{name}: {WITHHELD}" if self._withhold else words)
        except Exception as error:
            words = WITHHELD if self._withhold else str(error)
            raise FerryError(
                f"The adapter of {adapter.record_type!r} failed on {name}: {type(error).__name__}: {words}",
                hint="Fix it (docs/adapters.md), then run again: flask db-migrate-data",
            ) from error
        else:
            self._account(record, count)
            if fault and not new:
                self._problem(f"{name}: {fault}; it gives no row of its own that could be set aside")
        self.result.records[adapter.record_type] += 1

    def _account(self, record: Record, rows: int) -> None:
        if unaccounted := record.find_unaccounted():
            self._problem(f"{record.name}: no adapter reads or waives {', '.join(unaccounted)}")
        if not rows and not record.may_be_rowless:
            self._problem(f"{record.name} gives no row, and its adapter does not say why")

    def _problem(self, words: str) -> None:
        self.problems.append(words)
        if len(self.problems) >= MOST_PROBLEMS:
            raise refusal(self.problems)

    def _add(self, adapter: Adapter, name: str, row: Row, where: str) -> bool:
        """Keep a row, unless an equal one is there; returns whether none was."""
        table = self._tables.get(name)
        if table is None or name not in adapter.makes:
            raise DoesNotFit(f"{where}: its adapter makes a row of {name!r}, which it does not declare or nobody has.")
        if unknown := sorted(set(row) - set(table.column_names)):
            raise DoesNotFit(f"{where}: {name} has no column {', '.join(unknown)}.")
        values = []
        for column in table.columns:
            try:
                values.append(from_python(column, row.get(column.name)))
            except DoesNotFit as error:
                raise DoesNotFit(f"{where}: {name}.{error.message}") from error
            except TypeError as error:
                raise DoesNotFit(f"{where}: {name}.{column.name}: {error}") from error
        line = encode_row(values)
        key = table.key_of(values)
        match self._keys.add(name, key, self._hashers[name](values, line)):
            case "new":
                self._parts[name].add(line)
                self._remember(name, row)
                return True
            case "repeat":
                self.result.row_repeats[name] += 1
                return False
            case _:
                raise DoesNotFit(f"{where}: another row of {name} with the key {key} holds other values.")

    def _remember(self, table: str, row: Row) -> None:
        column = self._adapters.natural_keys.get(table)
        if column is not None and row.get(column) is not None:
            self._keys.name(table, str(row[column]), row["id"])


def refusal(problems: list[str]) -> DoesNotFit:
    return DoesNotFit(
        f"{count_of(len(problems), 'problem')} with records"
        + (", then stopped counting." if len(problems) >= MOST_PROBLEMS else "."),
        details=problems,
        hint="Fix the adapters (docs/adapters.md) or the source, then run again: flask db-migrate-data",
    )


def adapt(
    source: Path, to: Path, adapters: AdapterSet, tables: dict[str, Table], scratch: Path, *, withhold: bool = False
) -> tuple[Checked, Adapted]:
    """Adapt a whole snapshot; what is written, and the accounts.

    :param tables: the tables of the adapters' revision.
    :param scratch: a directory for files that are deleted again.
    :param withhold: say of a problem where it is, but nothing that may be a value of the record.
    :raises DoesNotFit: records that adapters cannot account for; up to 20 problems at once.
    """
    with SnapshotReader(source) as reader:
        header = reader.header
    with contextlib.ExitStack() as stack:
        keys = stack.enter_context(Keys(scratch))
        parts = {
            name: stack.enter_context(PartWriter(name, scratch / f"table-{index}.ndjson"))
            for index, name in enumerate(tables)
        }
        run = _Run(adapters, tables, parts, keys, withhold=withhold)
        finder = _Finder(keys, header.types)
        for record_type, lines in _in_order(source, adapters.in_order(list(header.types))):
            adapter = adapters.adapters[record_type]
            for number, (line, _) in enumerate(lines, 1):
                run.adapt(adapter, line, number, finder)
        for table, key, by in keys.find_missing():
            run._problem(f"{by} repeats {'a row' if withhold else f'the row {key}'} of {table}, which no record gave")
        if run.problems:
            raise refusal(run.problems)
        snapshot = _compose(to, header, adapters.revision, tables, parts)
        for part in parts.values():
            part.file.unlink()
    return snapshot, run.result


def _object(value: Any, name: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise DoesNotFit(f"{name} is not an object.")
    return value


def _in_order(source: Path, types: list[str]) -> Iterator[tuple[str, Iterator[HashedLine]]]:
    """The sections in an order of ours; the file is opened again where its own order is another."""
    waiting = list(types)
    while waiting:
        with SnapshotReader(source) as reader:
            for name, lines in reader.sections():
                if waiting and name == waiting[0]:
                    yield waiting.pop(0), lines


def _compose(
    to: Path, header: Header, revision: str, tables: dict[str, Table], parts: dict[str, PartWriter]
) -> Written:
    ordered = tuple(order_parents_first(tables))
    rows = Header(
        "rows", header.source, header.identity, header.read_from, revision, ordered, (), header.missing, header.notes
    )
    sections = ((table.name, _rehash(table, parts[table.name])) for table in ordered)
    return write_snapshot(to, rows, sections, keep_former=False)


def _rehash(table: Table, part: PartWriter) -> Iterator[HashedLine]:
    hash_row = row_hasher(table)
    for line, _ in part.finish().read():
        yield line, hash_row(decode_row(line), line)


def adapt_snapshot(
    run: Run, snapshot: Path, schema: Mapping[str, Table], to: Path, *, withhold: bool = False
) -> tuple[Checked, Adapted]:
    """Make rows of a snapshot's records.

    :param to: the file they go to.
    :param withhold: say nothing that may repeat a value.
    """
    tables = {name: sort_columns(table) for name, table in schema.items()}
    return adapt(snapshot, to, load_adapters(run), tables, to.parent, withhold=withhold)


def account(run: Run, result: Adapted | None, *, withhold: bool = False) -> None:
    """Put what the adapters waived and noted into the receipt.

    :param withhold: their own words may repeat a value, and nobody is to keep one.
    """
    if result is None:
        return
    report = run.report
    report.not_carried = dict(load_adapters(run).not_carried)
    for (record_type, key, reason), count in sorted(result.accounts.waived.items()):
        report.waived.append({"what": f"{record_type}.{key}", "records": count, "reason": reason})
    notes = result.accounts.notes.items()
    if withhold:
        names = sorted({record_type for (record_type, _), _ in notes})
        report.notes += [
            f"Adapters had remarks on records of {name}; a run without a profile says them" for name in names
        ]
        return
    for (record_type, text), number in sorted(notes):
        samples = ", ".join(result.accounts.samples[record_type, text])
        report.notes.append(f"{count_of(number, 'record')} of {record_type}: {text} ({samples})")


def load_adapters(run: Run) -> AdapterSet:
    """The host's adapters.

    :raises Misconfigured: the key is missing, or the module cannot be imported.
    :raises DoesNotFit: the app has no revision whose rows they make.
    """
    adapters = import_adapters(run.settings.adapters)
    if adapters.tables and adapters.revision not in run.schema.lineage():
        return replace(adapters, revision=_recognise(run, adapters))
    run.schema.require(adapters.revision, f"FERRY_ADAPTERS ({run.settings.adapters})")
    return adapters


_RECOGNISED: WeakKeyDictionary[Schema, str] = WeakKeyDictionary()
"""A run asks several times, and building revisions takes seconds."""


def _recognise(run: Run, adapters: AdapterSet) -> str:
    """The app's own revision that has the tables of the adapters.

    :raises DoesNotFit: none has.
    """
    if run.schema not in _RECOGNISED:
        recognition = recognise_tables(run.schema, adapters.tables, run.scratch)
        differences = [f"it lacks {name}" for name in (*recognition.extra_tables, *recognition.extra_columns)]
        differences += [f"it has {name} besides" for name in recognition.missing]
        if recognition.revision is None or differences:
            raise DoesNotFit(
                f"No revision in {run.schema.host.migrations} has the tables that the adapters of "
                f"{run.settings.adapters} make rows of.",
                details=[f"nearest is {recognition.revision}", *differences[:MOST_PROBLEMS]],
                hint="Make the first revision of the database as it is with flask db-adopt, or write adapters of your "
                "own (docs/adapters.md).",
            )
        _RECOGNISED[run.schema] = recognition.revision
    return _RECOGNISED[run.schema]


def import_adapters(name: str | None) -> AdapterSet:
    """The adapters of a module, and what it declares.

    :raises Misconfigured: there is no such module.
    """
    if name is None:
        raise Misconfigured(
            "Records of an API need adapters that say what they mean as rows, and FERRY_ADAPTERS is not set.",
            hint='Set FERRY_ADAPTERS = "module" (docs/adapters.md).',
        )
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise Misconfigured(f"FERRY_ADAPTERS: module {name} cannot be imported: {error}.") from error
    return AdapterSet.of(module)


def missing_tables(adapters: AdapterSet, types: Collection[str], why: dict[str, str]) -> dict[str, str]:
    """The tables that no record type of this source gives rows of, with the reason."""
    tables = {table for name in types for table in adapters.adapters[name].makes if name in adapters.adapters}
    lacking: dict[str, str] = {}
    for name, adapter in adapters.adapters.items():
        if name not in types:
            lacking.update({table: why.get(name, f"the source gives no {name}") for table in adapter.makes})
    # A type that is named as unavailable makes its tables missing, whatever another type may add to them.
    named = {t for name in why for t in adapters.adapters[name].makes[:1] if name in adapters.adapters}
    return {table: reason for table, reason in sorted(lacking.items()) if table not in tables or table in named}
