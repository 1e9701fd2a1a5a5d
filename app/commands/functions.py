"""Six functions that older deploy scripts import by name: thin calls into the engine, inside an app context.

They raise the errors of :mod:`..errors`; none returns an error in place of a result.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any

from flask import current_app
from sqlalchemy import URL, Engine, make_url
from sqlalchemy.exc import ArgumentError

from ..dialects.base import Dialect
from ..dialects.redact import redact
from ..errors import Misconfigured, SourceIncomplete
from ..transfer.backup.making import Making
from ..transfer.backup.seal import existing_key, make_key
from ..transfer.endpoints import Endpoint, RestApi
from ..transfer.rows.canonical import json_text
from ..transfer.rows.files import write
from ..transfer.rows.scratch import Keys
from ..transfer.rows.snapshot import SnapshotReader, is_snapshot
from ..transfer.rows.strictjson import StrictJSONError, loads
from ..transfer.run.control import Control
from ..transfer.run.run import new_run_id
from ..transfer.run.settings import Settings
from ..transfer.run.source import SourceKind, parse_source
from ..transfer.sources.adapt import import_adapters
from ..transfer.sources.classic_file import ClassicFile
from ..transfer.sources.http import HttpClient
from ..transfer.sources.rest_api import RestSource
from ..transfer.sources.rest_deployment import require_api
from .session import current_dialect, current_settings

Records = Mapping[str, Iterable[Any]]


def backup_database(db_uri: str, backup_uri: str, db_string: str | None = None) -> str:
    """Back up the database at ``db_uri`` to a file, and read the file back.

    :param db_uri: a SQLAlchemy URL, or the path of a SQLite file.
    :param backup_uri: the file to write: a path or a ``sqlite:///`` or ``file://`` URI; it must not exist.
    :param db_string: the database's name when the URI does not hold it.
    :return: the path of the backup; sealed where FERRY_BACKUP_KEY or the database's control area has a key.
    :raises Misconfigured: a URI that is none.
    :raises BackupFailed: nothing is left behind then.
    """
    url = _url(db_uri, db_string)
    to = _path(backup_uri)
    dialect = current_dialect(url)
    if not dialect.exists(url):
        raise Misconfigured(f"There is no database {redact(url)}.")
    run = new_run_id()
    copy, scratch = dialect.staging_url(url, run), dialect.staging_url(url, f"{run}-scratch")
    database = dialect.identity(url).full_name
    try:
        with dialect.image(url, copy, None) as image:
            making = Making(
                dialect,
                image,
                to,
                scratch=scratch,
                command="backup_database",
                run=run,
                database=database,
                key=_key(dialect, url),
            )
            backup = making.make()
    finally:
        dialect.drop(copy)
        dialect.drop(scratch)
    return backup.file


def _key(dialect: Dialect, url: URL) -> bytes | None:
    """What seals a backup: of the app's own database as its commands do, of another one only with a key there is."""
    settings, area = current_settings(), dialect.control_area(url)
    if url == current_app.extensions["sqlalchemy"].engine.url:
        return make_key(settings, Control.open(dialect, area))
    return existing_key(settings, Control.peek(dialect, area))


def _url(text: str, database: str | None) -> URL:
    try:
        url = make_url(text) if "://" in text else URL.create("sqlite", database=text)
    except ArgumentError as error:
        raise Misconfigured("db_uri is not a database URL.") from error
    if not url.database and database:
        url = url.set(database=database)
    return url


def _path(uri: str) -> Path:
    for prefix in ("sqlite:///", "file://"):
        if uri.startswith(prefix):
            return Path(uri.removeprefix(prefix)).absolute()
    if "://" in uri:
        raise Misconfigured(f"backup_uri is not a file: {uri.partition('://')[0]}://...")
    return Path(uri).absolute()


def create_database(engine: Engine, db_name: str) -> bool:
    """Create a database on the engine's server if it is absent.

    :param db_name: its name; on SQLite the path of its file.
    :return: whether it was created.
    """
    url = engine.url.set(database=db_name)
    return current_dialect(url).create(url)


def authenticate(uid: str, password: str) -> dict[str, str]:
    """Log in to ``FERRY_SOURCE``.

    :return: its cookies, name to value.
    :raises Unauthorized: the source refuses uid or password.
    :raises SourceIncomplete: no answer.
    """
    with _client() as client:
        return RestSource(client, _current_api(), uid, password).log_in()


