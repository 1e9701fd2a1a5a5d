"""Backups: written, read back, listed, checked, pruned. A backup without its manifest is none."""

from __future__ import annotations

import contextlib
import datetime as dt
import secrets
import tempfile
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import URL

from ...dialects.base import Dialect
from ...dialects.files import make_directory
from ...dialects.model import TableChecksum
from ...errors import BackupFailed, FerryError
from ..proof.checksums import NOTHING, Contents, fingerprint, read_contents
from ..rows.files import file_sha256
from ..rows.snapshot import check as check_snapshot
from .making import compare_restored, now, restore_beside, to_lists
from .manifest import SUFFIX, Backup, load_manifest, manifest_of, write_manifest


def state_of(dialect: Dialect, url: URL, copied: Contents = NOTHING) -> dict[str, TableChecksum]:
    """The checksums of a database.

    :param copied: what it may be a copy of, on the same server.
    """
    with dialect.reader(url) as reader:
        return fingerprint(reader, proved=copied.known_in(reader))


def contents_of(dialect: Dialect, url: URL) -> Contents:
    """What a database holds."""
    with dialect.reader(url) as reader:
        return read_contents(reader)


def prepare_directory(directory: Path) -> None:
    """Create the directory of backups, for its owner alone.

    :raises BackupFailed: it cannot be created or written.
    """
    try:
        make_directory(directory)
        # It has no name where the system can do that: nobody who is killed here leaves one.
        with tempfile.TemporaryFile(dir=directory):
            pass
    except OSError as error:
        raise BackupFailed(
            f"Backups cannot be written to {directory}: {error.strerror}.",
            hint="Set FERRY_BACKUPS to a directory that can be written, or give --backup-to PATH.",
        ) from error


def file_for(directory: Path, database: Path, command: str, suffix: str) -> Path:
    """A new name: database, time in UTC, command, and a few random digits against clocks that go back."""
    stamp = dt.datetime.now(dt.UTC).strftime("%Y%m%dT%H%M%SZ")
    return directory / f"{database.stem}-{stamp}-{command}-{secrets.token_hex(3)}{suffix}"


def register_portable(file: Path, *, command: str, run: str, database: str, key: bytes | None) -> Backup:
    """Give a portable snapshot that was just written and checked its manifest."""
    header, footer = check_snapshot(file)
    return write_manifest(
        Backup(
            id=file.name,
            file=str(file),
            command=command,
            run=run,
            database=database,
            made_at=now(),
            size_bytes=file.stat().st_size,
            sha256=file_sha256(file),
            revision=header.revision,
            tables=to_lists(footer.checksums),
            portable=True,
        ),
        key,
    )


def list_in(directory: Path, database: str | None = None) -> list[Backup]:
    """Backups in a directory, oldest first; of one database, or of all. A file with a broken manifest is no backup."""
    backups = []
    for path in directory.glob(f"*{SUFFIX}") if directory.is_dir() else ():
        backup = None
        with contextlib.suppress(BackupFailed):
            backup = load_manifest(path.with_name(path.name.removesuffix(SUFFIX)))
        if backup and backup.path.exists() and database in (None, backup.database):
            backups.append(backup)
    return sorted(backups, key=lambda backup: (backup.made_at, backup.id))


def explain_unsealed(file: Path | str) -> str:
    """What there is to say about a file that has not the seal of this database's key."""
    return (
        f"{file} does not have this database's seal: it was changed, or was made elsewhere, by an older version, "
        "or with another FERRY_BACKUP_KEY."
    )


def broken(directory: Path) -> list[str]:
    """What is wrong with each manifest in a directory that cannot be read."""
    lines = []
    for path in sorted(directory.glob(f"*{SUFFIX}")) if directory.is_dir() else ():
        try:
            load_manifest(path.with_name(path.name.removesuffix(SUFFIX)))
        except BackupFailed as error:
            lines.append(error.message)
    return lines


def check(dialect: Dialect, backup: Backup, scratch: URL, key: bytes | None) -> None:
    """Prove that a backup still is what it was: seal, digest, content, every row.

    :param key: of the seals of this database.
    :raises BackupFailed: with what is wrong.
    """
    if not backup.path.is_file():
        raise BackupFailed(f"The backup file {backup.file} is not there.")
    if not backup.has_seal_of(key):
        raise BackupFailed(explain_unsealed(backup.path))
    if file_sha256(backup.path) != backup.sha256:
        raise BackupFailed(
            f"The backup {backup.file} was changed since it was made (another SHA-256).",
            hint="Use another one: flask db-backup --list",
        )
    if backup.portable:
        try:
            check_snapshot(backup.path)
        except FerryError as error:
            raise BackupFailed(error.message) from error
        return
    try:
        restored = restore_beside(dialect, backup.path, scratch, sums=False)
        compare_restored(dialect, backup.path, scratch, restored, backup.contents)
    finally:
        dialect.drop(scratch)


def prune(
    backups: list[Backup],
    keep: int,
    needed: Collection[str],
    command: str | None = None,
    *,
    keep_days: int | None = None,
) -> list[Backup]:
    """Remove the oldest backups beyond ``keep`` per command; returns those removed. Parameters as of :func:`beyond`."""
    removed = beyond(backups, keep, needed, command, keep_days=keep_days)
    remove(removed)
    return removed


def remove(backups: list[Backup]) -> None:
    """Remove backups and their manifests."""
    for backup in backups:
        # The file first: a manifest without a file is not listed, a file without one could never be pruned.
        backup.path.unlink(missing_ok=True)
        manifest_of(backup.path).unlink()


class Kept(Protocol):
    """What retention looks at, of a backup here or in a storage."""

    @property
    def file(self) -> str: ...
    @property
    def command(self) -> str: ...
    @property
    def made_at(self) -> str: ...


KeptT = TypeVar("KeptT", bound=Kept)


def beyond(
    backups: list[KeptT],
    keep: int,
    needed: Collection[str],
    command: str | None = None,
    *,
    keep_days: int | None = None,
    is_whole: Callable[[Any], bool] | None = None,
) -> list[KeptT]:
    """The oldest backups beyond ``keep`` per command.

    Where none of the others is whole any more, the newest whole one is not among them.

    :param backups: of one database, oldest first.
    :param needed: paths that must stay: the newest verified one and those of unfinished runs.
    :param command: only this command's.
    :param keep_days: none that is younger than so many days.
    :param is_whole: whether one still is what it was; by default, whether its file has its digest.
    """
    whole: Callable[[Any], bool] = is_whole or _is_whole
    surplus: list[KeptT] = []
    for name in {backup.command for backup in backups if command in (None, backup.command)}:
        of_command = [backup for backup in backups if backup.command == name]
        surplus += [backup for backup in of_command[:-keep] if backup.file not in needed and backup is not backups[-1]]
    if keep_days is not None:
        since = dt.datetime.now(dt.UTC) - dt.timedelta(days=keep_days)
        surplus = [backup for backup in surplus if dt.datetime.fromisoformat(backup.made_at) < since]
    others = [backup for backup in backups if backup not in surplus]
    if surplus and not any(map(whole, reversed(others))):
        last = next((backup for backup in reversed(backups) if backup in surplus and whole(backup)), None)
        surplus = [backup for backup in surplus if backup is not last]
    return surplus


def _is_whole(backup: Backup) -> bool:
    """Whether its file is still what was proved when it was made."""
    path = backup.path
    return path.is_file() and path.stat().st_size == backup.size_bytes and file_sha256(path) == backup.sha256
