"""What somebody else wrote, of any form: it is read, or refused by an error of ours that says where."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import xxhash
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.model import Column, ForeignKey, LogicalType, Table
from app.errors import FerryError, SnapshotUnusable
from app.transfer.rows import files
from app.transfer.rows.encode import encode, hash_rows
from app.transfer.rows.files import WINDOW_BYTES, read_text
from app.transfer.rows.header import Header
from app.transfer.rows.normal_json import normalise_json
from app.transfer.rows.snapshot import SnapshotReader, check, is_snapshot
from app.transfer.sources.classic_file import ClassicFile
from tests.support.site import ROOT

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.sampled_from([-1, 0, 1, 2**63, 2**64, -(2**63), 1.5, 1e300]),
    st.sampled_from(["", "x", "zz" * 16, "0" * 32, "\0", "é", "9" * 5000, "2026-01-31", "2026-01-31T00:00:00", "rows"]),
)
JUNK = st.recursive(
    ODD, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
)

USERS = Table(
    "users",
    (Column("id", LogicalType.INT, nullable=False), Column("name", LogicalType.TEXT, length=20)),
    ("id",),
    (("name",),),
    (ForeignKey(("id",), "users", ("id",)),),
)


def parts(header: Header | None = None, rows: Any = ([1, "a"], [2, None])) -> tuple[Any, list[bytes], Any]:
    """A good snapshot in its parts: the header as JSON, the lines of data, the footer as JSON."""
    header = header or Header("rows", "s", "i", "2024-01-01T00:00:00Z", "0001", (USERS,))
    whole = b"".join(encode(header, [("users", hash_rows(USERS, rows))]))
    first, *data, last = whole.splitlines(keepends=True)
    footer = re.sub(rb',"seal":"[0-9a-f]+"\}\}\n$', b"}", last).removeprefix(b'"footer": ')
    return orjson.loads(first.removeprefix(b'{"header": ').removesuffix(b",\n")), data, orjson.loads(footer)


def put(path: Path, header: Any, data: list[bytes], footer: Any, *, keep_digest: bool = False) -> Path:
    """Write a snapshot of any parts, sealed as a good one is."""
    before = b'{"header": ' + json.dumps(header, separators=(",", ":")).encode() + b",\n" + b"".join(data)
    if not keep_digest and isinstance(footer, dict):
        footer = {**footer, "sha256": hashlib.sha256(before).hexdigest()}
    body = json.dumps(footer).encode().removesuffix(b"}")
    path.write_bytes(before + b'"footer": ' + body + b',"seal":"' + xxhash.xxh3_64_hexdigest(body).encode() + b'"}}\n')
    return path


def refusal_of(read: Callable[[], object]) -> str | None:
    """What an error of ours says, or None where there was none; any other error is a failure of the test."""
    try:
        read()
    except FerryError as error:
        return error.message
    return None


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a JSON value has values."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, item in items for place in places(item, (*at, key)))]


def changed(value: Any, at: tuple[Any, ...], to: Any) -> Any:
    """The value with another one at a place."""
    if not at:
        return to
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[at[0]] = changed(value[at[0]] if at[1:] else None, at[1:], to)
    return copy


def without(value: Any, at: tuple[Any, ...]) -> Any:
    """The value without what is at a place."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(at) == 1:
        del copy[at[0]]
    else:
        copy[at[0]] = without(value[at[0]], at[1:])
    return copy


def test_the_parts_make_a_good_snapshot(tmp_path: Path) -> None:
    assert check(put(tmp_path / "x.json", *parts()))[0].tables == (USERS,)


HEADER, _, FOOTER = parts()


@given(st.sampled_from(places(HEADER)), JUNK)
def test_any_header(tmp_path: Path, at: tuple[Any, ...], junk: Any) -> None:
    header, data, footer = parts()
    path = put(tmp_path / "x.json", changed(header, at, junk), data, footer)
    said = refusal_of(lambda: check(path))
    assert said is None or f"{path}, line " in said


@given(st.sampled_from([at for at in places(HEADER) if at]))
def test_any_header_that_lacks_something(tmp_path: Path, at: tuple[Any, ...]) -> None:
    header, data, footer = parts()
    path = put(tmp_path / "x.json", without(header, at), data, footer)
    said = refusal_of(lambda: check(path))
    assert said is None or f"{path}, line " in said


