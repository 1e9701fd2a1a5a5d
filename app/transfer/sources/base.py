"""What is taken of a source, whatever it is: a snapshot that was read through, and who read it."""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from ...errors import FerryError, Misconfigured, SourceIncomplete
from ..adapters import AdapterSet
from ..rows.files import write
from ..rows.snapshot import Footer, HashedLine, Header, check, encode, is_anonymised
from ..run.run import Run
from ..run.source import file_sha256
from .http import HttpClient


@dataclass(frozen=True)
class SourceOptions:
    """What the command's options say about the source."""

    exclude: tuple[str, ...] = ()
    accept_missing: bool = False
    insecure_http: bool = False
    restart: bool = False


@dataclass
class Taken:
    """A complete snapshot of the source, read through.

    :ivar fallback_of: when it stands in for the source: the time it was taken.
    :ivar former: where the file that had this one's name is kept.
    :ivar extra: tables of the source that its revision does not have, excluded by name: name -> rows; None for a
        virtual table, whose rows nobody can count.
    """

    path: Path
    header: Header
    footer: Footer
    sha256: str | None = None
    fallback_of: str | None = None
    former: Path | None = None
    extra: dict[str, int | None] = field(default_factory=dict)
    repeats: dict[str, int] = field(default_factory=dict)

    def received(self) -> list[dict[str, Any]]:
        """Of records: how many of each type came, and how many of them more than once."""
        return [
            {
                "type": name,
                "received": found.rows + self.repeats.get(name, 0),
                "distinct": found.rows,
                "identical_repeats": self.repeats.get(name, 0),
            }
            for name, found in self.footer.checksums.items()
        ]


class OpenSource(Protocol):
    """A source that answered."""

    describe: str

    def take(self, run: Run) -> Taken:
        """Read everything into a snapshot."""

    def changed(self, taken: Taken) -> list[str] | None:
        """The tables that are not what was taken any more; None where only reading all of it again can tell.

        :raises SourceIncomplete, Unauthorized: it cannot be read again.
        """

    def again(self, run: Run, taken: Taken) -> Taken:
        """Read everything once more, into a snapshot in the place of the first; ``taken`` where nothing changed."""

    def close(self) -> None:
        """Let go of connections."""


def load_adapters(run: Run) -> AdapterSet:
    """The host's adapters.

    :raises Misconfigured: the key is missing, or the module cannot be imported.
    """
    name = run.settings.adapters
    if name is None:
        raise Misconfigured(
            "Records of an API need adapters that say what they mean as rows, and FERRY_ADAPTERS is not set.",
            hint='Set FERRY_ADAPTERS = "module" (docs/adapters.md).',
        )
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        raise Misconfigured(f"FERRY_ADAPTERS: module {name} cannot be imported: {error}.") from error
    adapters = AdapterSet.of(module)
    run.schema.require(adapters.revision, f"FERRY_ADAPTERS ({name})")
    return adapters


class Closing:
    """What sources share; a file does not change."""

    def __init__(self, client: HttpClient | None = None) -> None:
        self._client = client

    def changed(self, taken: Taken) -> list[str] | None:
        """Nothing."""
        del taken
        return []

    def again(self, run: Run, taken: Taken) -> Taken:
        """The same."""
        del run
        return taken

    def close(self) -> None:
        if self._client:
            self._client.close()


def missing_tables(adapters: AdapterSet, types: Collection[str], why: dict[str, str]) -> dict[str, str]:
    """The tables that no record type of this source gives rows of, with the reason."""
    made = {table for name in types for table in adapters.adapters[name].makes if name in adapters.adapters}
    lacking: dict[str, str] = {}
    for name, adapter in adapters.adapters.items():
        if name not in types:
            lacking.update({table: why.get(name, f"the source gives no {name}") for table in adapter.makes})
    # A type that is named as unavailable makes its tables missing, whatever another type may add to them.
    named = {t for name in why for t in adapters.adapters[name].makes[:1] if name in adapters.adapters}
    return {table: reason for table, reason in sorted(lacking.items()) if table not in made or table in named}


def accept_missing(missing: dict[str, str], options: SourceOptions, command: str) -> None:
    """:raises SourceIncomplete: tables are missing and that was not accepted."""
    if missing and not options.accept_missing:
        raise SourceIncomplete(
            f"The source gives no rows of {', '.join(missing)}.",
            details=[f"{table}: {reason}" for table, reason in missing.items()],
            hint=f"To let them arrive empty: {command} --accept-missing",
        )


def written(run: Run, header: Header, sections: Iterator[tuple[str, Iterator[HashedLine]]]) -> Taken:
    """Write the snapshot of a source; the former one is kept."""
    path = run.settings.snapshot
    with writable(path):
        former = write(path, encode(header, sections), check=check)
    return taken_from(run, path, former)


@contextlib.contextmanager
def writable(path: Path) -> Iterator[None]:
    """:raises FerryError: the snapshot cannot be written."""
    try:
        yield
    except OSError as error:
        raise FerryError(
            f"The snapshot {path} cannot be written: {error.strerror}.",
            hint="Make room or mend the permissions, or set FERRY_SNAPSHOT to another path.",
        ) from error


def taken_from(run: Run, path: Path, former: Path | None) -> Taken:
    """A snapshot that was just written."""
    header, footer = check(path)
    if former:
        run.note(f"The former snapshot is kept as {former}.")
        if header.profile is not None and not is_anonymised(former):
            run.warn(f"{former} is not anonymised: remove it if nobody is to keep what it holds.")
    return Taken(path, header, footer, file_sha256(path), former=former)


def unlike(taken: Mapping[str, object], found: Mapping[str, object]) -> list[str]:
    return sorted(name for name in taken if taken[name] != found.get(name))


def left_out(run: Run, taken: Taken, options: SourceOptions) -> Taken:
    """Count the rows of excluded tables that the revision does not have: nothing behind this would name them."""
    revision = taken.header.revision
    asked = set(options.exclude) & set(taken.footer.checksums)
    if taken.header.kind == "rows" and asked and revision is not None:
        run.schema.require(revision, taken.header.source)
        run.dialect.prepare_staging(run.scratch, run.target)
        try:
            run.schema.build(run.scratch, revision)
            with run.dialect.reader(run.scratch) as reader:
                extra = asked - set(reader.tables())
        finally:
            run.dialect.drop(run.scratch)
        taken.extra = {name: taken.footer.checksums[name].rows for name in sorted(extra)}
    return taken
