"""A database as a source: read as it is at one instant."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sqlalchemy.exc import SQLAlchemyError

from ...dialects import dialect_for
from ...dialects.base import Dialect, Table
from ...errors import (
    AccessDenied,
    DatabaseDamaged,
    DatabaseUnreachable,
    DoesNotFit,
    FerryError,
    SourceIncomplete,
    Unauthorized,
)
from ..anonymise.engine import Bound
from ..proof.verify import checksums
from ..run.run import Run
from ..run.source import SourceSpec
from ..schema.alembic import data_tables
from . import database as database_source
from .base import Closing, SourceOptions, Taken, left_out, taken_from, unlike, writable
from .http import AGAIN


class DatabaseSource(Closing):
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
        with writable(path), _readable(self._dialect, self._spec):
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
        return unlike(taken.footer.checksums, found)

    def again(self, run: Run, taken: Taken) -> Taken:
        del taken
        return self.take(run)


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
