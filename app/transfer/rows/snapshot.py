"""The snapshot file: the rows of a database, or the records of an API, at one instant.

Valid JSON, one row or record per line::

    {"header": {"format": "ferry-snapshot", "version": 1, "kind": "rows", "revision": ..., "sections": {...}},
    "data": {
    "users": [
    [1,"..."],
    [2,"..."]
    ],
    "posts": [
    ]
    },
    "footer": {"sections": {"users": {"rows": 2, "checksum": "..."}, ...}, ..., "complete": true, "seal": "..."}}

``sha256`` is of every byte before the footer's line; ``blocks`` has a short hash per 100 lines of data, so that an
edited file is refused with the place; ``seal`` is of the footer itself. Compressed (``.gz``, ``.zst``) by the file's
suffix, recognised by its content.
"""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, TypeVar

import orjson

from ...dialects.model import Table, TableChecksum, Values
from ...errors import SnapshotUnusable
from .bounded_lines import BoundedLines, NoLine, TooLongLine
from .canonical import MODULUS, decode_row, decode_rows
from .encode import BLOCK_LINES, Blocks, HashedLine, seal_of
from .expect import Unexpected
from .files import DAMAGED, identify, open_plain
from .header import FORMAT, Checked, Footer, Header, NotAHeader, StatedFooter, footer_from_json, parse_header
from .line_batches import Batch, NotRows, batch_check
from .spelled import Spelled, Spelling

T = TypeVar("T")

MOST_LINE_BYTES = 256 << 20
"""Of a row. Servers take packets of 64 MiB (MySQL 8.4) or 16 MiB (MariaDB) unless told otherwise; in base64 a third
more. A file may be compressed, and one endless line of it would fill the memory."""
MOST_HEADER_BYTES = 16 << 20
"""For some ten thousand tables."""

_READ_BYTES = 1 << 18
"""Of lines that are taken apart by one call."""

_FOOTER = re.compile(rb'"footer": (\{.*),"seal":"([0-9a-f]{16})"\}\}', re.DOTALL)


def is_snapshot(path: Path) -> bool:
    """Whether a file begins as a snapshot does."""
    with open_plain(path) as file:
        try:
            return file.read(64).startswith(b'{"header": {"format":"' + FORMAT.encode() + b'"')
        except DAMAGED:
            return False


def is_anonymised(path: Path) -> bool:
    """Whether a file says of itself that its rows are; one that cannot say so is not."""
    if not is_snapshot(path):
        return False
    try:
        with SnapshotReader(path) as reader:
            return reader.header.profile is not None
    except SnapshotUnusable:
        return False


