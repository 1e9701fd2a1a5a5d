"""Files written whole or not at all, for their owner alone, and read whatever their compression is."""

from __future__ import annotations

import contextlib
import datetime as dt
import gzip
import hashlib
import io
import json
import os
import secrets
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, cast

import zstandard

from ...dialects.files import fsync_directory, make_directory
from ...errors import SnapshotUnusable

WINDOW_BYTES = 128 << 20
"""The largest window of a Zstandard frame, and so of the memory that one takes: that of ``zstd --ultra -22``. A frame
may ask for terabytes."""
MOST_TEXT_BYTES = 256 << 20
"""Of a file that is held as a whole, decompressed."""


def write(
    path: Path, pieces: Iterable[bytes], *, check: Callable[[Path], object] | None = None, keep_former: bool = True
) -> Path | None:
    """Write a file of mode 0600: beside, flushed, synced, checked, renamed; the former one is kept.

    :param check: called with the finished file before it takes the name; it raises to refuse it.
    :return: where the former file is kept, or None when there was none.
    """

    def fill(file: IO[bytes]) -> None:
        for piece in pieces:
            file.write(piece)

    return write_by(path, fill, check=check, keep_former=keep_former)


def write_by(
    path: Path, fill: Callable[[IO[bytes]], None], *, check: Callable[[Path], object] | None, keep_former: bool = True
) -> Path | None:
    """As :func:`write`, of what ``fill`` writes."""
    make_directory(path.parent)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(os.open(beside, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "wb") as raw:
            with compress_to(raw, path) as file:
                fill(file)
            raw.flush()
            os.fsync(raw.fileno())
        if check:
            check(beside)
        former = _keep(path) if keep_former else None
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    fsync_directory(path.parent)
    return former


def _keep(path: Path) -> Path | None:
    """Give an existing file a second, timestamped name, so that there is no moment without the first."""
    if not path.exists():
        return None
    stamp = dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).strftime("%Y%m%dT%H%M%S")
    for suffix in ("", *(f"-{n}" for n in range(1, 1000))):
        copy = path.with_name(f"{path.name}.{stamp}{suffix}.bak")
        with contextlib.suppress(FileExistsError):
            copy.hardlink_to(path)
            return copy
    raise FileExistsError(f"{path.name}.{stamp}.bak and 999 more exist in {path.parent}")


def identify(path: Path) -> tuple[int, ...]:
    """What is another one as soon as a file is written or another file has its name; a rename keeps it."""
    at = path.stat()
    return at.st_dev, at.st_ino, at.st_size, at.st_mtime_ns


def is_compressed(path: Path) -> bool:
    """Whether a file of this name is written compressed."""
    return path.suffix in (".zst", ".gz")


@contextlib.contextmanager
def compress_to(raw: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    """The file to write to: compressed when the path ends in ``.zst`` or ``.gz``."""
    if path.suffix == ".zst":
        with zstandard.ZstdCompressor(level=3, write_checksum=True).stream_writer(raw, closefd=False) as zst:
            yield cast("IO[bytes]", zst)
    elif path.suffix == ".gz":
        with gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6, mtime=0) as gz:
            yield cast("IO[bytes]", gz)
    else:
        yield raw


def open_plain(path: Path) -> IO[bytes]:
    """A file to read lines from, decompressed by what its first bytes say.

    :raises SnapshotUnusable: there is no such file, or it cannot be opened.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise SnapshotUnusable(f"{path} cannot be read: {error.strerror}.") from error
    magic = file.read(4)
    file.seek(0)
    if magic == b"\x28\xb5\x2f\xfd":
        stream = zstandard.ZstdDecompressor(max_window_size=WINDOW_BYTES).stream_reader(file)
        return io.BufferedReader(cast("io.RawIOBase", stream), 1 << 16)
    if magic[:2] == b"\x1f\x8b":
        # It closes what it opened itself, and nothing that it is given.
        file.close()
        return cast("IO[bytes]", gzip.GzipFile(path, "rb"))
    return file


def read_text(path: Path) -> str:
    """The text of a file that has to be held as a whole.

    :raises SnapshotUnusable: it cannot be read, is damaged, is no UTF-8, or is longer than :data:`MOST_TEXT_BYTES`.
    """
    whole = bytearray()
    with open_plain(path) as file:
        try:
            while piece := file.read(1 << 20):
                whole += piece
                if len(whole) > MOST_TEXT_BYTES:
                    raise SnapshotUnusable(
                        f"{path} is longer than {MOST_TEXT_BYTES >> 20} MiB, decompressed, and is read as a whole.",
                        hint="Read the old deployment, or its database, itself: flask db-migrate-data SOURCE",
                    )
        except DAMAGED as error:
            raise SnapshotUnusable(
                f"{path} ends too early or is damaged ({error}).", hint="Use an intact copy of the file."
            ) from error
    try:
        return whole.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SnapshotUnusable(f"{path} is not UTF-8: byte {error.start}.") from error


DAMAGED = (OSError, EOFError, zlib.error, zstandard.ZstdError)
"""What reading a file raises that is cut off or damaged, compressed or not."""


def to_plain_json(value: Any) -> bytes:
    """Any value as JSON for people: sorted, indented."""
    return json.dumps(value, indent=2, ensure_ascii=False, default=str).encode() + b"\n"


def encode_rows(head: Mapping[str, Any], rows: Iterable[Mapping[str, Any]]) -> Iterator[bytes]:
    """A JSON document for people, one value a line: some members, and ``rows``; in pieces of one row each."""
    yield json.dumps(head, indent=1, ensure_ascii=False).removesuffix("\n}").encode() + b',\n "rows": ['
    separator = "\n  "
    for row in rows:
        # Lines end by \n alone: the value itself may hold what Python takes for another end, such as U+2028.
        yield (separator + json.dumps(row, indent=1, ensure_ascii=False).replace("\n", "\n  ")).encode()
        separator = ",\n  "
    yield b"\n ]\n}\n"


def file_sha256(path: Path) -> str:
    """The digest of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
