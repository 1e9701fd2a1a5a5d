"""A backup that is put back: the file that was chosen, whether it may be, and how it is brought into staging."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from ...dialects.backup_kinds import find_server
from ...dialects.samples import AS_THEY_WERE
from ...errors import BackupFailed, FerryError, Protected, SnapshotUnusable, VerificationFailed
from ..backup import backups
from ..backup.manifest import Backup
from ..backup.seal import existing_key
from ..proof.checksums import Contents, fingerprint
from ..rows.files import file_sha256
from ..rows.snapshot import check, check_file
from ..run.run import Run
from ..run.target import MIGRATE
from ..staging.options import MigrateOptions
from ..staging.stage import stage, verify_staging
from .fetched import refuse_unsealed
from .job import refresh_derived


@dataclass(frozen=True)
class Chosen:
    """What is put back: a file, and its manifest where it has one.

    :ivar sha256: the file's digest when it was decided that it may be put back.
    :ivar origin: the URL that it was fetched from, if so; the file may be gone when the command ends.
    :ivar sealed: it has the seal of this database's key; else somebody says that it may be trusted.
    """

    path: Path
    backup: Backup | None
    portable: bool
    sha256: str = ""
    sealed: bool = False
    origin: str = ""

    @property
    def place(self) -> str:
        """Where it is from, for people."""
        return self.origin or str(self.path)

    @property
    def label(self) -> str:
        by = f" (made {self.backup.made_at} by {self.backup.command})" if self.backup else ""
        unsealed = "" if self.sealed else ", which does not have the seal of this database"
        return f"{self.place}{by}{unsealed}"


def accept_file(run: Run, choice: Chosen, *, trusted: bool, request: str | None = None) -> Chosen:
    """Decide by digest and seal whether a file may be put back: before its first statement, never after.

    :param trusted: somebody says that it may, whoever made it.
    :param request: how it was asked for, where it was.
    :raises BackupFailed: it is not what its manifest says.
    :raises Protected: it has no seal of this database's key, and nobody says that it may be trusted.
    """
    digest = file_sha256(choice.path)
    if choice.backup and digest != choice.backup.sha256:
        raise BackupFailed(
            f"{choice.place} was changed since it was made (another SHA-256).",
            hint="Use another one: flask db-backup --list",
        )
    sealed = bool(choice.backup and choice.backup.has_seal_of(existing_key(run.settings, run.peek())))
    # What a database would read along with its file is not under the seal.
    sealed = sealed and not any(choice.path.with_name(choice.path.name + end).exists() for end in ("-wal", "-journal"))
    if not sealed and not trusted:
        raise refuse_unsealed(choice.place, request or choice.place)
    if not sealed and not choice.portable and run.dialect.is_script(choice.path):
        raise Protected(
            f"{choice.place} is a script for the server's own client program. It could only be run as it stands, "
            "whatever it says, so it is put back with the seal of this database only.",
            hint="Load it by hand into a database of its own, with a user who may reach no other, and migrate from "
            f"that: flask {MIGRATE} DATABASE-URL",
        )
    return replace(choice, sha256=digest, sealed=sealed)


def refuse_damaged(run: Run, choice: Chosen) -> None:
    """Refuse a file that is damaged, before the question."""
    if choice.portable:
        header, _ = check(choice.path)
        if header.kind != "rows" or header.revision is None:
            raise SnapshotUnusable(
                f"{choice.place} holds records of an API, not rows.",
                hint=f"Migrate from it: flask {MIGRATE} {shlex.quote(str(choice.path))}",
            )
        run.schema.require(header.revision, str(choice.path))
    elif (server := find_server(choice.path)) not in (None, run.dialect.name):
        raise BackupFailed(
            f"{choice.place} is a backup of {server}, and this database is {run.dialect.name}'s.",
            hint=f"Put it back where it is from, and bring the rows over from there: flask {MIGRATE} DATABASE-URL",
        )


def stage_backup(run: Run, choice: Chosen) -> Callable[[], Contents]:
    """Bring a backup into staging; returns what proves that it is what was backed up, and says what it holds.

    That raises VerificationFailed where the rows are not those of its manifest, and BackupFailed where they are damaged
    or the file was changed meanwhile.
    """
    if choice.portable:
        snapshot = check_file(choice.path)
        staged = stage(run, snapshot, str(snapshot.header.revision), MigrateOptions())
        refresh_derived(run)

        def verify() -> Contents:
            verify_staging(run, staged.rows, staged.accounts)
            _refuse_changed(choice)
            return backups.contents_of(run.dialect, run.staging)

        return verify
    for note in run.dialect.restore(choice.path, run.staging):
        run.note(note)
    run.dialect.fit_staging(run.staging, run.target)

    def verify_dump() -> Contents:
        contents = _verify(run, choice)
        _refuse_changed(choice)
        return contents

    return verify_dump


def _refuse_changed(choice: Chosen) -> None:
    """:raises BackupFailed: the file is no longer the one that was accepted."""
    if file_sha256(choice.path) != choice.sha256:
        raise BackupFailed(f"{choice.path} was changed while it was read.", hint="Run the command again.")


def _verify(run: Run, choice: Chosen) -> Contents:
    damage = [str(item) for item in run.dialect.problems(run.staging) if item.kind not in AS_THEY_WERE]
    if damage:
        raise BackupFailed(
            f"{choice.place} is damaged.", details=damage, hint="Use another one: flask db-backup --list"
        )
    contents = backups.contents_of(run.dialect, run.staging)
    if choice.backup is None:
        run.note(f"{choice.path} has no manifest: it was checked for damage, not against what was backed up.")
        return contents
    if choice.portable:
        raise FerryError("a portable snapshot is verified as it is loaded")
    known = choice.backup.contents
    if known.lies_known:
        expected: Mapping[str, object] = known.counts
        sums: Mapping[str, object] = {name: one.rows for name, one in contents.checksums.items()}
        if contents.whole != known.whole:
            _refuse_another(run, choice, known, contents)
    else:
        expected, sums = known.checksums, contents.stated_in(known.checksums)
    if sums != expected:
        wrong = sorted(name for name in expected.keys() | sums.keys() if expected.get(name) != sums.get(name))
        raise VerificationFailed(f"{choice.place} does not hold what was backed up: {', '.join(wrong)}.")
    return contents


def _refuse_another(run: Run, choice: Chosen, known: Contents, staged: Contents) -> None:
    """Of a staging database that does not lie as what was backed up did: for pages of another size it is laid out anew.

    :raises VerificationFailed: it holds something else, or the file does.
    """
    try:
        run.dialect.restore(choice.path, run.scratch)
        with run.dialect.reader(run.scratch) as reader:
            if not known.are_in(reader) or fingerprint(reader) != staged.checksums:
                raise VerificationFailed(f"{choice.place} does not hold what was backed up.")
    finally:
        run.dialect.drop(run.scratch)
