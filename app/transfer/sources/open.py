"""From a source to a snapshot that can be loaded: open it, and know before the question that it answers."""

from __future__ import annotations

from ...dialects import dialect_for
from ...errors import Misconfigured
from ..adapters import AdapterSet
from ..run.run import Run
from ..run.source import SourceKind, SourceSpec
from ..schema.host_checks import refuse_odd_sessions
from .adapt import load_adapters
from .base import Source, SourceOptions
from .classic_file import ClassicShape
from .database import DatabaseSource
from .snapshot_file import SnapshotFile


def open_source(run: Run, spec: SourceSpec, options: SourceOptions) -> Source:
    """Open a source: log in, or find its tables and revision.

    :raises Unauthorized, SourceIncomplete, DoesNotFit, Misconfigured: as the kinds of source say.
    """
    _refuse_odd_texts(run, spec)
    match spec.kind:
        case SourceKind.HTTP:
            return _open_http(run, spec, options)
        case SourceKind.DATABASE:
            return DatabaseSource(run, spec, options)
        case SourceKind.SNAPSHOT:
            return SnapshotFile(spec, options)
    return ClassicShape(spec, load_adapters(run), options)


def _refuse_odd_texts(run: Run, spec: SourceSpec) -> None:
    """What is loaded is stored as it is: an app that sees other characters than are stored would not see it.

    :raises Misconfigured: the app does, and the source is no database whose app does so, too.
    """
    odd = run.dialect.find_odd_texts(run.target)
    if not odd:
        refuse_odd_sessions(run.host)
    if not odd or (spec.database is not None and dialect_for(spec.database).find_odd_texts(spec.database) == odd):
        return
    raise Misconfigured(
        f"This app would not see the texts that are loaded: by its database's URL {odd}.",
        hint="Leave charset, init_command and use_unicode out of DATABASE_URL (the new database keeps utf8mb4), then "
        f"run the command again: flask {run.command} {spec.label}",
    )


def _open_http(run: Run, spec: SourceSpec, options: SourceOptions) -> Source:
    # Only here: of HTTP a source that is no deployment needs nothing.
    from .ferry_deployment import FerryDeployment
    from .ferry_protocol import FerrySource, speaks_ferry
    from .http import HttpClient
    from .rest_api import RestSource
    from .rest_deployment import RestDeployment, require_api

    settings = run.settings
    missing = _missing_credentials(run)
    if missing and (settings.adapters is None or set(missing) & _needs(load_adapters(run))):
        raise _refuse(missing, spec)
    uid, password = settings.source_uid or "", settings.source_password or ""
    client = HttpClient(str(spec.http_url), timeout_s=settings.timeout_s, tls_ca=settings.tls_ca)
    try:
        if speaks_ferry(client):
            if missing:
                raise _refuse(missing, spec)
            return FerryDeployment(run, spec, FerrySource(client, uid, password), client, options)
        adapters = load_adapters(run)
        source = RestSource(
            client, require_api(adapters), uid, password, settings.connections, set_aside=options.set_aside
        )
        source.log_in()
        return RestDeployment(spec, source, client, adapters, options)
    except BaseException:
        client.close()
        raise


def _missing_credentials(run: Run) -> list[str]:
    values = {"FERRY_SOURCE_UID": run.settings.source_uid, "FERRY_SOURCE_PASSWORD": run.settings.source_password}
    return [name for name, value in values.items() if value is None]


def _needs(adapters: AdapterSet) -> set[str]:
    """The credentials that the declared log-in takes."""
    from .log_in import needs_uid
    from .rest_deployment import require_api

    auth = require_api(adapters).auth
    uid = {"FERRY_SOURCE_UID"} if needs_uid(auth) else set()
    return uid | ({"FERRY_SOURCE_PASSWORD"} if auth else set())


def _refuse(missing: list[str], spec: SourceSpec) -> Misconfigured:
    return Misconfigured(
        f"{missing[0]} is not set, and {spec.label} needs a log-in.",
        hint=f"Set FLASK_{missing[0]} in the environment (or .env); a password also by FERRY_SOURCE_PASSWORD_FILE.",
    )
