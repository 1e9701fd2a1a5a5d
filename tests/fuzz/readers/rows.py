"""Files of rows: snapshots, classic files, rows set aside, and the JSON in them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from app.dialects.model import Column, LogicalType, Table
from app.dialects.values import is_json
from app.errors import SnapshotUnusable
from app.transfer.rows import strictjson
from app.transfer.rows.canonical import MODULUS
from app.transfer.rows.encode import Blocks, encode, hash_records, hash_rows, seal_of
from app.transfer.rows.expect import Unexpected
from app.transfer.rows.files import DAMAGED, open_plain
from app.transfer.rows.handwritten import canonical_row
from app.transfer.rows.header import Footer, Header, header_from_json
from app.transfer.rows.mended_json import mend
from app.transfer.rows.normal_json import normalise_json
from app.transfer.rows.received import write_received
from app.transfer.rows.row_check import NotARow, row_check
from app.transfer.rows.snapshot import SnapshotReader, check, check_file, is_anonymised, read_checked, rows_of
from app.transfer.rows.strictjson import NotKept, StrictJSONError
from app.transfer.set_aside.file import AsideFile
from app.transfer.sources.classic_file import ClassicFile

from ..target import Refused, expect, put, refusals

# Snapshots


def snapshot(data: bytes) -> None:
    """A file of any bytes, compressed or not."""
    _read_snapshot(put("snapshot.json", data))


def sealed_snapshot(data: bytes) -> None:
    """A snapshot whose digests fit what it says, as somebody makes it who knows how."""
    _read_snapshot(put("sealed.json", seal(data)))


def _read_snapshot(path: Path) -> None:
    is_anonymised(path)
    came = _receive(path)
    with refusals(f"{path}, line ", f"{path} "):
        try:
            checked = check_file(path)
        except SnapshotUnusable:
            expect(came is None, "what is refused as a file is taken as it comes")
            raise
        expect(came == (checked.header, checked.footer), "what is read as it comes is not what the file holds")
        _compare(checked.path, put("again.json", b"".join(_again(path))))
        if checked.header.kind == "rows":
            rows = [list(rows) for _, rows in read_checked(checked)]
            expect([len(part) for part in rows] == _counts(path), "read_checked() reads other rows")


def _receive(path: Path) -> tuple[Header, Footer] | None:
    """What is said of the same as it comes over a network, decompressed; None where it is refused."""
    try:
        with open_plain(path) as file:
            pieces = file.read()
        written = write_received(path.with_name("received.json"), (pieces[:50], pieces[50:]))
    except (SnapshotUnusable, *DAMAGED):
        return None
    return written.header, written.footer


def _again(path: Path) -> Iterator[bytes]:
    """The file as our own writer writes it."""
    with SnapshotReader(path) as reader:
        sections = [(name, list(lines)) for name, lines in reader.sections()]
    if reader.header.kind == "records":
        yield from encode(
            reader.header, [(name, hash_records(line.decode() for line, _ in lines)) for name, lines in sections]
        )
        return
    with SnapshotReader(path) as reader:
        tables = [(table, [values for values, _, _ in rows]) for table, rows in rows_of(reader)]
    yield from encode(reader.header, [(table.name, hash_rows(table, rows)) for table, rows in tables])


def _compare(path: Path, again: Path) -> None:
    """A file and what was made of what it says: nothing is lost on the way."""
    header, footer = check(path)
    other, same = check(again)
    expect(other == header, "a header comes back as another one")
    expect({name: total.rows for name, total in same.checksums.items()} == _rows(footer), "rows are lost")


def _rows(footer: Any) -> dict[str, int]:
    return {name: total.rows for name, total in footer.checksums.items()}


def _counts(path: Path) -> list[int]:
    header, footer = check(path)
    return [footer.checksums[table.name].rows for table in header.tables]


def seal(data: bytes) -> bytes:
    """The bytes with every digest in them that a reader compares, where they are a snapshot as far as that."""
    before, mark, footer = data.rpartition(b'\n"footer": ')
    if not mark:
        return data
    before += b"\n"
    body = footer.rstrip().removesuffix(b"}")
    try:
        stated = orjson.loads(body.rpartition(b',"seal":')[0] + b"}" if b',"seal":' in body else body)
        stated["sha256"] = hashlib.sha256(before).hexdigest()
        stated["blocks"], totals = _digests(before)
        for name, total in totals.items():
            if name in stated["sections"]:
                stated["sections"][name] = total
        body = orjson.dumps(stated).removesuffix(b"}")
    except (orjson.JSONDecodeError, TypeError, AttributeError, KeyError, RecursionError):
        body = body.rpartition(b',"seal":')[0] or body
    return before + b'"footer": ' + body + b',"seal":"' + seal_of(body) + b'"}}\n'


def _digests(before: bytes) -> tuple[list[str], dict[str, Any]]:
    """The hashes of a snapshot's blocks, and what its sections are."""
    first, *lines = before.splitlines()
    hashers: dict[str, Any] = {}
    try:
        header = header_from_json(orjson.loads(first.removeprefix(b'{"header": ').removesuffix(b",")))
        hashers = {table.name: _hasher(table) for table in header.tables}
    except (orjson.JSONDecodeError, Unexpected):
        pass
    blocks, totals, name = Blocks(), {}, ""
    for line in lines[1:]:
        if line.endswith(b": [") and line[:1] == b'"':
            name = str(orjson.loads(line[:-3]))
            totals[name] = [0, 0]
        elif line in (b"]", b"],", b"},"):
            name = ""
        elif name:
            row = line.removesuffix(b",")
            blocks.add(row)
            totals[name][0] += 1
            totals[name][1] += hashers.get(name, _hash_record)(row)
    stated = {name: {"rows": rows, "checksum": f"{total % MODULUS:032x}"} for name, (rows, total) in totals.items()}
    return blocks.finish(), stated


