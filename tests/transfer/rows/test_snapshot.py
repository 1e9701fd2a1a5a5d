"""The snapshot file: lossless, refused when anything of it is missing or another, safe while it is written."""

from __future__ import annotations

import contextlib
import json
import re
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.dialects.model import Column, LogicalType, Table, Values
from app.errors import SnapshotUnusable
from app.transfer.rows import snapshot
from app.transfer.rows.canonical import checksum
from app.transfer.rows.encode import encode, hash_rows
from app.transfer.rows.files import write
from app.transfer.rows.header import Header
from app.transfer.rows.snapshot import (
    BLOCK_LINES,
    SnapshotReader,
    check,
    check_file,
    is_snapshot,
    read_checked,
    rows_of,
)
from tests.transfer.strategies import JSON_VALUES, ROWS, TABLE

from .snapshots import SUFFIXES, USERS, header, store


def load(path: Path) -> dict[str, list[Values]]:
    with SnapshotReader(path) as reader:
        return {table.name: [row for row, _, _ in rows] for table, rows in rows_of(reader)}


@pytest.fixture
def small(tmp_path: Path) -> Path:
    empty = Table("empty", (Column("x", LogicalType.ANY),))
    return store(tmp_path / "data.json", header(USERS, empty), [[1, "a"], [2, None]], [])


# Round trips


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(first=ROWS, second=ROWS)
def test_rows_come_back(tmp_path: Path, suffix: str, first: list[Values], second: list[Values]) -> None:
    other = Table("other", TABLE.columns)
    path = store(tmp_path / f"data{suffix}", header(TABLE, other), first, second)
    assert repr(load(path)) == repr({TABLE.name: first, "other": second})
    _, footer = check(path)
    assert footer.checksums == {TABLE.name: checksum(TABLE, first), "other": checksum(other, second)}


@pytest.mark.parametrize("suffix", SUFFIXES)
@given(records=st.lists(st.dictionaries(st.sampled_from(["id", "x", "ü"]), JSON_VALUES), max_size=6))
def test_records_come_back_as_they_were_spelled(tmp_path: Path, suffix: str, records: list[dict[str, Any]]) -> None:
    texts = [json.dumps(record, ensure_ascii=False) for record in records]
    head = Header("records", "s", "i", "2024-01-01T00:00:00Z", "0001", types=("a", "b"))
    path = store(tmp_path / f"data{suffix}", head, texts, [])
    with SnapshotReader(path) as reader:
        found = {name: [line.decode() for line, _ in lines] for name, lines in reader.sections()}
    assert found == {"a": texts, "b": []}


def test_it_is_json_with_one_row_a_line(small: Path) -> None:
    text = small.read_text()
    document = json.loads(text)
    assert document["data"] == {"users": [[1, "a"], [2, None]], "empty": []}
    assert document["header"]["format"] == "ferry-snapshot"
    assert document["footer"]["complete"] is True
    assert '\n[1,"a"],\n[2,null]\n' in text


def test_a_section_need_not_be_read_to_be_checked(small: Path) -> None:
    with SnapshotReader(small) as reader:
        assert [name for name, _ in reader.sections()] == ["users", "empty"]
        assert reader.footer


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_it_is_recognised_by_its_content(tmp_path: Path, suffix: str) -> None:
    path = store(tmp_path / f"data{suffix}", header(USERS), [[1, "a"]])
    path.rename(tmp_path / "other")
    assert is_snapshot(tmp_path / "other")
    assert load(tmp_path / "other") == {"users": [[1, "a"]]}


@pytest.mark.parametrize(
    "content", [b"", b"[]", b"{}", b'{"header": {}}', b"\x1f\x8b", b"\x1f\x8b\x08\x00junk", b"(\xb5/\xfd"]
)
def test_other_files_are_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x").write_bytes(content)
    assert not is_snapshot(tmp_path / "x")
    with pytest.raises(SnapshotUnusable, match="line 1"):
        check(tmp_path / "x")


# What was cut off or edited


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_cut_off_at_every_byte(small: Path, tmp_path: Path, suffix: str) -> None:
    path = store(tmp_path / f"cut{suffix}", header(USERS), [[1, "a"], [2, None]])
    whole = path.read_bytes()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        said = refusal(path)
        if said is None:
            # All of it can be there without the end of the compressed frame; then nothing is lost.
            assert suffix == ".json.zst"
            assert load(path) == {"users": [[1, "a"], [2, None]]}
        else:
            assert re.search(r", line \d+: ", said), (length, said)


def refusal(path: Path) -> str | None:
    try:
        check(path)
    except SnapshotUnusable as error:
        return error.message
    return None


def test_every_edit_of_a_single_byte(small: Path) -> None:
    whole = small.read_bytes()
    for place in range(len(whole)):
        for other in {whole[place] ^ 1, whole[place] ^ 32, ord("\n")} - {whole[place]}:
            small.write_bytes(whole[:place] + bytes([other]) + whole[place + 1 :])
            with pytest.raises(SnapshotUnusable, match=r", line \d+: "):
                check(small)


def test_every_byte_that_is_left_out_or_doubled(small: Path) -> None:
    whole = small.read_bytes()
    for place in range(len(whole)):
        for edited in (whole[:place] + whole[place + 1 :], whole[: place + 1] + whole[place:]):
            if edited != whole:
                small.write_bytes(edited)
                with pytest.raises(SnapshotUnusable, match=r", line \d+: "):
                    check(small)