class SnapshotReader:
    """Reads one snapshot from its beginning to its end; each section once, in order.

    :param file: what is to be read, not compressed, where it is not in the file of this path yet.
    :raises SnapshotUnusable: truncated, edited, or not a snapshot, with the line.
    """

    def __init__(self, path: Path, file: IO[bytes] | None = None) -> None:
        self.path = path
        self._lines = BoundedLines(file or open_plain(path))
        self._digest = hashlib.sha256()
        self._blocks = Blocks()
        self._block_starts: list[int] = []
        self._data_lines = 0
        try:
            self.header = self._read_header()
        except BaseException:
            self._lines.close()
            raise
        self.footer: Footer | None = None

    def __enter__(self) -> SnapshotReader:
        return self

    def __exit__(self, *_: object) -> None:
        self._lines.close()

    @property
    def line_number(self) -> int:
        """Of the line that was read last."""
        return self._lines.number

    @property
    def sha256(self) -> str:
        """The digest of all that was read, in hex."""
        return self._digest.hexdigest()

    def _read(self, step: Callable[[], T], most_bytes: int = MOST_LINE_BYTES) -> T:
        try:
            return step()
        except TooLongLine:
            raise self._refuse(f"the line is longer than {most_bytes:,} bytes, and no longer one is read") from None
        except NoLine:
            raise self._refuse("the file ends too early") from None
        except DAMAGED as error:
            raise self._refuse(f"the file ends too early or is damaged ({error})", self.line_number + 1) from error

    def _hash_line(self, most_bytes: int = MOST_LINE_BYTES) -> bytes:
        line = self._read(lambda: self._lines.next(most_bytes), most_bytes)
        self._digest.update(line + b"\n")
        return line

    def _refuse(self, why: str, line: int | None = None) -> SnapshotUnusable:
        return SnapshotUnusable(
            f"{self.path}, line {line or self.line_number}: {why}.",
            hint="Use an intact copy: former snapshots are kept beside it as *.bak.",
        )

    def _read_header(self) -> Header:
        try:
            header = parse_header(self._hash_line(MOST_HEADER_BYTES))
        except NotAHeader as error:
            raise self._refuse(str(error)) from error
        if self._hash_line() != b'"data": {':
            raise self._refuse("the data does not begin here")
        return header

    def sections(self) -> Iterator[tuple[str, Iterator[HashedLine]]]:
        """Each section's name and lines; the lines left unread are read over, so that the checks are complete."""
        for name, batches in self.batches():
            yield name, (line for batch in batches for line in zip(batch.lines, batch.hashes, strict=True))

    def batches(self) -> Iterator[tuple[str, Iterator[Batch]]]:
        """Each section's name and lines, some at a time; as :meth:`sections`."""
        names = self.header.sections
        sums: dict[str, TableChecksum] = {}
        spelled: dict[str, Spelled] = {}
        for index, name in enumerate(names):
            if self._hash_line() != orjson.dumps(name) + b": [":
                raise self._refuse(f"the section {name!r} does not begin here")
            totals, spelling = [0, 0], Spelling()
            batches = self._section(name, spelling, b"]" if index == len(names) - 1 else b"],", totals)
            yield name, batches
            for _ in batches:
                pass
            sums[name], spelled[name] = TableChecksum(totals[0], totals[1] % MODULUS), spelling.finish()
        if not names:
            self._hash_line()
        if self._hash_line() != b"},":
            raise self._refuse("the data does not end here")
        self.footer = replace(self._read_footer(sums), spelled=spelled)

    def _section(self, name: str, spelling: Spelling, end: bytes, totals: list[int]) -> Iterator[Batch]:
        tables = {table.name: table for table in self.header.tables}
        check_lines = batch_check(None if self.header.kind == "records" else tables[name])
        comma = True
        while lines := self._read(lambda: self._lines.take_before(end, self._blocks.room, MOST_LINE_BYTES)):
            before = self.line_number - len(lines)
            if not comma:
                raise self._refuse("a comma is missing at the end of the line before", before)
            lines, comma = self._take_commas(lines)
            joined = b",\n".join(lines)
            self._digest.update(joined)
            self._digest.update(b",\n" if comma else b"\n")
            self._note(lines, before, spelling)
            try:
                batch = check_lines(lines, joined)
            except NotRows as error:
                raise self._refuse(str(error), before + error.place + 1) from error
            totals[0] += len(lines)
            totals[1] += sum(batch.hashes)
            yield batch
        self._hash_line()
        if comma and totals[0]:
            raise self._refuse("a row is missing behind the last comma")

    def _take_commas(self, lines: Sequence[bytes]) -> tuple[list[bytes], bool]:
        """Lines up to the first one that has no comma at its end, without theirs, and whether the last one has one."""
        ends = [line[-1:] == b"," for line in lines]
        if not all(ends[:-1]):
            count = ends.index(False) + 1
            self._lines.give_back(len(lines) - count)
            lines, ends = lines[:count], ends[:count]
        last = lines[-1][:-1] if ends[-1] else lines[-1]
        return [*(line[:-1] for line in lines[:-1]), last], ends[-1]

    def _note(self, lines: Sequence[bytes], before: int, spelling: Spelling) -> None:
        if self._data_lines % BLOCK_LINES == 0:
            self._block_starts.append(before + 1)
        self._data_lines += len(lines)
        data = b"".join(lines)
        self._blocks.add(data, len(lines))
        spelling.add(data, len(lines))

    def _read_footer(self, sums: dict[str, TableChecksum]) -> Footer:
        expected = self._digest.hexdigest()
        stated = self._parse_footer(sums)
        if not self._read(self._lines.is_at_end):
            raise self._refuse("there is text behind the footer", self.line_number + 1)
        if stated.sha256 != expected:
            raise self._explain_edited(stated.blocks)
        checksums = stated.footer.checksums
        for name, checksum in sums.items():
            if checksums.get(name) != checksum:
                raise self._refuse(f"the checksum of {name} is another one than that of its rows")
        if not stated.complete or set(checksums) != set(sums):
            raise self._refuse("the snapshot is marked incomplete")
        return stated.footer

    def _parse_footer(self, sums: dict[str, TableChecksum]) -> StatedFooter:
        # It has a hash for each block and a checksum for each section, and nothing else that grows.
        blocks = self._data_lines // BLOCK_LINES + 1
        names = sum(len(orjson.dumps(name)) + 200 for name in sums)
        match = _FOOTER.fullmatch(self._hash_line(MOST_HEADER_BYTES + 32 * blocks + names))
        if match is None:
            raise self._refuse("not the footer of a snapshot")
        if seal_of(match.group(1)) != match.group(2):
            raise self._refuse("the footer was edited")
        try:
            return footer_from_json(orjson.loads(match.group(1) + b"}"))
        except (orjson.JSONDecodeError, Unexpected) as error:
            raise self._refuse(f"not the footer of a snapshot ({error})") from error

    def _explain_edited(self, stated: tuple[str, ...]) -> SnapshotUnusable:
        """Name the first block of lines that is not what the footer says."""
        hashes = self._blocks.finish()
        for index, start in enumerate(self._block_starts):
            if index >= len(stated) or hashes[index] != stated[index]:
                last = min(start + BLOCK_LINES, self.line_number) - 1
                return self._refuse(f"the file was edited between here and line {last}", start)
        if len(hashes) != len(stated):
            return self._refuse("lines are missing before the end")
        return self._refuse("the header was edited", 1)


