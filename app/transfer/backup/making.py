"""A backup on its way: written and read back beside the run, which reads the rows that it has to prove meanwhile."""

from __future__ import annotations

import contextlib
import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from sqlalchemy import URL

from ...dialects.base import Dialect, Image
from ...dialects.dumping import Dump
from ...dialects.model import TableChecksum
from ...dialects.samples import AS_THEY_WERE
from ...errors import BackupFailed
from ..proof.checksums import Contents, Summed, read_contents, sum_up
from ..rows.canonical import checksum
from ..rows.files import file_sha256
from ..rows.header import sort_columns
from ..run.beside import Beside
from ..run.evidence_files import name_unfinished
from ..schema.alembic import revision_of
from .manifest import Backup, write_manifest


def to_lists(sums: Mapping[str, TableChecksum]) -> dict[str, list[Any]]:
    """Checksums as a manifest has them."""
    return {name: [total.rows, str(total)] for name, total in sums.items()}


def to_rows(counts: Mapping[str, int]) -> dict[str, list[Any]]:
    """As :func:`to_lists`, of tables that nobody read a row of."""
    return {name: [rows, None] for name, rows in counts.items()}


def to_sums(lists: Mapping[str, Sequence[Any]]) -> dict[str, TableChecksum]:
    """What :func:`to_lists` made lists of."""
    return {name: TableChecksum(rows, int(total, 16)) for name, (rows, total) in lists.items()}


def now() -> str:
    """The present instant, ISO 8601 in UTC; to the millisecond, as the newest of several is found by it."""
    return dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Making:
    """A backup from its dump to its manifest, which is written last.

    The dump is written, restored, looked at and summed up in a thread of its own, which waits for the server, the disk
    and C code most of its time. What it is compared with is read by the run's own thread meanwhile, which also writes
    what no other session can.

    :param key: what the manifest is sealed with; without one it has no seal.
    :param scratch: a database to restore into for the proof; it is dropped.
    :param keep: leave it where the backup is proved.
    :ivar restored: what the server says of it then; None where it is not there.
    """

    def __init__(
        self,
        dialect: Dialect,
        image: Image,
        to: Path,
        *,
        scratch: URL,
        command: str,
        run: str,
        database: str,
        key: bytes | None,
        keep: bool = False,
    ) -> None:
        self._dialect, self._image, self._to, self._scratch, self._key = dialect, image, to, scratch, key
        self._command, self._run, self._database = command, run, database
        self._unproved = to.with_name(name_unfinished(to, run))
        self._revision = revision_of(image.reader)
        self._keep, self.restored = keep, cast("Summed | None", None)
        self._dump = Dump()
        self._work = Beside(self._write_and_read_back)

    @contextlib.contextmanager
    def going_on(self) -> Iterator[None]:
        """From its beginning to its end; where that is an error, nothing is left behind.

        :raises BackupFailed: it cannot be written.
        """
        try:
            with self._work:
                self._dump = self._image.begin_dump(self._unproved)
                self._work.begin()
                self._dump.here()
                yield
        except OSError as error:
            raise self._explain(error) from error
        finally:
            if self.restored is None:
                self._dialect.drop(self._scratch)
            with contextlib.suppress(OSError):
                self._unproved.unlink(missing_ok=True)

    def _explain(self, error: OSError) -> BackupFailed:
        return BackupFailed(f"The backup to {self._to} failed: {error.strerror}.")

    def _write_and_read_back(self) -> tuple[Summed, str]:
        self._dump.beside()
        summed = restore_beside(self._dialect, self._unproved, self._scratch, restore=self._dump.restore)
        return summed, file_sha256(self._unproved)

    def finish(self, contents: Contents) -> Backup:
        """Prove that what was restored is what was backed up, and give the backup its name and its manifest.

        :param contents: what the image holds.
        :raises BackupFailed: it is not, or the file was not written.
        """
        summed, digest = self._work.result()
        compare_restored(self._dialect, self._unproved, self._scratch, summed, contents)
        if self._to.exists():
            raise BackupFailed(f"{self._to} exists already.", hint="Give another path with --backup-to.")
        size = self._unproved.stat().st_size
        self._unproved.replace(self._to)
        backup = Backup(
            id=self._to.name.removesuffix(self._dialect.backup_suffix),
            file=str(self._to),
            command=self._command,
            run=self._run,
            database=self._database,
            made_at=now(),
            size_bytes=size,
            sha256=digest,
            revision=self._revision,
            tables=to_rows(contents.counts) if contents.lies_known else to_lists(contents.checksums),
            whole=contents.whole if contents.lies_known else None,
        )
        backup = write_manifest(backup, self._key)
        self.restored = summed if self._keep else None
        return backup

    def make(self) -> Backup:
        """All of it, of an image that nobody has read yet.

        :raises BackupFailed: nothing is left behind then.
        """
        with self.going_on():
            return self.finish(read_contents(self._image.reader, changes=False))


def restore_beside(
    dialect: Dialect, dump: Path, scratch: URL, *, sums: bool = True, restore: Callable[[URL], None] | None = None
) -> Summed:
    """Restore a backup, look at every rule and let the server sum it up.

    :param sums: not where nothing is known that they could be compared with.
    :param restore: restores it where that has its own way, as it is not whole yet.
    :raises BackupFailed: it cannot be restored, or is damaged.
    """
    if restore:
        restore(scratch)
    else:
        dialect.restore(dump, scratch)
    problems = [item for item in dialect.problems(scratch) if item.kind not in AS_THEY_WERE]
    if problems:
        raise BackupFailed(f"The backup {dump} is damaged: {problems[0]}")
    with dialect.reader(scratch) as reader:
        if sums:
            return sum_up(reader)
        return Summed([sort_columns(one) for one in reader.tables().values()], reader.whole(), {})


def compare_restored(dialect: Dialect, dump: Path, scratch: URL, summed: Summed, contents: Contents) -> None:
    """Compare a backup that was restored with what it is of: by what the server says, and else row by row.

    :raises BackupFailed: it is something else.
    """
    if contents.lies_known:
        if summed.whole != contents.whole:
            raise BackupFailed(f"The backup {dump} does not read back as what was backed up: it lies otherwise.")
        return
    expected, known = contents.checksums, contents.known_of(summed)
    # An older version wrote no virtual tables into a manifest.
    tables = [table for table in summed.tables if table.name in expected or not table.virtual]
    sums = {table.name: known(table) for table in tables}
    if unknown := [table for table in tables if sums[table.name] is None]:
        with dialect.reader(scratch) as reader:
            sums.update({table.name: checksum(table, reader.rows(table)) for table in unknown})
    if sums != expected:
        wrong = sorted(name for name in expected.keys() | sums.keys() if expected.get(name) != sums.get(name))
        raise BackupFailed(f"The backup {dump} does not read back as what was backed up: {', '.join(wrong)}.")