@pytest.mark.parametrize("suffix", [".json.gz", ".json.zst"])
def test_edits_of_a_compressed_file_are_refused_or_change_nothing(tmp_path: Path, suffix: str) -> None:
    path = store(tmp_path / f"data{suffix}", header(USERS), [[1, "a"], [2, None]])
    whole = path.read_bytes()
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x11]) + whole[place + 1 :])
        with contextlib.suppress(SnapshotUnusable):
            check(path)
            assert load(path) == {"users": [[1, "a"], [2, None]]}


@pytest.mark.parametrize("extra", [b"\n", b" ", b"{}", b"\x00"])
def test_text_behind_the_end(small: Path, extra: bytes) -> None:
    small.write_bytes(small.read_bytes() + extra)
    with pytest.raises(SnapshotUnusable, match="behind the footer"):
        check(small)


def lines_of(path: Path) -> list[str]:
    return path.read_text().splitlines(keepends=True)


@pytest.fixture
def long(tmp_path: Path) -> Path:
    """Four blocks of lines."""
    return store(tmp_path / "long.json", header(USERS), [[number, f"n{number}"] for number in range(4 * BLOCK_LINES)])


def test_an_edit_is_named_within_a_hundred_lines(long: Path) -> None:
    lines = lines_of(long)
    lines[253] = lines[253].replace("n", "m")
    long.write_text("".join(lines))
    with pytest.raises(SnapshotUnusable) as caught:
        check(long)
    place = re.search(r"line (\d+): .* and line (\d+)", caught.value.message)
    assert place
    assert int(place[1]) <= 254 <= int(place[2]) <= int(place[1]) + BLOCK_LINES


@pytest.mark.parametrize("cut", [slice(10, 11), slice(103, 203), slice(303, 402), slice(302, 403)])
def test_lines_that_were_taken_out(long: Path, cut: slice) -> None:
    lines = lines_of(long)
    del lines[cut]
    long.write_text("".join(lines))
    with pytest.raises(SnapshotUnusable, match=r", line \d+: "):
        check(long)


def test_whole_blocks_that_were_taken_out_of_the_end(long: Path) -> None:
    lines = lines_of(long)
    del lines[303:403]
    lines[302] = lines[302].replace("],", "]")
    long.write_text("".join(lines))
    with pytest.raises(SnapshotUnusable, match="lines are missing"):
        check(long)


def test_lines_that_changed_places(long: Path) -> None:
    lines = lines_of(long)
    lines[50], lines[51] = lines[51], lines[50]
    long.write_text("".join(lines))
    with pytest.raises(SnapshotUnusable, match="was edited"):
        check(long)


def test_a_file_that_its_writer_marked_incomplete(small: Path) -> None:
    small.write_text(small.read_text().replace('"complete":true', '"complete":false'))
    with pytest.raises(SnapshotUnusable, match="footer was edited"):
        check(small)


def test_another_version_is_refused_by_its_number(small: Path) -> None:
    small.write_text(small.read_text().replace('"version":1', '"version":9'))
    with pytest.raises(SnapshotUnusable, match="format version 9"):
        check(small)


# Memory


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_memory_does_not_grow_with_the_file(tmp_path: Path, suffix: str) -> None:
    def rows(count: int) -> Iterator[Values]:
        return ([number, "x" * 1000] for number in range(count))

    def peak(count: int) -> int:
        path = tmp_path / f"{count}{suffix}"
        tracemalloc.start()
        write(path, encode(header(USERS), [("users", hash_rows(USERS, rows(count)))]), check=check)
        found = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return found

    peak(10)
    assert peak(20_000) < peak(2_000) + 1_000_000


# Writing


def test_a_file_that_is_replaced_after_it_was_checked_is_not_read(tmp_path: Path) -> None:
    """By a rename, as a nightly job does it while a run waits at its question."""
    path, other = tmp_path / "a.json", tmp_path / "b.json"
    for file, rows in ((path, [[1, "x"]]), (other, [[2, "y"]])):
        write(file, encode(header(USERS), [("users", hash_rows(USERS, rows))]))
    checked = check_file(path)
    assert [list(rows) for _, rows in read_checked(checked)] == [[[1, "x"]]]
    other.replace(path)
    with pytest.raises(SnapshotUnusable, match="was changed since it was checked"):
        [list(rows) for _, rows in read_checked(checked)]


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("read_bytes", [1, 40, 1 << 18])
def test_it_is_read_again_wherever_a_piece_of_it_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, read_bytes: int
) -> None:
    monkeypatch.setattr(snapshot, "_READ_BYTES", read_bytes)
    tables = [Table(f"t{n}", USERS.columns) for n in range(5)]
    rows: list[list[Values]] = [[[1, "],"], [2, "]"]], [], [[n, "],\n" * n] for n in range(50)], [], [[3, "[["]]]
    checked = check_file(store(tmp_path / f"data{suffix}", header(*tables), *rows))
    assert [(table.name, list(items)) for table, items in read_checked(checked)] == [
        (f"t{n}", expected) for n, expected in enumerate(rows)
    ]
    assert [next(items, None) for _, items in read_checked(checked)] == [next(iter(r), None) for r in rows]


def test_a_file_that_is_replaced_while_it_is_read_is_refused_at_the_end(tmp_path: Path) -> None:
    path, other = tmp_path / "a.json", tmp_path / "b.json"
    for file, rows in ((path, [[1, "x"], [2, "x"]]), (other, [[2, "y"]])):
        write(file, encode(header(USERS), [("users", hash_rows(USERS, rows))]))
    with pytest.raises(SnapshotUnusable, match="was changed since it was checked"):  # noqa: PT012 # it is read in steps
        for _, rows in read_checked(check_file(path)):
            next(rows)
            other.replace(path)
            list(rows)
