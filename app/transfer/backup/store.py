"""A storage at any URL that fsspec opens: objects put, read back, listed, removed, whatever keeps them.

fsspec is imported when a storage is opened, and by nothing else.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import secrets
import shlex
import time
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any

from ...dialects.files import fsync_directory, open_private
from ...dialects.redact import redact_text
from ...errors import BackupFailed, FerryError, Misconfigured

PIECE_BYTES = 1 << 20
PART_BYTES, MOST_PARTS = 8 << 20, 9_000
"""Of an upload: so much of it is in memory, and S3 takes 10,000 parts of an object."""
STALE_S = 86_400
"""An older half of a file is nobody's: who wrote it was killed."""
_WRITTEN_AT = ("mtime", "LastModified", "last_modified", "updated")
"""What one file system or another calls the time of an object."""
EXTRA = 'pip install "flask-ferry[storage]"'


def open_store(url: str) -> Store:
    """Open a storage; nothing is asked of it yet.

    :param url: without a password.
    :raises Misconfigured: the extra is not installed, or no program knows such a URL.
    """
    try:
        from fsspec.core import url_to_fs
    except ImportError as error:
        raise Misconfigured("A storage of backups needs fsspec.", hint=f"Install it: {EXTRA}") from error
    try:
        # What other processes keep there meanwhile is to be seen, and an app's own file system is not shared.
        system, path = url_to_fs(url, use_listings_cache=False, skip_instance_cache=True)
    except ImportError as error:
        raise Misconfigured(f"{redact_text(url)} cannot be opened: {error}", hint=f"Install it: {EXTRA}") from error
    except Exception as error:
        raise Misconfigured(
            f"{redact_text(url)} cannot be opened: {_say(error)}", hint="Look at FERRY_STORAGE, and at FSSPEC_... keys."
        ) from error
    return Store(redact_text(url), system, path.rstrip("/"))


def _say(error: Exception) -> str:
    """The first line of what a storage answers, without what may be a secret."""
    line = redact_text((str(error).strip() or type(error).__name__).splitlines()[0])[:300]
    return line if isinstance(error, OSError) else f"{type(error).__name__}: {line}"


@contextlib.contextmanager
def _failing(what: str) -> Iterator[None]:
    """:raises BackupFailed: the storage answered anything else than it should; each kind has errors of its own."""
    try:
        yield
    except FerryError:
        raise
    except Exception as error:
        raise BackupFailed(
            f"{what}: {_say(error)}", hint="Look whether the storage can be reached, and at its credentials."
        ) from error


