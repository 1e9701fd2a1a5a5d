"""What somebody else wrote, of any form: it is read, or refused by an error of ours that says where."""

from __future__ import annotations

import gzip
import json
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SnapshotUnusable
from app.transfer.rows.snapshot import SnapshotReader, check
from tests.support.site import ROOT

from .foreign import FOOTER, HEADER, JUNK, ODD, changed, parts, places, put, refusal_of
from .snapshots import USERS


def test_the_parts_make_a_good_snapshot(tmp_path: Path) -> None:
    assert check(put(tmp_path / "x.json", *parts()))[0].tables == (USERS,)


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


# Classic files