def _hash_record(line: bytes) -> int:
    return next(hash_records([line.decode(errors="replace")]))[1]


def _hasher(table: Table) -> Any:
    check_row = row_check(table)

    def hash_one(line: bytes) -> int:
        try:
            return next(hash_rows(table, [check_row(line)]))[1]
        except NotARow:
            return 0

    return hash_one


# JSON


def strict_json(data: bytes) -> None:
    """Text that the strict reader takes means the same to Python's; what it refuses, Python refuses or cannot keep."""
    text = _text(data)
    try:
        value = strictjson.loads(text)
    except StrictJSONError as error:
        _check_refusal(text, error)
        raise Refused from error
    expect(_plain(value) == _plain(_python(text)), "another value than json reads")
    raw, same = strictjson.read_one(text, mend)
    expect(_plain(strictjson.loads(raw)) == _plain(same), "the spelling of a value is another one")
    if isinstance(value, list):
        _check_list(text, value)
    elif isinstance(value, dict):
        _check_object(text, value)


def _check_refusal(text: str, error: StrictJSONError) -> None:
    try:
        value = _python(text)
    except (ValueError, RecursionError, ArithmeticError):
        return
    expect(isinstance(error, NotKept), f"refused as no JSON, and json reads {str(value)[:80]!r}: {error}")


def _check_list(text: str, value: list[Any]) -> None:
    try:
        items = list(strictjson.whole_list(text, mend))
    except StrictJSONError:
        expect(False, "a list is read as a value, and not by its elements")
    if not any(isinstance(item, dict) and strictjson.SPOILED in item for _, item in items):
        expect(_plain([item for _, item in items]) == _plain(value), "the elements of a list are others")
    expect(all("\n" not in raw for raw, _ in items), "an element is spelled on two lines")


def _check_object(text: str, value: dict[str, Any]) -> None:
    places = strictjson.members(text, mend)
    expect(list(places) == list(value), "an object has other members")
    for name, at in places.items():
        expect(_plain(strictjson.value_at(text, at)) == _plain(value[name]), "a member is another one")
    wanted = [("a",), ("a", "b")]
    lists, says = strictjson.envelope(text, wanted, mend)
    expect(set(says) | {place[0] for place in lists} == set(value), "an envelope loses a member")


def _python(text: str) -> Any:
    # Integers of thousands of digits are refused by int(); they are no less JSON.
    return json.loads(text, parse_float=Decimal, parse_int=strictjson.read_integer)


def _plain(value: Any) -> Any:
    """A value whose equality tells true from 1, and 1.0 from 1.00 as the texts they came from."""
    try:
        return _tell_types(value)
    except RecursionError:
        # Since Python 3.12 its parser goes deeper than functions may call themselves.
        return "too deep to be told"


def _tell_types(value: Any) -> Any:
    if isinstance(value, dict):
        return {"object": {name: _tell_types(item) for name, item in value.items()}}
    if isinstance(value, list):
        return [_tell_types(item) for item in value]
    return f"{type(value).__name__} {value}"


def mended_json(data: bytes) -> None:
    """Records that cannot be kept become ones that can, and say so."""
    text = _text(data)
    with refusals(own=(StrictJSONError,)):
        for raw, value in strictjson.whole_list(text, mend):
            spoiled = isinstance(value, dict) and strictjson.SPOILED in value
            again = strictjson.loads(raw)
            expect(not spoiled or again[strictjson.SPOILED], "a mended record does not say what was wrong")
            strictjson.sort_text(value)


def normal_json(data: bytes) -> None:
    """The normal form of a JSON column is JSON of the same value, and its own normal form."""
    text = _text(data)
    if not is_json(text):
        raise Refused
    normal = normalise_json(text)
    expect(is_json(normal), "the normal form is no JSON")
    expect(normalise_json(normal) == normal, "the normal form has another normal form")
    expect("\n" not in normal, "the normal form is on two lines")


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise Refused from error


# Classic files and rows set aside


def classic_file(data: bytes) -> None:
    """A ``data.json`` of any bytes: both shapes, with and without --set-aside."""
    path = put("data.json", data)
    with refusals(path):
        for set_aside in (None, True):
            file = ClassicFile(path, set_aside=set_aside)
            for name in file.types:
                for raw in file.records(name):
                    strictjson.loads(raw)


USERS = Table(
    "users",
    tuple(Column(str(kind).lower(), kind) for kind in LogicalType),
    (str(LogicalType.INT).lower(),),
)


def rows_set_aside(data: bytes) -> None:
    """A ``set-aside.json`` that somebody edited."""
    path = put("set-aside.json", data)
    with refusals(path):
        for _, name, number, _, row in AsideFile(path).rows():
            expect(number > 0 and name is not None, "a row without a number")
            values, wrong = canonical_row(USERS, row)
            if not wrong:
                line = orjson.dumps([values[name] for name in USERS.column_names])
                expect(list(row_check(USERS)(line)) == orjson.loads(line), "a row is no row of a snapshot")
