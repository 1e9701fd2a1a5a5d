"""Lines of a file, many at a time: the file's own, whatever pieces it comes in, and none that is too long."""

from __future__ import annotations

import io
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.transfer.rows.bounded_lines import READ_BYTES, BoundedLines, NoLine, TooLongLine

MOST = 1 << 20


class InPieces(io.RawIOBase):
    """A file that gives so many bytes at a time, and an error at a place."""

    def __init__(self, data: bytes, size: int, fails_at: int | None = None) -> None:
        super().__init__()
        self._data, self._size, self._place, self._fails_at = data, size, 0, fails_at

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        if self._place == self._fails_at:
            raise EOFError("damaged")
        end = min(self._place + min(self._size, len(buffer)), self._fails_at or len(self._data))
        piece = self._data[self._place : end]
        buffer[: len(piece)] = piece
        self._place += len(piece)
        return len(piece)


def lines_of(data: bytes, size: int, fails_at: int | None = None) -> BoundedLines:
    return BoundedLines(io.BufferedReader(InPieces(data, size, fails_at), READ_BYTES))


def ended_by(step: Callable[[], object]) -> type[Exception] | None:
    try:
        step()
    except (TooLongLine, NoLine, EOFError) as error:
        return type(error)
    return None


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=30), st.integers(1, 50))
def test_the_lines_come_in_order(expected: list[bytes], size: int) -> None:
    lines = lines_of(b"".join(line + b"\n" for line in expected), size)
    assert [lines.next(MOST) for _ in expected] == expected
    assert (lines.number, lines.is_at_end()) == (len(expected), True)
    with pytest.raises(NoLine):
        lines.next(MOST)
    assert lines.number == len(expected) + 1


@given(st.lists(st.sampled_from([b"a", b"]", b"bb", b""]), max_size=30), st.integers(1, 50), st.integers(1, 9))
def test_lines_are_taken_up_to_the_one_that_ends_them(expected: list[bytes], size: int, most: int) -> None:
    lines, sections, section = lines_of(b"\n".join([*expected, b"]", b""]), size), list[list[bytes]](), list[bytes]()
    while not lines.is_at_end():
        taken = lines.take_before(b"]", most, MOST)
        assert len(taken) <= most
        section += taken
        if not taken:
            assert lines.next(MOST) == b"]"
            sections.append(section)
            section = []
    whole = b"\n".join([*expected, b"]"]).split(b"\n")
    assert [line for one in sections for line in [*one, b"]"]] == whole
    assert lines.number == len(whole)


def test_what_was_given_back_comes_again() -> None:
    lines = lines_of(b"a\nb\nc\n]\n", 100)
    assert lines.take_before(b"]", 9, MOST) == [b"a", b"b", b"c"]
    lines.give_back(2)
    assert lines.number == 1
    assert lines.take_before(b"]", 9, MOST) == [b"b", b"c"]
    assert lines.take_before(b"]", 9, MOST) == []
    assert lines.next(MOST) == b"]"


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_line_may_be_as_long_as_that_and_no_longer(size: int) -> None:
    for most, expected in ((8, None), (7, TooLongLine), (3, TooLongLine)):
        assert ended_by(lambda most=most: lines_of(b"1234567\n", size).next(most)) is expected
        assert ended_by(lambda most=most: lines_of(b"1234567\nx\n", size).take_before(b"]", 5, most)) is expected


def test_of_a_line_without_an_end_no_more_is_read_than_it_may_have() -> None:
    endless = InPieces(b"x" * (4 * READ_BYTES), READ_BYTES)
    lines = BoundedLines(io.BufferedReader(endless, READ_BYTES))
    with pytest.raises(TooLongLine):
        lines.next(READ_BYTES)
    assert endless._place <= 2 * READ_BYTES
    assert lines.number == 1


@given(st.integers(1, 19), st.integers(1, 30))
def test_all_lines_before_a_damaged_place_are_read(fails_at: int, size: int) -> None:
    data = b"one\ntwo\nthree\nfour\n"
    lines = lines_of(data, size, fails_at)
    expected = data[:fails_at].split(b"\n")[:-1]
    assert [lines.next(MOST) for _ in expected] == expected
    assert ended_by(lambda: lines.next(MOST)) is EOFError
    assert lines.number == len(expected)


def test_a_line_that_does_not_end_is_more() -> None:
    lines = lines_of(b"a\nb", 100)
    assert lines.next(MOST) == b"a"
    assert not lines.is_at_end()
    assert ended_by(lambda: lines.next(MOST)) is NoLine