def _put_file(path: Path, fill: Callable[[IO[bytes]], None]) -> None:
    """Write a file of a directory: under another name, durable, then renamed."""
    _drop_stale(path.parent)
    beside = path.with_name(f".{path.name}.{secrets.token_hex(4)}.ferry-tmp")
    try:
        with open_private(beside) as file:
            fill(file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(path)
    finally:
        beside.unlink(missing_ok=True)
    fsync_directory(path.parent)


def _drop_stale(directory: Path) -> None:
    for file in directory.glob(".*.ferry-tmp"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - file.stat().st_mtime > STALE_S:
                file.unlink()


class Store:
    """One storage: names of objects below one prefix.

    :ivar url: for people.
    """

    def __init__(self, url: str, system: Any, path: str) -> None:
        self.url, self._system, self._path = url, system, path
        protocol = system.protocol if isinstance(system.protocol, tuple) else (system.protocol,)
        self._directory = Path(path) if "file" in protocol else None

    def name(self, name: str) -> str:
        """An object's URL, for people."""
        return f"{self.url}/{name}"

    def list(self) -> dict[str, int]:
        """Name -> bytes of each object directly below the prefix.

        :raises BackupFailed: it cannot be listed, or the bucket is not there.
        """
        with _failing(f"{self.url} cannot be listed"):
            self._require_directory()
            try:
                items = self._system.ls(self._path, detail=True)
            except FileNotFoundError:
                # Nothing was kept there yet; of a bucket that is absent that is no answer.
                self._require_root()
                return {}
            files = {PurePosixPath(item["name"]).name: item["size"] for item in items if item["type"] == "file"}
            # What hides its name is none of ours: the .gitignore of a directory.
            return {name: int(size or 0) for name, size in files.items() if not name.startswith(".")}

    def _require_directory(self) -> None:
        """A directory is never made: where nothing is mounted, it would be one of this machine's own disk."""
        if self._directory and not self._directory.is_dir():
            raise BackupFailed(
                f"There is no directory {self._directory}.",
                hint="Is what it lies on mounted? If it is new, make it once by hand, where that is mounted: "
                f"mkdir -m 700 {shlex.quote(str(self._directory))}",
            )

    def _require_root(self) -> None:
        root = self._path.split("/", 1)[0]
        if root and not self._system.exists(root):
            raise BackupFailed(
                f"There is no {root!r} at {self.url}.",
                hint="Make it, or look at FERRY_STORAGE: a bucket is never made.",
            )

    def age_s(self, name: str) -> float | None:
        """How many seconds ago an object was written; None where the storage does not say, or it is gone.

        :raises BackupFailed: the storage does not answer.
        """
        with _failing(f"{self.name(name)} cannot be looked at"):
            try:
                details = self._system.info(self._full(name))
            except FileNotFoundError:
                return None
        at = next((details[key] for key in _WRITTEN_AT if details.get(key)), None)
        if isinstance(at, str):
            at = dt.datetime.fromisoformat(at)
        if isinstance(at, dt.datetime):
            at = (at if at.tzinfo else at.replace(tzinfo=dt.UTC)).timestamp()
        return time.time() - at if isinstance(at, int | float) else None

    def put(self, name: str, size_bytes: int, fill: Callable[[IO[bytes]], None]) -> None:
        """Put an object, streamed; one that is there is never written over, and what fails leaves none.

        :param size_bytes: about how long it becomes.
        :param fill: writes it.
        :raises BackupFailed: it could not be put.
        """
        path, part = self._full(name), max(PART_BYTES, size_bytes // MOST_PARTS)
        with _failing(f"{name} could not be stored in {self.url}"):
            self._require_directory()
            if self._system.exists(path):
                raise BackupFailed(f"{self.name(name)} exists already.")
            if self._directory:
                _put_file(self._directory / name, fill)
                return
            file = self._system.open(path, "wb", block_size=part)
            try:
                fill(file)
                file.close()
            except BaseException:
                self._give_up(file)
                raise

    def _give_up(self, file: Any) -> None:
        """Leave nothing of an object that was not written to its end; closing it would keep the half."""
        # The first error is the one to be told; whatever this storage raises now says the same.
        with contextlib.suppress(Exception):
            file.discard()
        with contextlib.suppress(Exception):
            file.closed = True

    def read(self, name: str, most_bytes: int) -> Iterator[bytes]:
        """An object in pieces, of which no more is read than it should have.

        :raises BackupFailed: it cannot be read, or is longer.
        """
        total = 0
        with _failing(f"{self.name(name)} cannot be read"), self._open(name) as file:
            while piece := file.read(PIECE_BYTES):
                total += len(piece)
                if total > most_bytes:
                    raise BackupFailed(f"{self.name(name)} is longer than {most_bytes} bytes.")
                yield piece

    def _open(self, name: str) -> Any:
        # Whatever a storage holds in advance by itself: 50 MiB, of S3.
        return self._system.open(self._full(name), "rb", block_size=PART_BYTES)

    def remove(self, name: str) -> None:
        """Remove an object; one that is not there is removed.

        :raises BackupFailed: the storage does not let it go.
        """
        with _failing(f"{self.name(name)} could not be removed"), contextlib.suppress(FileNotFoundError):
            self._system.rm_file(self._full(name))

    def _full(self, name: str) -> str:
        return f"{self._path}/{name}"