@given(st.sampled_from(places(FOOTER)), JUNK)
def test_any_footer(tmp_path: Path, at: tuple[Any, ...], junk: Any) -> None:
    header, data, footer = parts()
    changed_footer = changed(footer, at, junk)
    path = put(tmp_path / "x.json", header, data, changed_footer, keep_digest=at == ("sha256",))
    said = refusal_of(lambda: check(path))
    # Only what is not compared with anything may be another one.
    assert (
        at in (("read_until",), ("blocks",), ("blocks", 0)) or changed_footer == footer or f"{path}, line " in str(said)
    )


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("version", 2, "format version 2; this program reads 1"),
        ("version", 10**40, "version is not a count"),
        ("version", True, "version is not a count"),
        ("version", {}, "version is not a count"),
        ("kind", "columns", "kind is not one of rows, records"),
        ("tables", {}, "tables is not a list"),
        ("tables", [{}], "name is not a text"),
        ("read_from", "yesterday", "read_from is not an instant"),
        ("notes", "none", "notes is not a list"),
        ("missing", [], "missing is not an object"),
        ("profile", {"name": "x", "digest": 1}, "profile: digest is not a text"),
    ],
)
def test_what_a_header_may_not_say(tmp_path: Path, key: str, value: Any, words: str) -> None:
    header, data, footer = parts()
    with pytest.raises(SnapshotUnusable, match=re.escape(words)) as caught:
        check(put(tmp_path / "x.json", {**header, key: value}, data, footer))
    assert "line 1" in caught.value.message


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (("columns",), 5, "columns is not a list"),
        (("columns", 0, "type"), "geometry", "type is not one of"),
        (("columns", 0, "name"), "name", "not a list of names, each once"),
        (("columns", 0, "scale"), 10**12, "scale is not a whole number"),
        (("primary_key",), ["nothing"], "not a list of columns of this table"),
        (("foreign_keys", 0), [["id"], "users", []], "not as many columns"),
    ],
)
def test_what_a_table_may_not_be(tmp_path: Path, at: tuple[Any, ...], value: Any, words: str) -> None:
    header, data, footer = parts()
    with pytest.raises(SnapshotUnusable, match=words):
        check(put(tmp_path / "x.json", changed(header, ("tables", 0, *at), value), data, footer))


def test_two_tables_of_one_name(tmp_path: Path) -> None:
    header, data, footer = parts()
    with pytest.raises(SnapshotUnusable, match="tables is not a list of names, each once"):
        check(put(tmp_path / "x.json", {**header, "tables": header["tables"] * 2}, data, footer))


@pytest.mark.parametrize("value", ["3", -1, True, 2.0, None, 10**30, [2]])
def test_a_count_of_another_type(tmp_path: Path, value: Any) -> None:
    header, data, footer = parts()
    with pytest.raises(SnapshotUnusable, match="rows is not a count"):
        check(put(tmp_path / "x.json", header, data, changed(footer, ("sections", "users", "rows"), value)))


def test_a_footer_that_is_a_list(tmp_path: Path) -> None:
    header, data, footer = parts()
    path = put(tmp_path / "x.json", header, data, footer)
    lines = path.read_bytes().splitlines(keepends=True)
    for text in (b"[]", b'"footer": []', b"{}", b'"footer": {"x":[' * 1000):
        path.write_bytes(b"".join(lines[:-1]) + text + b"\n")
        with pytest.raises(SnapshotUnusable, match="not the footer"):
            check(path)


ROWS = JUNK | st.lists(JUNK | st.dictionaries(st.sampled_from(["$int", "$float", "$text", "$bytes"]), ODD), max_size=4)


@given(ROWS)
def test_any_row(tmp_path: Path, row: Any) -> None:
    header, data, footer = parts()
    path = put(tmp_path / "x.json", header, [*data[:2], json.dumps(row).encode() + b",\n", *data[2:]], footer)
    with pytest.raises(SnapshotUnusable, match="line "):
        check(path)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b'[1,"a"] x', "not a row"),
        (b'[1,"a"]]', "not a row"),
        (b"[" * 200_000, "not a row"),
        (b"[1e999999999,null]", "not a row"),
        (b"[" + b"9" * 1_000_000 + b',"a"]', "not a row"),
        (b'["1","a"]', "users.id is of type int"),
        (b'[{"$int":"' + b"9" * 5000 + b'"},"a"]', "users.id is of type int"),
        (b'[1,{"$text":5}]', "users.name is of type text"),
        (b'[1,"a","b"]', "3 values for the 2 columns"),
        (b"[" + b"[]," * 1_000_000 + b"[]]", "more values than the 2 columns"),
        (b"[" + b'"",' * 1_000_000 + b'""]', "more values than the 2 columns"),
        (b'[1,"' + b"x" * 2_000_000, "not a row"),
    ],
    ids=range(12),
)
def test_a_row_that_is_none(tmp_path: Path, line: bytes, words: str) -> None:
    header, data, footer = parts()
    with pytest.raises(SnapshotUnusable, match=f"line 4: .*{words}"):
        check(put(tmp_path / "x.json", header, [*data[:2], line + b",\n", *data[2:]], footer))


