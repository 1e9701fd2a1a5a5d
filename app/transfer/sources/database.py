"""A database as the source: its rows at its own revision, in one consistent read."""

from __future__ import annotations

import contextlib
import functools
import shutil
from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path

from sqlalchemy import URL
from sqlalchemy.exc import SQLAlchemyError

from ...dialects import dialect_for
from ...dialects.base import Dialect, Watch
from ...dialects.model import Definition, OutsideObject, SchemaObject, Table
from ...dialects.reader import Reader
from ...dialects.wording import count_rows
from ...errors import (
    AccessDenied,
    DatabaseDamaged,
    DatabaseUnreachable,
    DoesNotFit,
    FerryError,
    LockHeld,
    Protected,
    SourceIncomplete,
    Unauthorized,
)
from ..proof.checksums import checksums
from ..rows.double_encoded import DoubleEncoded
from ..rows.header import Header, header_of, sort_columns
from ..run.run import Run
from ..run.source import SourceSpec
from ..run.way_out import migrate_without
from ..run.workers import describe_rows
from ..schema.alembic import Schema, data_tables, revision_of
from ..schema.named_schema import list_tables
from ..schema.recognise import Recognition, recognise
from ..schema.version_table import find_version_table
from .base import AGAIN, Ahead, Destination, Glance, RowChange, Source, SourceOptions, Taken
from .lent_rows import lend_rows
from .snapshot_writing import describe_taken, leave_out, unlike, writable, write_rows

CHECK = "Check the path or URL: flask db-migrate-data SOURCE"


@dataclass(frozen=True)
class DatabaseState:
    """What a source database is: its tables and the revision it says or is recognised at.

    :ivar numbers: what its app keeps in the database itself.
    """

    tables: dict[str, Table]
    objects: list[SchemaObject]
    definitions: list[Definition]
    revision: str | None
    recognition: Recognition | None
    numbers: dict[str, int]
    outside: dict[str, list[str]]
    unreadable: list[str]
    time_zone: str | None


def look(dialect: Dialect, url: URL, name: str, version_table: str) -> DatabaseState:
    """Find a source database's tables and the revision that it says it is at.

    :param version_table: what the target's app calls Alembic's own table; the source's may call it otherwise, and the
        dialect learns what. So it does where the source has no tables in the schema that the app's models name: it may
        be of a time before they did.
    :raises SourceIncomplete: it is not there.
    :raises DoesNotFit: it says several.
    """
    if dialect.named_schema is not None and not list_tables(dialect, url):
        dialect.named_schema = None
    if not dialect.exists(url):
        raise SourceIncomplete(f"There is no database {name}.", hint=CHECK)
    with dialect.reader(url) as reader:
        dialect.version_table = find_version_table(reader.tables().values(), version_table)
    with dialect.reader(url) as reader:
        tables, revision = data_tables(reader.tables()), revision_of(reader)
        objects = reader.objects()
        definitions = [item for item in reader.definitions() if dialect.version_table not in (item.table, item.name)]
        numbers, zone = reader.numbers(), reader.time_zone()
        outside, unreadable = reader.outside(), reader.unreadable_outside()
    if not tables:
        raise SourceIncomplete(f"{name} has no tables.", hint=CHECK)
    return DatabaseState(tables, objects, definitions, revision, None, numbers, outside, unreadable, zone)


def recognise_revision(
    state: DatabaseState, schema: Schema, scratch: URL, name: str, *, accept_missing: bool = False
) -> DatabaseState:
    """A source database with its revision checked, or found by the tables where the database says none.

    :param scratch: a database beside the target, to build revisions in.
    :param accept_missing: it may lack tables and columns of the revision that it is nearest to.
    :raises DoesNotFit: its revision is unknown here, or no revision has its tables.
    """
    if state.revision is not None:
        schema.require(state.revision, name)
        return state
    recognition = recognise(schema, state.tables, scratch)
    if recognition.missing and not accept_missing:
        raise DoesNotFit(
            f"{name} has no {schema.host.version_table}, and its tables are not those of any revision.",
            details=[
                f"nearest is {recognition.revision}; it lacks: {', '.join(recognition.missing)}",
                *([f"it has besides: {', '.join(recognition.extra_tables)}"] if recognition.extra_tables else []),
            ],
            hint="Stamp it with the revision it is at (flask db stamp REVISION), add the missing revision, or let "
            "what it lacks arrive empty: flask db-migrate-data --accept-missing",
        )
    return replace(state, revision=recognition.revision, recognition=recognition)