def check(path: Path) -> tuple[Header, Footer]:
    """Read a snapshot through, and refuse it unless it is whole and unchanged."""
    with SnapshotReader(path) as reader:
        for _ in reader.sections():
            pass
        if reader.footer is None:
            raise SnapshotUnusable(f"{path} has no footer.")
        return reader.header, reader.footer


def check_file(path: Path) -> Checked:
    """A snapshot, read through.

    :raises SnapshotUnusable: it is not whole, or was changed.
    """
    identity = identify(path) if path.is_file() else ()
    checked = Checked(path, *check(path), identity)
    _refuse_another(checked)
    return checked


def read_checked(snapshot: Checked, besides: Collection[str] = ()) -> Iterator[tuple[Table, Iterator[Values]]]:
    """The tables of a ``rows`` snapshot that was checked before, with their rows; nothing is hashed again.

    That it is the very file, unwritten, is looked at before and behind.

    :param besides: tables that are wanted out.
    :raises SnapshotUnusable: it was changed meanwhile, or another file has its name.
    """
    _refuse_another(snapshot)
    with open_plain(snapshot.path) as file:
        lines = _CheckedLines(snapshot, file)
        lines.skip(2)
        wanted = {table.name for table in snapshot.header.tables} - {*besides}
        for table in snapshot.header.tables:
            if not wanted:
                break
            if lines.next() != orjson.dumps(table.name) + b": [\n":
                raise _refusal(snapshot, f"{table.name} does not begin where it began")
            if table.name not in wanted:
                lines.skip_section()
                continue
            wanted.remove(table.name)
            rows = lines.rows(len(table.columns))
            yield table, rows
            for _ in rows:
                pass
    _refuse_another(snapshot)


def _refuse_another(snapshot: Checked) -> None:
    if not snapshot.path.is_file() or identify(snapshot.path) != snapshot.identity:
        raise _refusal(snapshot, "it was written, or another file has its name")


def _refusal(snapshot: Checked, why: object) -> SnapshotUnusable:
    return SnapshotUnusable(
        f"{snapshot.path} was changed since it was checked ({why}).",
        hint="Run the command again when nobody changes it.",
    )


class _CheckedLines:
    """The lines of a snapshot that was checked, some of them at a time."""

    def __init__(self, snapshot: Checked, file: IO[bytes]) -> None:
        self._snapshot, self._file = snapshot, file
        self._lines: list[bytes] = []
        self._place = 0

    def next(self) -> bytes:
        """The next line; none behind the last one."""
        if not self._fill():
            return b""
        self._place += 1
        return self._lines[self._place - 1]

    def skip(self, count: int) -> None:
        """:raises SnapshotUnusable: there are not so many lines."""
        if not all(self.next() for _ in range(count)):
            raise _refusal(self._snapshot, "it ends too early")

    def rows(self, width: int) -> Iterator[Values]:
        """The rows of a section, up to its end.

        :raises SnapshotUnusable: a line is no row of so many values.
        """
        while True:
            lines = self._take_section()
            try:
                rows = decode_rows(lines)
            except ValueError as error:
                raise _refusal(self._snapshot, error) from error
            if other := set(map(len, rows)) - {width}:
                raise _refusal(self._snapshot, f"{other.pop()} values for {width} columns")
            yield from rows
            if self._is_at_end():
                return

    def skip_section(self) -> None:
        """Read over a section."""
        self._take_section()
        while not self._is_at_end():
            self._take_section()

    def _is_at_end(self) -> bool:
        """Whether a section ends here; its end is read over then."""
        if not self._fill() or self._lines[self._place] not in _SECTION_ENDS:
            return False
        self._place += 1
        return True

    def _take_section(self) -> list[bytes]:
        """Lines that are there, up to the end of a section."""
        if not self._fill():
            raise _refusal(self._snapshot, "it ends too early")
        begin, end = self._place, len(self._lines)
        for mark in _SECTION_ENDS:
            with contextlib.suppress(ValueError):
                end = self._lines.index(mark, begin, end)
        self._place = end
        return self._lines[begin:end]

    def _fill(self) -> bool:
        """Whether there is another line; read on where all that were read are used."""
        if self._place == len(self._lines):
            try:
                self._lines, self._place = self._file.readlines(_READ_BYTES), 0
            except DAMAGED as error:
                raise _refusal(self._snapshot, error) from error
        return self._place < len(self._lines)


_SECTION_ENDS = (b"],\n", b"]\n")


def rows_of(reader: SnapshotReader) -> Iterator[tuple[Table, Iterator[tuple[Values, bytes, int]]]]:
    """The tables of a ``rows`` snapshot with their rows: (values, line, hash)."""
    tables = {table.name: table for table in reader.header.tables}
    for name, lines in reader.sections():
        yield tables[name], ((decode_row(line), line, value) for line, value in lines)
