"""What is live is secured before it is replaced: the fence, the image, the backup."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ...dialects.base import Fence, Image
from ...dialects.model import LateWrite, Table, TableChecksum
from ...dialects.reader import Reader
from ...dialects.wording import count_rows
from ...errors import BackupFailed, VerificationFailed
from ..backup import backups
from ..backup.making import Making
from ..backup.manifest import Backup
from ..backup.seal import make_key
from ..proof.checksums import NOTHING, Contents, Summed, read_contents
from ..rows.encode import encode, hash_rows
from ..rows.files import write
from ..rows.header import header_of
from ..rows.snapshot import check
from ..run.run import SWAP_TIMEOUT_S, Run
from ..schema.alembic import data_tables, revision_of

PASSES = 3
"""How often a backup is made anew, or the live database copied anew, because somebody wrote meanwhile."""


Finish = Callable[[Contents], tuple[Backup, Summed | None]]
"""Ends a backup that was begun: takes what the image holds, and gives what the server says of what was restored."""


@dataclass
class Secured:
    """The live database as it was at ``token``: backed up, and what it held.

    :ivar schema: what the fence saw of its schema before that.
    :ivar restored: what the server says of staging, which the backup was restored to; None where it was not.
    """

    token: bytes
    backup: Backup | None
    absent: bool = False
    contents: Contents = NOTHING
    schema: str = ""
    restored: Summed | None = None

    @property
    def checksums(self) -> Mapping[str, TableChecksum]:
        """Of each table."""
        return self.contents.checksums


@contextlib.contextmanager
def watch_target(run: Run) -> Iterator[Fence]:
    """Watch the target from here on; an absent one is created empty first, which changes nothing that is there."""
    run.dialect.create(run.target)
    with run.dialect.fence(run.target) as fence:
        yield fence


def secure(
    run: Run, fence: Fence, backup_to: Path | None = None, *, changes: bool, to_staging: bool = False
) -> Secured:
    """Back the live database up as it is at one instant, read back.

    :param changes: whether a copy of it is to be upgraded, and compared with it afterwards.
    :param to_staging: leave what is read back in staging.
    :raises BackupFailed: no backup, no run.
    :raises LockHeld: a writer could not be made to wait.
    """
    before = fence.look()
    if not run.dialect.exists(run.target):
        run.note("Nothing to back up: there is no database yet.")
        return Secured(before.token, None, absent=True)
    with take_image(run, fence) as image, contextlib.ExitStack() as stack:
        under_way: list[Finish] = []

        def begin(rows: int, table: Table) -> None:
            # The backup is written while the other tables are read; an empty database needs none.
            if rows and table.name != run.dialect.version_table and not under_way:
                under_way.append(stack.enter_context(_backing_up(run, image, backup_to, to_staging=to_staging)))

        contents = read_contents(image.reader, changes=changes, between=begin)
        for finish in under_way:
            backup, restored = finish(contents)
            _tell(run, backup)
            return Secured(image.token, backup, contents=contents, restored=restored, schema=before.schema)
        run.note("Nothing to back up: the database is empty.")
        return Secured(image.token, None, contents=contents, schema=before.schema)


@contextlib.contextmanager
def take_image(run: Run, fence: Fence) -> Iterator[Image]:
    """The live database at one instant; when it was written during each of three copies, writers wait for one more.

    :raises LockHeld: a writer could not be made to wait.
    :raises VerificationFailed: it was written during each copy, and writers may not be kept waiting.
    """
    for attempt in range(PASSES + 1):
        with contextlib.ExitStack() as stack:
            waiting = attempt == PASSES and run.may_hold_writers
            with fence.hold(SWAP_TIMEOUT_S) if waiting else contextlib.nullcontext():
                try:
                    image = stack.enter_context(run.dialect.image(run.target, run.old_generation, fence))
                except LateWrite:
                    continue
            yield image
            return
    raise VerificationFailed(
        f"The live database was written during each of {PASSES + 1} copies of it"
        + (
            ", the last while writers were made to wait."
            if run.may_hold_writers
            else "; a rehearsal keeps nobody waiting."
        ),
        hint="Run again when nobody writes, or fewer do.",
    )


def _backing_up(
    run: Run, image: Image, to: Path | None, *, to_staging: bool
) -> contextlib.AbstractContextManager[Finish]:
    for line in lines_left_out(image.reader):
        run.warn(f"The backup made now does not have the contents of large objects: {line}")
    run.report.backup = None
    return writing_backup(run, image, to, to_staging=to_staging)


def _tell(run: Run, backup: Backup) -> None:
    run.report.backup = backup.file
    run.emit("note", f"Backup: {backup.file} ({count_rows(backup.rows)}, {backup.size_bytes} bytes, read back)")


def lines_outside(reader: Reader) -> list[str]:
    """What lies outside of the tables, in words; a backup of them does not have it."""
    return [line for words in reader.outside().values() for line in words]


def lines_left_out(reader: Reader) -> list[str]:
    """What an ordinary backup cannot have, in words: no program of the server's dumps some large objects alone."""
    unreadable = reader.unreadable_outside()
    return unreadable + lines_outside(reader) if unreadable else []


