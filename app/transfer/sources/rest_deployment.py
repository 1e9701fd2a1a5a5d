"""A deployment with the classic API, as a source."""

from __future__ import annotations

import shutil

from ...dialects.model import TableChecksum
from ...errors import SourceIncomplete
from ..adapters import AdapterSet
from ..rows.header import Header, now
from ..rows.scratch import Keys
from ..run.private import withhold_values
from ..run.run import Run
from ..run.source import SourceSpec
from ..run.target import MIGRATE
from .adapt import missing_tables
from .base import Ahead, Destination, Source, SourceOptions, Taken, accept_missing
from .classic_endpoints import Endpoint
from .http import AGAIN, HttpClient
from .parts import Part
from .rest_api import ClassicSource
from .resume import adopt, journal_part, resumable
from .snapshot_writing import writable, write_taken


class ClassicDeployment(Source):
    """An old deployment that speaks the classic API."""

    def __init__(
        self, spec: SourceSpec, source: ClassicSource, client: HttpClient, adapters: AdapterSet, options: SourceOptions
    ) -> None:
        super().__init__(client)
        self.describe = f"everything that {spec.label} answers now (which database it uses it cannot say)"
        self._spec, self._source, self._adapters, self._options = spec, source, adapters, options

    def look_ahead(self, run: Run) -> Ahead:
        del run
        return Ahead(self._adapters.revision)

    def take(self, run: Run, to: Destination) -> Taken:
        endpoints, unavailable = self._source.endpoints()
        types = [endpoint.type for endpoint in endpoints]
        missing = missing_tables(self._adapters, types, unavailable)
        accept_missing(missing, self._options, f"flask {MIGRATE} {self._spec.label}")
        parts, read_from = self._parts(run, endpoints, to)
        return self._write(run, to, parts, missing, read_from)

    def find_changed(self, snapshot: Taken) -> None:
        del snapshot

    def again(self, run: Run, snapshot: Taken, to: Destination) -> Taken:
        endpoints, unavailable = self._source.endpoints()
        missing = missing_tables(self._adapters, [endpoint.type for endpoint in endpoints], unavailable)
        if missing != snapshot.header.missing:
            raise SourceIncomplete(f"{self._spec.label} does not answer what it answered before.", hint=AGAIN)
        directory = to.directory / "records-again"
        shutil.rmtree(directory, ignore_errors=True)
        read_from = now()
        with writable(directory):
            directory.mkdir(mode=0o700)
        with writable(directory), Keys(directory) as keys:
            stream = self._source.extract(directory, keys, endpoints, run.progress)
            parts = {part.name: part for part in stream}
        if {name: TableChecksum(part.lines, part.total) for name, part in parts.items()} == snapshot.footer.checksums:
            return snapshot
        return self._write(run, to, parts, missing, read_from)

    def _write(
        self, run: Run, to: Destination, parts: dict[str, Part], missing: dict[str, str], read_from: str
    ) -> Taken:
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
        snapshot = write_taken(run, to.snapshot, header, ((name, parts[name].read()) for name in order))
        snapshot.repeats = {name: part.repeats for name, part in parts.items()}
        return snapshot

    def _parts(self, run: Run, endpoints: list[Endpoint], to: Destination) -> tuple[dict[str, Part], str]:
        """The parts, and since when they were read."""
        # What is removed with its run cannot be gone on with.
        anew = self._options.restart or to.passing
        resumed, since = ({}, None) if anew else resumable(run, self._spec)
        read_from, directory = since or now(), to.directory / "records"
        with writable(directory):
            directory.mkdir(mode=0o700)
        parts = {name: adopt(part, directory) for name, part in resumed.items()}
        for part in parts.values():
            journal_part(run, self._spec, part, read_from)
        with writable(directory), Keys(directory) as keys, withhold_values(to.passing):
            for part in self._source.extract(directory, keys, endpoints, run.progress, parts):
                parts[part.name] = part
                if not to.passing:
                    journal_part(run, self._spec, part, read_from)
        return parts, read_from
