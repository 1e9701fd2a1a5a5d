"""A snapshot that comes from elsewhere: refused for all that a file is refused for, and never under its name then."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

import pytest

from app.dialects.model import Column, LogicalType, Table
from app.errors import SnapshotUnusable
from app.transfer.rows import encode as encode_module
from app.transfer.rows import received
from app.transfer.rows.encode import Written
from app.transfer.rows.files import open_plain
from app.transfer.rows.header import Header
from app.transfer.rows.line_batches import Batch
from app.transfer.rows.received import write_received
from app.transfer.rows.snapshot import BLOCK_LINES, check_file

from .snapshots import SUFFIXES, USERS, header, store

EMPTY = Table("empty", (Column("x", LogicalType.ANY),))
SIZES = [1, 7, 4096]


def cut(data: bytes, size: int) -> Iterator[bytes]:
    """Pieces as a decompressor gives them, empty ones among them."""
    for start in range(0, len(data), size):
        yield data[start : start + size]
        yield b""


@pytest.fixture
def small(tmp_path: Path) -> Path:
    return store(tmp_path / "data.json", header(USERS, EMPTY), [[1, "a"], [2, None]], [])


def refusals(data: bytes, directory: Path, size: int) -> tuple[str | None, str | None]:
    """What is said of a file, and of the same as it comes, without its name."""
    words = []
    (directory / "file.json").write_bytes(data)
    for read in (
        lambda: check_file(directory / "file.json"),
        lambda: write_received(directory / "received.json", cut(data, size)),
    ):
        try:
            read()
        except SnapshotUnusable as error:
            words.append(re.sub(r"\S+\.json", "FILE", error.message))
        else:
            words.append(None)
    assert [path.name for path in directory.iterdir() if "received" in path.name] == ["received.json"] * (not words[1])
    (directory / "received.json").unlink(missing_ok=True)
    return words[0], words[1]


# It is what a file is, and refused as a file is


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_it_is_what_came(tmp_path: Path, suffix: str, size: int) -> None:
    rows = [[number, f"n{number}"] for number in range(3 * BLOCK_LINES + 5)]
    plain = store(tmp_path / "plain.json", header(USERS, EMPTY), rows, [])
    path = tmp_path / f"received{suffix}"
    written = write_received(path, cut(plain.read_bytes(), size))
    checked = check_file(path)
    assert (written.header, written.footer, written.identity) == (checked.header, checked.footer, checked.identity)
    assert written == Written(path, checked.header, checked.footer, checked.identity, sha256_of(path))
    with open_plain(path) as file:
        assert file.read() == plain.read_bytes()
    assert path.stat().st_mode & 0o777 == 0o600


def sha256_of(path: Path) -> str:
    return encode_module.file_sha256(path)


def test_records_come_too(tmp_path: Path) -> None:
    head = Header("records", "s", "i", "2024-01-01T00:00:00Z", "0001", types=("a", "b"))
    data = store(tmp_path / "plain.json", head, ['{"id": 1}', '{"id": 2}'], []).read_bytes()
    assert write_received(tmp_path / "received.json", [data]).footer.checksums["a"].rows == 2


@pytest.mark.parametrize("size", SIZES)
def test_cut_off_at_every_byte(small: Path, tmp_path: Path, size: int) -> None:
    whole = small.read_bytes()
    for length in range(len(whole)):
        file, came = refusals(whole[:length], tmp_path, size)
        assert file is not None
        assert came == file


def test_every_edit_of_a_single_byte(small: Path, tmp_path: Path) -> None:
    whole = small.read_bytes()
    for place in range(len(whole)):
        for other in {whole[place] ^ 1, whole[place] ^ 32, ord("\n")} - {whole[place]}:
            file, came = refusals(whole[:place] + bytes([other]) + whole[place + 1 :], tmp_path, 64)
            assert file is not None
            assert came == file


def test_every_byte_that_is_left_out_or_doubled(small: Path, tmp_path: Path) -> None:
    whole = small.read_bytes()
    for place in range(len(whole)):
        for edited in (whole[:place] + whole[place + 1 :], whole[: place + 1] + whole[place:]):
            file, came = refusals(edited, tmp_path, 64)
            assert came == file
            assert (file is None) == (edited == whole)


@pytest.mark.parametrize("behind", [b"\n", b" ", b"{}", b"\x00"])
def test_text_behind_the_end(small: Path, tmp_path: Path, behind: bytes) -> None:
    file, came = refusals(small.read_bytes() + behind, tmp_path, 1 << 20)
    assert file is not None
    assert came == file
    assert "behind the footer" in file


def test_lines_that_changed_places_or_are_there_twice(tmp_path: Path) -> None:
    rows = [[number, f"n{number}"] for number in range(4 * BLOCK_LINES)]
    lines = store(tmp_path / "long.json", header(USERS), rows).read_bytes().splitlines(keepends=True)
    chance = random.Random(1)
    for _ in range(40):
        one, other = chance.sample(range(len(lines)), 2)
        for edited in (
            [*lines[:one], lines[other], *lines[one:]],
            [*lines[:one], *lines[one + 1 :]],
            [
                lines[other] if place == one else lines[one] if place == other else line
                for place, line in enumerate(lines)
            ],
        ):
            file, came = refusals(b"".join(edited), tmp_path, 1000)
            assert came == file
            assert (file is None) == (edited == lines)


def test_a_section_that_is_there_twice(small: Path, tmp_path: Path) -> None:
    section = b'"users": [\n[1,"a"],\n[2,null]\n],\n'
    file, came = refusals(small.read_bytes().replace(section, section * 2), tmp_path, 1000)
    assert file is not None
    assert came == file


def test_it_is_refused_at_the_first_line_that_is_none_and_no_more_is_asked_for(small: Path, tmp_path: Path) -> None:
    begin, _, _ = small.read_bytes().partition(b"[2,null]")
    asked: list[int] = []

    def pieces() -> Iterator[bytes]:
        yield begin + b'["x"]\n'
        for number in range(1000):
            asked.append(number)
            yield b"[1]" * 300_000

    with pytest.raises(SnapshotUnusable, match=r"received\.json, line 5: "):
        write_received(tmp_path / "received.json", pieces())
    assert len(asked) < 2


# What goes wrong besides


class BrokenOffError(Exception):
    """What a transport raises."""


@pytest.mark.parametrize("error", [BrokenOffError("x"), EOFError("x"), OSError("x")])
def test_what_breaks_it_off_is_raised_as_it_is(small: Path, tmp_path: Path, error: Exception) -> None:
    """An error that a damaged file could raise as well, too: whoever asked knows what to do about it."""
    whole = small.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole)):

        def pieces(length: int = length) -> Iterator[bytes]:
            yield whole[:length]
            raise error

        with pytest.raises(type(error)) as raised:
            write_received(tmp_path / "received.json", pieces())
        assert raised.value is error
        assert list(tmp_path.iterdir()) == [small]


def test_a_disk_that_is_full_is_no_damage(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = received._Arriving

    def full(pieces: Iterable[bytes], _write: object) -> object:
        def write(_piece: bytes) -> None:
            raise OSError(28, "No space left on device")

        return inner(pieces, write)

    monkeypatch.setattr(received, "_Arriving", full)
    with pytest.raises(OSError, match="No space left"):
        write_received(tmp_path / "received.json", [small.read_bytes()])
    assert list(tmp_path.iterdir()) == [small]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_a_disk_that_gives_back_something_else(
    small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    inner = received._Receiving.fill

    def fill(self: received._Receiving, file: IO[bytes]) -> None:
        inner(self, file)
        file.write(b" ")

    monkeypatch.setattr(received._Receiving, "fill", fill)
    with pytest.raises(SnapshotUnusable, match="does not hold what was written to it"):
        write_received(tmp_path / f"received{suffix}", [small.read_bytes()])
    assert list(tmp_path.iterdir()) == [small]


def test_the_former_file_stays_until_all_of_the_new_one_was_looked_at(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "received.json"
    path.write_bytes(b"former")
    with pytest.raises(SnapshotUnusable):
        write_received(path, [small.read_bytes()[:-1]])
    assert path.read_bytes() == b"former"
    former = write_received(path, [small.read_bytes()]).former
    assert former is not None
    assert former.read_bytes() == b"former"


# Whoever takes the lines as well


def test_the_lines_are_given_as_they_come(tmp_path: Path) -> None:
    rows = [[number, f"n{number}"] for number in range(500)]
    data = store(tmp_path / "plain.json", header(USERS, EMPTY), rows, [[None]]).read_bytes()
    given: list[tuple[str, bytes, int]] = []
    at: list[int] = []

    def pieces() -> Iterator[bytes]:
        for piece in cut(data, 500):
            at.append(len(given))
            yield piece

    def take(name: str, batch: Batch) -> None:
        given.append((name, batch.joined, len(batch.lines)))

    write_received(tmp_path / "received.json", pieces(), lambda _header: take)
    assert len({*at}) > 5
    assert [name for name, _, _ in given] == ["users"] * (len(given) - 1) + ["empty"]
    assert b",\n".join(lines for _, lines, _ in given[:-1]) == data.partition(b'"users": [\n')[2].partition(b"\n]")[0]
    assert (sum(count for _, _, count in given), given[-1][1:]) == (501, (b"[null]", 1))


def test_no_line_is_given_that_was_not_looked_at(small: Path, tmp_path: Path) -> None:
    given: list[bytes] = []
    data = small.read_bytes().replace(b"[2,null]", b"[2,3]")
    with pytest.raises(SnapshotUnusable, match="not a row"):
        write_received(
            tmp_path / "received.json", [data], lambda _header: lambda _name, batch: given.append(batch.joined)
        )
    assert not any(b"[2,3]" in lines for lines in given)