def write_backup(run: Run, image: Image, to: Path | None) -> Backup:
    """Back an image of the live database up that nobody has read yet."""
    with writing_backup(run, image, to) as finish:
        backup, _ = finish(NOTHING if _is_portable(to) else read_contents(image.reader, changes=False))
        return backup


def _is_portable(to: Path | None) -> bool:
    return to is not None and to.name.endswith((".json", ".json.gz", ".json.zst"))


@contextlib.contextmanager
def writing_backup(run: Run, image: Image, to: Path | None, *, to_staging: bool = False) -> Iterator[Finish]:
    """Begin to back an image up, by a dump, or a portable snapshot when the path says so.

    :param to_staging: leave what is read back of a dump in staging.
    :return: takes what the image holds, which was read meanwhile, and gives the backup.
    """
    database = run.dialect.identity(run.target).full_name
    if to is None:
        backups.prepare_directory(run.settings.backups)
        to = backups.file_for(run.settings.backups, Path(database), run.command, run.dialect.backup_suffix)
    if to.exists():
        raise BackupFailed(f"{to} exists already.", hint="Give another path.")
    if not to.parent.is_dir():
        raise BackupFailed(f"There is no directory {to.parent}.", hint="Create it, or give another path.")
    key = make_key(run.settings, run.control)
    if _is_portable(to):
        yield functools.partial(_write_portable, run, image, to, database, key)
        return
    making = Making(
        run.dialect,
        image,
        to,
        scratch=run.staging if to_staging else run.scratch,
        command=run.command,
        run=run.id,
        database=database,
        key=key,
        keep=to_staging,
    )
    with making.going_on():
        yield lambda contents: (making.finish(contents), making.restored)


def _write_portable(
    run: Run, image: Image, to: Path, database: str, key: bytes | None, _contents: Contents
) -> tuple[Backup, None]:
    if count := sum(1 for _ in image.reader.outside_objects()):
        run.warn(f"Large objects that no column of oid names are not in a portable snapshot: {count}.")
    write_portable(database, image.reader, to)
    return backups.register_portable(to, command=run.command, run=run.id, database=database, key=key), None


def rows_beside_tables(reader: Reader) -> dict[str, int]:
    """Virtual tables that hold rows of their own, which no snapshot has, and how many."""
    counts = {item.name: reader.count(item.name) for item in reader.objects() if item.kind == "virtual table"}
    return {name: rows for name, rows in counts.items() if rows}


def describe_rows(tables: Mapping[str, int]) -> str:
    return ", ".join(f"{name} ({count_rows(rows)})" for name, rows in sorted(tables.items()))


def write_portable(database: str, reader: Reader, to: Path) -> None:
    """Write a database as a snapshot of kind ``rows``.

    :raises BackupFailed: it is at no revision, or holds objects that a snapshot cannot.
    """
    revision = revision_of(reader)
    if revision is None:
        raise BackupFailed(
            "A portable snapshot needs the revision of its tables, and this database is at none.",
            hint="Stamp it with the revision it is at (flask db stamp REVISION), or make an ordinary backup.",
        )
    if lines := lines_outside(reader):
        raise BackupFailed(
            "A portable snapshot cannot hold the contents of large objects.",
            details=lines,
            hint="Make an ordinary backup, which has all of them: flask db-backup",
        )
    if rows_beside := rows_beside_tables(reader):
        raise BackupFailed(
            f"A portable snapshot cannot hold the rows of virtual tables: {describe_rows(rows_beside)}.",
            hint="Make an ordinary backup, which has all of them: flask db-backup",
        )
    header = header_of(
        database,
        "backup",
        revision,
        data_tables(reader.tables()),
        counters=reader.counters(),
        numbers=reader.numbers(),
        time_zone=reader.time_zone(),
    )
    rows = ((table.name, hash_rows(table, reader.rows(table))) for table in header.tables)
    try:
        write(to, encode(header, rows), check=check)
    except OSError as error:
        raise BackupFailed(f"The backup to {to} failed: {error.strerror}.") from error