def test_a_long_row_is_read(tmp_path: Path) -> None:
    long = 'quote " backslash \\ line \n' * 200_000
    header, data, footer = parts(rows=([1, long], [2, None]))
    path = put(tmp_path / "x.json", header, data, footer)
    with SnapshotReader(path) as reader:
        [lines] = [[json.loads(line) for line, _ in lines] for _, lines in reader.sections()]
    assert lines == [[1, long], [2, None]]


def test_a_number_whose_exponent_nothing_can_hold_stays_as_it_is() -> None:
    assert normalise_json('{"b": 1.50, "a": 1e-99999999999999999999}') == '{"a":1e-99999999999999999999,"b":15e-1}'


# Bombs


PACK: dict[str, Callable[[bytes], bytes]] = {
    ".gz": lambda text: gzip.compress(text, 1),
    ".zst": zstandard.compress,
}
MOST_MIB = 800
"""A line of 256 MiB is held twice while it is put together, besides the program."""


@pytest.mark.parametrize("suffix", PACK)
@pytest.mark.parametrize("place", ["header", "row", "classic"])
def test_a_packed_file_of_one_endless_line(tmp_path: Path, suffix: str, place: str) -> None:
    path = tmp_path / f"data.json{suffix}"
    start = {
        "header": b'{"header": {"format":"ferry-snapshot","version":1,',
        "row": b'{"header": ' + orjson.dumps(HEADER) + b',\n"data": {\n"users": [\n[1,"',
        "classic": b'{"users": [',
    }[place]
    path.write_bytes(PACK[suffix](start + b" " * (600 << 20)))
    # A program of its own whose memory has an end.
    program = (
        "import sys; from pathlib import Path; from app.errors import SnapshotUnusable\n"
        "from app.transfer.rows.snapshot import check, is_snapshot\n"
        "from app.transfer.sources.classic_file import ClassicFile\n"
        "path = Path(sys.argv[1])\n"
        "try:\n    check(path) if is_snapshot(path) else ClassicFile(path)\n"
        "except SnapshotUnusable as error:\n    print(error.message)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (MOST_MIB << 20, MOST_MIB << 20)),
    )
    assert done.stderr == ""
    assert {"header": "line 1: ", "row": "line 4: ", "classic": "is longer than 256 MiB"}[place] in done.stdout
    assert str(path) in done.stdout


def test_a_frame_that_asks_for_a_huge_window(tmp_path: Path) -> None:
    path = tmp_path / "data.json.zst"
    # RFC 8878, 3.1.1.1.2: an exponent of 21 above 2^10.
    path.write_bytes(b"\x28\xb5\x2f\xfd" + bytes([0, 21 << 3]) + b"\x01\x00\x00")
    assert WINDOW_BYTES < 1 << 31
    assert not is_snapshot(path)
    with pytest.raises(SnapshotUnusable, match="damaged"):
        ClassicFile(path)


def test_a_text_that_is_too_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "MOST_TEXT_BYTES", 1 << 20)
    path = tmp_path / "data.json"
    path.write_bytes(b" " * (1 << 20))
    assert len(read_text(path)) == 1 << 20
    path.write_bytes(b" " * ((1 << 20) + 1))
    with pytest.raises(SnapshotUnusable, match=f"{path} is longer than 1 MiB"):
        read_text(path)


# Classic files


@given(JUNK, st.sampled_from(["whole", "users", "_metadata", "failed"]))
def test_any_classic_file(tmp_path: Path, junk: Any, place: str) -> None:
    said: Any = {"users": [{"id": 1}], "_metadata": {"failed_endpoints": []}}
    said = {
        "whole": junk,
        "users": {**said, "users": junk},
        "_metadata": {**said, "_metadata": junk},
        "failed": {**said, "_metadata": {"failed_endpoints": junk}},
    }[place]
    path = tmp_path / "data.json"
    path.write_text(json.dumps(said))

    def read() -> None:
        file = ClassicFile(path)
        for name in file.types:
            list(file.records(name))

    said_of_it = refusal_of(read)
    assert said_of_it is None or str(path) in said_of_it
