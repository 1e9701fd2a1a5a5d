"""A deployment with an API that its app declares, as a source."""

from __future__ import annotations

import shutil
from collections.abc import Mapping

from ...dialects.model import TableChecksum
from ...dialects.wording import count_of
from ...errors import Misconfigured, SourceIncomplete
from ..adapters import AdapterSet
from ..endpoints import Endpoint, RestApi
from ..rows.header import Header, now
from ..rows.scratch import Keys
from ..run.private import withhold_values
from ..run.run import Run
from ..run.source import SourceSpec
from ..run.target import MIGRATE
from .adapt import missing_tables
from .base import Ahead, Destination, Source, SourceOptions, Taken, accept_missing
from .http import AGAIN, HttpClient
from .named_files import Records, carry_files
from .parts import Part
from .rest_api import RestSource
from .resume import adopt, journal_part, read_records, resumable
from .snapshot_writing import writable, write_taken


def require_api(adapters: AdapterSet) -> RestApi:
    """What the app declares of an old API.

    :raises Misconfigured: nothing.
    """
    if adapters.api is None:
        raise Misconfigured(
            "FERRY_ADAPTERS: its module does not say where an API has its records.",
            hint="Declare api = RestApi(...) in it (docs/adapters.md), or give a database or a file as SOURCE.",
        )
    return adapters.api


def _describe_doubtful(doubtful: Mapping[str, str]) -> str:
    by_reason: dict[str, list[str]] = {}
    for name, reason in doubtful.items():
        by_reason.setdefault(reason, []).append(name)
    several = (f"of {', '.join(names)} nothing proves that all came, as {why}" for why, names in by_reason.items())
    return "; ".join(several)


def _describe_parts(parts: Mapping[str, Part], order: list[str]) -> tuple[str, ...]:
    """What the receipt says of types that nothing proves to be whole."""
    doubtful = {
        f"{name} ({count_of(parts[name].lines, 'record')})": parts[name].doubt for name in order if parts[name].doubt
    }
    text = _describe_doubtful(doubtful)
    return (text[:1].upper() + text[1:],) if text else ()


class RestDeployment(Source):
    """An old deployment whose endpoints are declared beside the adapters."""

    can_be_gone_on_with = True

    def __init__(
        self, spec: SourceSpec, source: RestSource, client: HttpClient, adapters: AdapterSet, options: SourceOptions
    ) -> None:
        super().__init__(client)
        self.describe = f"everything that {spec.label} answers now (which database it uses it cannot say)"
        if doubtful := require_api(adapters).find_doubtful():
            self.describe += f"; {_describe_doubtful(doubtful)}"
        self._spec, self._source, self._adapters, self._options = spec, source, adapters, options

    def look_ahead(self, run: Run) -> Ahead:
        del run
        return Ahead(self._adapters.revision)

    def take(self, run: Run, to: Destination) -> Taken:
        endpoints, unavailable = self._source.endpoints()
        types = [endpoint.name for endpoint in endpoints]
        missing = missing_tables(self._adapters, types, unavailable)
        accept_missing(missing, self._options, f"flask {MIGRATE} {self._spec.label}")
        parts, read_from = self._parts(run, endpoints, to)
        snapshot = self._write(run, to, parts, missing, read_from)
        if to.snapshot == run.settings.snapshot and not to.passing:
            # A proof only looks; a run with a profile neither fetches nor names what may be a person's picture.
            self._carry_files(run, lambda name: (line for line, _ in parts[name].read()) if name in parts else None)
        return snapshot

    def _carry_files(self, run: Run, records: Records) -> None:
        carry_files(run, self._source, require_api(self._adapters).files, records)

    def take_up(self, run: Run, snapshot: Taken | None, *, catches_up: bool) -> str:
        """What it has is asked, and compared with what was read: the app may declare more by now, or it answer less."""
        del catches_up
        endpoints, unavailable = self._source.endpoints()
        types = [endpoint.name for endpoint in endpoints]
        missing = missing_tables(self._adapters, types, unavailable)
        if snapshot is None or ({*snapshot.header.types}, snapshot.header.missing) != ({*types}, missing):
            return "the source does not answer what it answered"
        # What the run before had fetched of them it may not have written to its end.
        self._carry_files(run, lambda name: read_records(snapshot.path, name))
        return ""

    def find_changed(self, snapshot: Taken) -> None:
        del snapshot

    def again(self, run: Run, snapshot: Taken, to: Destination) -> Taken:
        endpoints, unavailable = self._source.endpoints()
        missing = missing_tables(self._adapters, [endpoint.name for endpoint in endpoints], unavailable)
        if missing != snapshot.header.missing:
            raise SourceIncomplete(f"{self._spec.label} does not answer what it answered before.", hint=AGAIN)
        directory = to.directory / "records-again"
        shutil.rmtree(directory, ignore_errors=True)
        read_from = now()
        with writable(directory):
            directory.mkdir(mode=0o700)
        with writable(directory), Keys(directory) as keys:
            stream = self._source.extract(directory, keys, endpoints, run.throttle.lane().heed(run.progress))
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
            notes=_describe_parts(parts, order),
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
            progress = run.throttle.lane().heed(run.progress)
            for part in self._source.extract(directory, keys, endpoints, progress, parts):
                parts[part.name] = part
                if not to.passing:
                    journal_part(run, self._spec, part, read_from)
        return parts, read_from
