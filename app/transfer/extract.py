"""From a source to a snapshot that can be loaded: open it, know before the question that it answers, read all of it."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError

from ..dialects import dialect_for
from ..dialects.base import Dialect, Table, TableChecksum
from ..errors import (
    AccessDenied,
    DatabaseDamaged,
    DatabaseUnreachable,
    DoesNotFit,
    FerryError,
    Misconfigured,
    Protected,
    SourceIncomplete,
    Unauthorized,
)
from .adapters import AdapterSet
from .anonymise import Bound
from .files import write
from .plan import MIGRATE
from .private import withheld
from .resume import adopt, journal_part, resumable
from .run import Run
from .schema import data_tables
from .snapshot import Footer, HashedLine, Header, check, encode, hashed_records, is_anonymised, now
from .sources import SourceKind, SourceSpec, file_sha256
from .sources import database as database_source
from .sources.classic import ClassicSource, Endpoint
from .sources.classicfile import ClassicFile
from .sources.ferry import FerrySource, Manifest, speaks_ferry
from .sources.http import AGAIN, HttpClient
from .sources.parts import Part, scratch_keys
from .verify import checksums


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


def open_source(run: Run, spec: SourceSpec, options: SourceOptions) -> OpenSource:
    """Open a source: log in, or find its tables and revision.

    :raises Unauthorized, SourceIncomplete, DoesNotFit, Misconfigured: as the kinds of source say.
    """
    match spec.kind:
        case SourceKind.HTTP:
            return _open_http(run, spec, options)
        case SourceKind.DATABASE:
            return DatabaseFile(run, spec, options)
        case SourceKind.SNAPSHOT:
            return SnapshotFile(spec, options)
    return ClassicShape(spec, load_adapters(run), options)


def _open_http(run: Run, spec: SourceSpec, options: SourceOptions) -> OpenSource:
    settings = run.settings
    if settings.source_uid is None or settings.source_password is None:
        missing = "FERRY_SOURCE_UID" if settings.source_uid is None else "FERRY_SOURCE_PASSWORD"
        raise Misconfigured(
            f"{missing} is not set, and {spec.label} needs a log-in.",
            hint=f"Set FLASK_{missing} in the environment (or .env); a password also by FERRY_SOURCE_PASSWORD_FILE.",
        )
    client = HttpClient(str(spec.http_url), timeout_s=settings.timeout_s, tls_ca=settings.tls_ca)
    try:
        if speaks_ferry(client):
            ferry = FerrySource(client, settings.source_uid, settings.source_password)
            return FerryDeployment(run, spec, ferry, client, options)
        source = ClassicSource(client, settings.source_uid, settings.source_password)
        source.log_in()
        return ClassicDeployment(spec, source, client, load_adapters(run), options)
    except BaseException:
        client.close()
        raise


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


class ClassicDeployment(Closing):
    """An old deployment that speaks the classic API."""

    def __init__(
        self, spec: SourceSpec, source: ClassicSource, client: HttpClient, adapters: AdapterSet, options: SourceOptions
    ) -> None:
        super().__init__(client)
        self.describe = f"everything that {spec.label} answers now (which database it uses it cannot say)"
        self._spec, self._source, self._adapters, self._options = spec, source, adapters, options

    def take(self, run: Run) -> Taken:
        endpoints, unavailable = self._source.endpoints()
        types = [endpoint.type for endpoint in endpoints]
        missing = missing_tables(self._adapters, types, unavailable)
        accept_missing(missing, self._options, f"flask {MIGRATE} {self._spec.label}")
        read_from = now()
        parts, resumed_from = self._parts(run, endpoints)
        return self._written(run, parts, missing, resumed_from or read_from)

    def changed(self, taken: Taken) -> None:
        del taken

    def again(self, run: Run, taken: Taken) -> Taken:
        endpoints, unavailable = self._source.endpoints()
        missing = missing_tables(self._adapters, [endpoint.type for endpoint in endpoints], unavailable)
        if missing != taken.header.missing:
            raise SourceIncomplete(f"{self._spec.label} does not answer what it answered before.", hint=AGAIN)
        directory = run.directory / "records-again"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        read_from = now()
        with scratch_keys(directory / "keys") as keys:
            found = self._source.extract(directory, keys, endpoints, run.progress)
            parts = {part.name: part for part in found}
        if {name: TableChecksum(part.lines, part.total) for name, part in parts.items()} == taken.footer.checksums:
            return taken
        return self._written(run, parts, missing, read_from)

    def _written(self, run: Run, parts: dict[str, Part], missing: dict[str, str], read_from: str) -> Taken:
        order = self._adapters.in_order(list(parts))
        header = Header(
            kind="records",
            source=self._spec.label,
            identity=self._spec.identity,
            read_from=read_from,
            revision=self._adapters.revision,
            types=tuple(order),
            missing=missing,
        )
        taken = written(run, header, ((name, parts[name].read()) for name in order))
        taken.repeats = {name: part.repeats for name, part in parts.items()}
        return taken

    def _parts(self, run: Run, endpoints: list[Endpoint]) -> tuple[dict[str, Part], str | None]:
        # What is removed with its run cannot be gone on with.
        anew = self._options.restart or run.private is not None
        resumed, since = ({}, None) if anew else resumable(run, self._spec)
        directory = run.received / "records"
        directory.mkdir(mode=0o700)
        parts = {name: adopt(part, directory) for name, part in resumed.items()}
        for part in parts.values():
            journal_part(run, self._spec, part, since or now())
        began = now()
        with scratch_keys(directory / "keys") as keys, withheld(run):
            for part in self._source.extract(directory, keys, endpoints, run.progress, parts):
                parts[part.name] = part
                if run.private is None:
                    journal_part(run, self._spec, part, since or began)
        return parts, since


def written(run: Run, header: Header, sections: Iterator[tuple[str, Iterator[HashedLine]]]) -> Taken:
    """Write the snapshot of a source; the former one is kept."""
    path = run.settings.snapshot
    with _writable(path):
        former = write(path, encode(header, sections), check=check)
    return taken_from(run, path, former)


@contextlib.contextmanager
def _writable(path: Path) -> Iterator[None]:
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


class FerryDeployment(Closing):
    """Another Ferry deployment."""

    def __init__(
        self, run: Run, spec: SourceSpec, source: FerrySource, client: HttpClient, options: SourceOptions
    ) -> None:
        super().__init__(client)
        self._source, self._options = source, options
        self.manifest: Manifest = source.manifest()
        if self.manifest.database_uid == run.dialect.identity(run.target).uid:
            raise Protected(
                f"{spec.label} serves this very database: it would be replaced by its own copy.",
                hint="To bring it to head in place: flask db-migrate-data self",
            )
        if self.manifest.revision is None:
            raise SourceIncomplete(f"{spec.label} is at no revision.")
        run.schema.require(self.manifest.revision, spec.label)
        rows = sum(table["rows"] for table in self.manifest.tables.values())
        self.describe = f"{rows} rows of {len(self.manifest.tables)} tables that {spec.label} exports now"
        self._spec = spec

    def take(self, run: Run) -> Taken:
        path = run.settings.snapshot
        former = self._source.write_snapshot(path, self._spec.identity, run.progress)
        return left_out(run, taken_from(run, path, former), self._options)

    def changed(self, taken: Taken) -> list[str]:
        said = self._source.manifest()
        self._refuse_other(said)
        found = {name: (table["rows"], table["checksum"]) for name, table in said.tables.items()}
        return _unlike({name: (sums.rows, str(sums)) for name, sums in taken.footer.checksums.items()}, found)

    def _refuse_other(self, said: Manifest) -> None:
        if (said.revision, said.tables.keys()) != (self.manifest.revision, self.manifest.tables.keys()):
            raise SourceIncomplete(f"The schema of {self._spec.label} was changed while it was read.", hint=AGAIN)

    def again(self, run: Run, taken: Taken) -> Taken:
        del taken
        return self.take(run)


class DatabaseFile(Closing):
    """A database as the source, the classic one included."""

    def __init__(self, run: Run, spec: SourceSpec, options: SourceOptions) -> None:
        super().__init__()
        url = spec.database
        if url is None:
            raise FerryError("no database")
        self._url, self._spec, self._options = url, spec, options
        self._dialect = dialect_for(url, tls_ca=run.settings.tls_ca)
        with _readable(self._dialect, spec):
            found = database_source.look(self._dialect, url, spec.label)
        # On the target's server: what fails there is not the source's fault.
        self._state = database_source.recognised(found, run.schema, run.scratch, spec.label)
        self.describe = f"the rows of {spec.label}, at revision {self._state.revision}"
        if self._state.recognition:
            self.describe += " (recognised by its tables)"
        self._refuse_virtual()

    def _refuse_virtual(self) -> None:
        self._virtual = sorted(item.name for item in self._state.objects if item.kind == "virtual table")
        if left := [name for name in self._virtual if name not in self._options.exclude]:
            raise DoesNotFit(
                f"{self._spec.label} has virtual tables, which no revision makes: {', '.join(left)}.",
                hint=f"Leave them out with: {' '.join(f'--exclude {name}' for name in left)}",
            )

    @property
    def tables(self) -> dict[str, Table]:
        """Its tables as they are."""
        return self._state.tables

    @property
    def revision(self) -> str | None:
        return self._state.revision

    def take(self, run: Run, bound: Bound | None = None) -> Taken:
        """Read everything into a snapshot.

        :param bound: the profile that rows are anonymised with before they are written.
        """
        state, path = self._state, run.settings.snapshot
        header = database_source.header_of(self._spec.label, self._spec.identity, state.revision, state.tables)
        header = bound.header(header, self._spec.identity) if bound else header
        change = bound.rows if bound else None
        with _writable(path), _readable(self._dialect, self._spec):
            former = database_source.write_snapshot(self._dialect, self._url, path, header, run.progress, change)
        taken = left_out(run, taken_from(run, path, former), self._options)
        taken.extra |= {name: None for name in self._virtual if name in self._options.exclude}
        return taken

    def changed(self, taken: Taken) -> list[str]:
        own = {table.name: table for table in taken.header.tables}
        with _readable(self._dialect, self._spec):
            if not self._dialect.exists(self._url):
                raise SourceIncomplete(f"{self._spec.label} is not there any more.", hint=AGAIN)
        with _readable(self._dialect, self._spec), self._dialect.reader(self._url) as reader:
            if data_tables(reader.tables()) != own:
                raise SourceIncomplete(f"The schema of {self._spec.label} was changed while it was read.", hint=AGAIN)
            found = checksums(reader, own)
        return _unlike(taken.footer.checksums, found)

    def again(self, run: Run, taken: Taken) -> Taken:
        del taken
        return self.take(run)


def _unlike(taken: Mapping[str, object], found: Mapping[str, object]) -> list[str]:
    return sorted(name for name in taken if taken[name] != found.get(name))


@contextlib.contextmanager
def _readable(dialect: Dialect, spec: SourceSpec) -> Iterator[None]:
    """Name the source in what goes wrong with its database.

    :raises SourceIncomplete: it does not answer, is damaged, or somebody keeps it locked.
    :raises Unauthorized: its server refuses the user.
    """
    unreadable: tuple[type[Exception], ...] = (SQLAlchemyError, DatabaseDamaged, DatabaseUnreachable)
    try:
        yield
    except AccessDenied as error:
        raise Unauthorized(error.message, hint="Check user and password in SOURCE.") from error
    except unreadable + dialect.driver_errors as error:
        raise SourceIncomplete(
            f"{spec.label} cannot be read: {getattr(error, 'orig', None) or error}.",
            hint="Give an intact copy of it, or stop the program that holds it: flask db-migrate-data SOURCE",
        ) from error


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


class SnapshotFile(Closing):
    """A snapshot given as the source."""

    def __init__(self, spec: SourceSpec, options: SourceOptions) -> None:
        super().__init__()
        self._path, self._options = spec.file or Path(), options
        header, footer = check(self._path)
        self.header = header
        self._taken = Taken(self._path, header, footer, file_sha256(self._path))
        self.describe = f"the snapshot {self._path} of {header.source}, taken {header.read_from}"

    def take(self, run: Run) -> Taken:
        return left_out(run, self._taken, self._options)


class ClassicShape(Closing):
    """A classic ``data.json`` given as the source; it becomes a snapshot in the run's directory."""

    def __init__(self, spec: SourceSpec, adapters: AdapterSet, options: SourceOptions) -> None:
        super().__init__()
        self._path = spec.file or Path()
        self._spec, self._adapters = spec, adapters
        self._file = ClassicFile(self._path)
        self._order = adapters.in_order(self._file.types)
        self._missing = missing_tables(adapters, self._file.types, {})
        accept_missing(self._missing, options, f"flask {MIGRATE} {self._path}")
        self._modified = modified(self._path)
        self.describe = f"the file {self._path}, last modified {self._modified}"

    def take(self, run: Run) -> Taken:
        header = Header(
            kind="records",
            source=self._spec.label,
            identity=self._spec.identity,
            read_from=self._modified,
            revision=self._adapters.revision,
            types=tuple(self._order),
            missing=self._missing,
        )
        path = run.received / "records.json"
        sections = ((name, hashed_records(self._file.records(name))) for name in self._order)
        write(path, encode(header, sections), check=check, keep_former=False)
        return Taken(path, *check(path), sha256=file_sha256(self._path))


def modified(path: Path) -> str:
    """A file's modification time, ISO 8601 in UTC."""
    return dt.datetime.fromtimestamp(path.stat().st_mtime, dt.UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