def extract_data(cookies: Mapping[str, str]) -> dict[str, Iterator[Any]]:
    """All data of ``FERRY_SOURCE``: record type to an iterator of records, each read from it when it is asked for.

    :param cookies: what :func:`authenticate` returned.
    :raises SourceIncomplete: in the iterators too: a type that could not be read completely.
    """
    with _client() as client:
        client.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        endpoints, _ = RestSource(client, _current_api(), "", "").endpoints()
    return {endpoint.name: _records(endpoint, endpoints, dict(cookies)) for endpoint in endpoints}


def _records(endpoint: Endpoint, endpoints: list[Endpoint], cookies: dict[str, str]) -> Iterator[Any]:
    """One type, read completely into a file of the instance folder before its first record is given."""
    parents = [one for name in endpoint.parents for one in endpoints if one.name == name]
    wanted = [*parents[:1], endpoint]
    with _client() as client, _scratch() as directory, Keys(directory) as keys:
        client.headers["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        source = RestSource(client, _current_api(), "", "", current_settings().connections)
        *_, part = source.extract(directory, keys, wanted, lambda *_progress: None)
        for line, _ in part.read():
            yield loads(line.decode())


def _current_api() -> RestApi:
    """:raises Misconfigured: the app declares none."""
    return require_api(import_adapters(current_settings().adapters))


@contextlib.contextmanager
def _scratch() -> Iterator[Path]:
    import tempfile

    with tempfile.TemporaryDirectory(prefix="ferry-") as directory:
        yield Path(directory)


@contextlib.contextmanager
def _client() -> Iterator[HttpClient]:
    settings: Settings = current_settings()
    spec = parse_source(settings)
    if spec.kind is not SourceKind.HTTP or spec.http_url is None:
        raise Misconfigured(f"FERRY_SOURCE is {spec.label}, not a deployment's URL.")
    client = HttpClient(spec.http_url, timeout_s=settings.timeout_s, tls_ca=settings.tls_ca)
    try:
        yield client
    finally:
        client.close()


def write_data_to_json(data: Records | list[Any], json_file: str | Path) -> Path:
    """Write a mapping (record type to records), or a plain list or dict, to a file, one record per line.

    Written beside and renamed, mode 0600; an existing file is kept as ``<name>.<timestamp>.bak``.

    :return: the file.
    :raises TypeError: a value that JSON cannot say.
    """
    path = Path(json_file).absolute()
    write(path, _list_rows(data) if isinstance(data, list) else _by_type(data))
    return path


def _by_type(data: Records) -> Iterator[bytes]:
    yield b"{"
    for index, (name, records) in enumerate(data.items()):
        yield (b",\n" if index else b"\n") + json.dumps(name).encode() + b": "
        if isinstance(records, str | int | float | Mapping) or records is None:
            yield json_text(_sayable(records)).encode()
        else:
            yield from _list_rows(records)
    yield b"\n}\n"


def _list_rows(records: Iterable[Any]) -> Iterator[bytes]:
    yield b"["
    for index, record in enumerate(records):
        yield (b",\n" if index else b"\n") + json_text(_sayable(record)).encode()
    yield b"\n]"


def _sayable(value: Any) -> Any:
    """A value whose numbers keep every digit.

    :raises TypeError: NaN or an infinity, which would be written as null.
    """
    if isinstance(value, dict):
        return {name: _sayable(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_sayable(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError(f"{value} is not a JSON value")
    return Decimal(value) if isinstance(value, int) and abs(value) >= 2**63 else value


def read_data_from_json(json_file: str | Path) -> dict[str, Iterator[Any]]:
    """The mapping back, from a snapshot or either classic shape: type (or table) to an iterator.

    The rows of a snapshot of kind ``rows`` are dicts of canonical values; records are as the API gave them.

    :raises SnapshotUnusable: missing, truncated, edited or incomplete.
    """
    path = Path(json_file).absolute()
    if not is_snapshot(path):
        file = ClassicFile(path)
        return {name: _parse(file, name) for name in file.types}
    with SnapshotReader(path) as reader:
        header = reader.header
    return {name: _section(path, name) for name in header.sections}


def _parse(file: ClassicFile, name: str) -> Iterator[Any]:
    for text in file.records(name):
        try:
            yield loads(text)
        except StrictJSONError as error:
            raise SourceIncomplete(f"{name}: {error}.") from error


def _section(path: Path, wanted: str) -> Iterator[Any]:
    with SnapshotReader(path) as reader:
        names = {table.name: table.column_names for table in reader.header.tables}
        for name, lines in reader.sections():
            if name == wanted:
                for line, _ in lines:
                    value = loads(line.decode())
                    yield dict(zip(names[name], value, strict=True)) if names else value