class DatabaseSource(Source):
    """A database as the source, the classic one included."""

    changes_rows = can_be_gone_on_with = True

    def __init__(self, run: Run, spec: SourceSpec, options: SourceOptions) -> None:
        super().__init__()
        url = spec.database
        if url is None:
            raise FerryError("no database")
        self._url, self._spec, self._options = url, spec, options
        self._warned: set[str] = set()
        self._open = contextlib.ExitStack()
        self._has_outside = False
        self._token: bytes | None = None
        self._lane = run.throttle.lane()
        schema = run.dialect.named_schema
        self._dialect = dialect_for(url, tls_ca=run.settings.tls_ca, named_schema=schema)
        with run.host.app_context():
            self._dialect.know_app(run.host.engine)
        with _readable(self._dialect, spec):
            state = look(self._dialect, url, spec.label, run.host.version_table)
        # On the target's server: what fails there is not the source's fault.
        self._state = recognise_revision(
            state, run.schema, run.scratch, spec.label, accept_missing=options.accept_missing
        )
        self.describe = f"the rows of {spec.label}, at revision {self._state.revision}"
        if self._state.recognition:
            self.describe += " (recognised by its tables)"
        odd = run.dialect.find_odd_texts(run.target)
        self._is_shown_alike = bool(odd) and odd == self._dialect.find_odd_texts(url)
        self._refuse_lacking(run)
        self._refuse_virtual()
        self._refuse_outside(run)

    def _open_reader(self) -> AbstractContextManager[Reader]:
        """Texts are read as the old app saw them, or as they are stored where the new app sees those alike."""
        return self._dialect.reader(self._url) if self._is_shown_alike else self._dialect.app_reader(self._url)

    def _refuse_lacking(self, run: Run) -> None:
        """Staging on another server has its own rules; on the same kind of server they are those of the source."""
        lacking = self._dialect.find_lacking(self._url) if self._dialect.name == run.dialect.name else []
        if lacking:
            raise Protected(
                f"{self._spec.label} has rules that this app's connections cannot check.",
                details=lacking,
                hint="Register what is lacking for every connection of the app, then run the command again.",
            )

    def _refuse_virtual(self) -> None:
        """What an index over another table says is made anew from that; other virtual tables have rows of their own."""
        self._virtual = sorted(item.name for item in self._state.objects if item.kind == "virtual table")
        names = [name for name in self._virtual if name not in self._options.exclude]
        with _readable(self._dialect, self._spec), self._dialect.reader(self._url) as reader:
            filled = [f"{name} ({count_rows(rows)})" for name in names if (rows := reader.count(name))]
        if filled:
            raise DoesNotFit(
                f"{self._spec.label} has virtual tables with rows of their own, which are not carried: "
                f"{', '.join(filled)}.",
                hint=f"Leave them out: {migrate_without(names)}",
            )

    def _refuse_outside(self, run: Run) -> None:
        outside = self._find_outside()
        if not outside or (run.dialect.capabilities.outside_objects and not self._state.unreadable):
            return
        lines = [line for words in outside.values() for line in words]
        if run.dialect.capabilities.outside_objects:
            raise DoesNotFit(
                f"{self._spec.label} has large objects that its user may not read.",
                details=self._state.unreadable + lines,
                hint="Let their owner grant it: GRANT SELECT ON LARGE OBJECT ... TO the source's user.",
            )
        self._raise_outside(outside, f"which {run.dialect.name} does not have")

    def _find_outside(self) -> dict[str, list[str]]:
        return {name: words for name, words in self._state.outside.items() if name not in self._options.exclude}

    def _raise_outside(self, outside: dict[str, list[str]], why: str) -> None:
        raise DoesNotFit(
            f"{self._spec.label} has large objects, which lie outside of its tables, and {why}.",
            details=[line for words in outside.values() for line in words],
            hint="Let a revision of the old app put them into a column of bytes (lo_get), or leave their tables "
            f"out: {migrate_without(outside)}",
        )

    def _bring_outside(self, run: Run, reader: Reader, *, anonymised: bool) -> None:
        """Bring the large objects for the run's staging; those that nothing names are named where they stay behind."""
        objects = self._note_outside(reader.outside_objects(self._options.exclude))
        if run.dialect.capabilities.outside_objects and not anonymised:
            for note in run.dialect.bring_outside(run.staging, objects):
                if note not in self._warned:
                    self._warned.add(note)
                    run.note(note)
            warnings = [f"The source's {line}, and it is not migrated." for line in reader.unreadable_outside()]
        else:
            count = sum(1 for _ in objects)
            what = f"Large objects of the source that no column of oid names are not migrated: {count}."
            warnings = [what] if count else []
        for warning in warnings:
            if warning not in self._warned:
                self._warned.add(warning)
                run.warn(warning)

    def look_ahead(self, run: Run) -> Ahead:
        del run
        return Ahead(self._state.revision, self._state.tables, self._size)

    @functools.cached_property
    def _size(self) -> int:
        """In bytes, as it was when it was asked for first."""
        with _readable(self._dialect, self._spec):
            return self._dialect.size_bytes(self._url)

    @contextlib.contextmanager
    def glance(self, run: Run, directory: Path) -> Iterator[Glance]:
        self._dialect.keep_copies_in(directory)
        with _readable(self._dialect, self._spec), self._open_reader() as fast:
            reader = self._lane.reader(fast)
            yield Glance(reader.counts(self._state.tables), header=self._describe(run), reader=reader)

    def take(self, run: Run, to: Destination) -> Taken:
        return self._take(run, to)

    def take_changed(self, run: Run, to: Destination, change: RowChange) -> Taken:
        return self._take(run, to, change)

    def _take(self, run: Run, to: Destination, change: RowChange | None = None) -> Taken:
        path = to.snapshot
        if change and (outside := self._find_outside()):
            self._raise_outside(outside, "whose contents no profile anonymises")

        def bring(reader: Reader) -> None:
            self._bring_outside(run, reader, anonymised=change is not None)

        self._dialect.keep_copies_in(to.directory)
        header = self._describe(run)
        header = change.header(header, self._spec.identity) if change else header
        double = DoubleEncoded(self._dialect.capabilities.query_for_bytes)
        with writable(path), _readable(self._dialect, self._spec), self._watch.read() as (fast, self._token):
            reader = self._lane.reader(fast)
            # A throttle counts what one session reads.
            workers = to.workers if reader is fast else None
            lent = lend_rows(workers, self._dialect, fast, self._url, run.settings.tls_ca)
            file = write_rows(reader, path, header, run.progress, change, double, bring, to.also, lent)
            warnings = reader.texts() + double.warnings()
        if lent and lent.rows_by:
            run.note(describe_rows("Read", lent.rows_by))
        for warning in warnings:
            if warning not in self._warned:
                run.warn(warning)
        self._warned.update(warnings)
        snapshot = self._complete(run, describe_taken(run, file))
        snapshot.can_be_gone_on_with = not self._has_outside
        return snapshot

    def _note_outside(self, objects: Iterator[OutsideObject]) -> Iterator[OutsideObject]:
        for item in objects:
            self._has_outside = True
            yield item

    def _complete(self, run: Run, snapshot: Taken) -> Taken:
        snapshot = leave_out(run, snapshot, self._options)
        snapshot.definitions, snapshot.server = self._state.definitions, self._dialect.name
        snapshot.extra |= {name: None for name in self._virtual if name in self._options.exclude}
        return snapshot

    def take_up(self, run: Run, snapshot: Taken | None, *, catches_up: bool) -> str:
        wanted = self._describe(run)
        if snapshot is None or (snapshot.header.tables, snapshot.header.revision) != (wanted.tables, wanted.revision):
            return "the schema of the source is another one by now"
        # By its values: another file, or another server, may be there now and count as the first one did.
        self._token = None
        if not catches_up and self.find_changed(snapshot):
            return "the source was written since"
        with _readable(self._dialect, self._spec), self._open_reader() as reader:
            # What gives out numbers may have gone on where no row tells.
            counters = tuple(reader.counters())
        snapshot.header = replace(snapshot.header, counters=counters, numbers=wanted.numbers)
        self._complete(run, snapshot)
        return ""

    def _describe(self, run: Run) -> Header:
        state, zone = self._state, run.settings.source_time_zone
        return header_of(
            self._spec.label,
            self._spec.identity,
            state.revision,
            state.tables,
            numbers=state.numbers,
            time_zone=zone or state.time_zone,
        )

    @functools.cached_property
    def _watch(self) -> Watch:
        """Of the source, from the first read on."""
        return self._open.enter_context(self._dialect.watch(self._url, as_app=not self._is_shown_alike))

    def close(self) -> None:
        self._open.close()

    def keep_schema(self, run: Run, to: Path) -> bool:
        if self._dialect.name != run.dialect.name:
            return False
        with _readable(self._dialect, self._spec):
            needed, free = self._dialect.size_bytes(self._url), shutil.disk_usage(to.parent).free
        if free < needed:
            raise DoesNotFit(
                f"Not enough space in {to.parent} for a copy of {self._spec.label}, which its old revision needs: "
                f"{needed:,} bytes are needed and {free:,} are free.",
                hint="Make room, then run the command again.",
            )
        try:
            with _readable(self._dialect, self._spec), self._dialect.image(self._url, run.scratch, None) as image:
                image.dump(to)
        finally:
            run.dialect.drop(run.scratch)
        return True

    def find_changed(self, snapshot: Taken) -> list[str]:
        """Only where the server does not say that nobody wrote, all rows are read again."""
        tables = set(snapshot.header.tables)
        with _readable(self._dialect, self._spec):
            if not self._dialect.exists(self._url):
                raise SourceIncomplete(f"{self._spec.label} is not there any more.", hint=AGAIN)
        with _readable(self._dialect, self._spec):
            if self._token is not None and self._watch.token() == self._token:
                return []
        with _readable(self._dialect, self._spec), self._open_reader() as reader:
            if set(map(sort_columns, data_tables(reader.tables()).values())) != tables:
                raise SourceIncomplete(f"The schema of {self._spec.label} was changed while it was read.", hint=AGAIN)
            sums = checksums(self._lane.reader(reader), {table.name: table for table in snapshot.header.tables})
        return unlike(snapshot.footer.checksums, sums)

    def again(self, run: Run, snapshot: Taken, to: Destination) -> Taken:
        del snapshot
        return self.take(run, to)


@contextlib.contextmanager
def _readable(dialect: Dialect, spec: SourceSpec) -> Iterator[None]:
    """Name the source in what goes wrong with its database.

    :raises SourceIncomplete: it does not answer, is damaged, or somebody keeps it locked.
    :raises Unauthorized: its server refuses the user.
    """
    unreadable: tuple[type[Exception], ...] = (SQLAlchemyError, DatabaseDamaged, DatabaseUnreachable)
    try:
        yield
    except LockHeld as error:
        words = f"{spec.label} cannot be read: {error.message}"
        raise SourceIncomplete(words, details=error.details, hint=error.hint) from error
    except AccessDenied as error:
        raise Unauthorized(error.message, hint="Check user and password in SOURCE.") from error
    except unreadable + dialect.driver_errors as error:
        raise SourceIncomplete(
            f"{spec.label} cannot be read: {getattr(error, 'orig', None) or error}.",
            hint="Give an intact copy of it, or stop the program that holds it: flask db-migrate-data SOURCE",
        ) from error
