"""Deployments as sources: the classic API, and Ferry's own export."""

from __future__ import annotations

import shutil

from ...dialects.base import TableChecksum
from ...errors import Protected, SourceIncomplete
from ..adapters import AdapterSet
from ..rows.snapshot import Header, now
from ..run.plan import MIGRATE
from ..run.private import withheld
from ..run.run import Run
from ..run.source import SourceSpec
from .base import (
    Closing,
    SourceOptions,
    Taken,
    accept_missing,
    left_out,
    missing_tables,
    taken_from,
    unlike,
    writable,
    written,
)
from .classic_api import ClassicSource, Endpoint
from .ferry_protocol import FerrySource, Manifest
from .http import AGAIN, HttpClient
from .parts import Part, scratch_keys
from .resume import adopt, journal_part, resumable


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
        directory = run.received / "records-again"
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        read_from = now()
        with writable(directory), scratch_keys(directory / "keys") as keys:
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
        with writable(directory), scratch_keys(directory / "keys") as keys, withheld(run):
            for part in self._source.extract(directory, keys, endpoints, run.progress, parts):
                parts[part.name] = part
                if run.private is None:
                    journal_part(run, self._spec, part, since or began)
        return parts, since


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
        rows = sum(table.rows for table in self.manifest.tables.values())
        self.describe = f"{rows} rows of {len(self.manifest.tables)} tables that {spec.label} exports now"
        self._spec = spec

    def take(self, run: Run) -> Taken:
        path = run.settings.snapshot
        with writable(path):
            former = self._source.write_snapshot(path, self._spec.identity, run.progress)
        return left_out(run, taken_from(run, path, former), self._options)

    def changed(self, taken: Taken) -> list[str]:
        said = self._source.manifest()
        self._refuse_other(said)
        return unlike(taken.footer.checksums, said.tables)

    def _refuse_other(self, said: Manifest) -> None:
        if (said.revision, said.tables.keys()) != (self.manifest.revision, self.manifest.tables.keys()):
            raise SourceIncomplete(f"The schema of {self._spec.label} was changed while it was read.", hint=AGAIN)

    def again(self, run: Run, taken: Taken) -> Taken:
        del taken
        return self.take(run)
