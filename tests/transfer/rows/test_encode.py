"""A snapshot on its way into a file: one line a row, blocks of lines hashed, what it says of itself at its end."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from app.dialects.model import TableChecksum, Values
from app.transfer.rows.canonical import checksum, hash_line
from app.transfer.rows.encode import BLOCK_LINES, Blocks, Encoding, hash_records, hash_rows, write_snapshot
from app.transfer.rows.files import file_sha256
from app.transfer.rows.snapshot import check

from .snapshots import USERS, header

ROWS: list[Values] = [[n, f"name {n}"] for n in range(3 * BLOCK_LINES + 7)]


@pytest.mark.parametrize("count", [0, 1, BLOCK_LINES - 1, BLOCK_LINES, BLOCK_LINES + 1, 3 * BLOCK_LINES + 7])
def test_what_it_says_of_itself_is_what_is_in_it(count: int) -> None:
    encoding = Encoding(header(USERS), [("users", hash_rows(USERS, ROWS[:count]))])
    pieces = list(encoding.pieces())
    assert encoding.footer.checksums == {"users": checksum(USERS, ROWS[:count])}
    assert encoding.sha256 == hashlib.sha256(b"".join(pieces)).hexdigest()
    assert b"".join(pieces).count(b"name ") == count


def test_records_are_lines_as_they_were_spelled() -> None:
    texts = ['{"a": 1.0}', '{"b": "\\u00e9"}']
    assert list(hash_records(texts)) == [(text.encode(), hash_line(text.encode())) for text in texts]


def test_blocks_tell_where_lines_differ_and_not_how_they_were_added() -> None:
    def blocks(lines: list[bytes], at_once: int) -> list[str]:
        found = Blocks()
        for start in range(0, len(lines), at_once):
            part = lines[start : start + at_once]
            found.add(b"".join(part), len(part))
        return found.finish()

    lines = [b"%d" % n for n in range(2 * BLOCK_LINES + 5)]
    one = blocks(lines, 1)
    assert (len(one), blocks(lines, BLOCK_LINES // 2), blocks([], 1)) == (3, one, [])
    other = blocks([*lines[:BLOCK_LINES], b"x", *lines[BLOCK_LINES + 1 :]], 1)
    assert [a == b for a, b in zip(one, other, strict=True)] == [True, False, True]


def test_a_written_snapshot_is_known_without_reading_it_again(tmp_path: Path) -> None:
    path = tmp_path / "data.json.zst"
    file = write_snapshot(path, header(USERS), [("users", hash_rows(USERS, ROWS))])
    assert (file.path, file.former, file.sha256) == (path, None, file_sha256(path))
    found, footer = check(path)
    assert (found, footer.checksums) == (file.header, file.footer.checksums)
    assert footer.checksums["users"] == TableChecksum(len(ROWS), checksum(USERS, ROWS).total)
    again = write_snapshot(path, header(USERS), [("users", hash_rows(USERS, []))])
    assert again.former is not None
    assert file_sha256(again.former) == file.sha256


def test_a_source_that_breaks_off_leaves_the_former_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "data.json"
    former = write_snapshot(path, header(USERS), [("users", hash_rows(USERS, ROWS))])

    def break_off() -> object:
        yield [1, "a"]
        raise OSError("lost")

    with pytest.raises(OSError, match="lost"):
        write_snapshot(path, header(USERS), [("users", hash_rows(USERS, break_off()))])  # type: ignore[arg-type]
    assert (file_sha256(path), list(tmp_path.iterdir())) == (former.sha256, [path])
