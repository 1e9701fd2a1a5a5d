"""What SOURCE can be, and how two sources are told apart.

Every source ends as a snapshot file. A source's identity is found without contacting it: for a deployment its URL, for
a database its URL without the password (a file: its path), for a snapshot or classic file the digest of its content.
"""

from __future__ import annotations

import hashlib
import ipaddress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from ...errors import Misconfigured, SnapshotUnusable
from ..files import DAMAGED, opened
from ..settings import Settings
from ..snapshot import is_snapshot

SELF = "self"


class SourceKind(StrEnum):
    """What a source is."""

    HTTP = "http"
    DATABASE = "database"
    SNAPSHOT = "snapshot"
    CLASSIC_FILE = "classic file"
    SELF = "self"


@dataclass(frozen=True)
class SourceSpec:
    """A source as configured: what it is, its name for people, its identity, where it is."""

    kind: SourceKind
    label: str
    identity: str
    http_url: str | None = None
    database: URL | None = None
    file: Path | None = None


def parse_source(settings: Settings, *, insecure_http: bool = False) -> SourceSpec:
    """What the setting ``source`` means; the snapshot file when it is absent.

    :raises Misconfigured: no source, or one that is not allowed.
    :raises SnapshotUnusable: a file that is missing or of no known kind.
    """
    text = settings.source
    if text is None:
        return _default(settings)
    if text == SELF:
        return SourceSpec(SourceKind.SELF, SELF, SELF)
    if text.startswith(("http://", "https://")):
        return _http(text, insecure=insecure_http)
    if "://" in text:
        return _database(text, settings)
    return _file(settings.source_base / Path(text).expanduser())


def _default(settings: Settings) -> SourceSpec:
    if not settings.snapshot.exists():
        raise Misconfigured(
            "No source. Give an old deployment's URL, a database URL or a file, or set FERRY_SOURCE. "
            "A new app without old data needs: flask db upgrade"
        )
    return _file(settings.snapshot)


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _http(text: str, *, insecure: bool) -> SourceSpec:
    parts = urlsplit(text)
    try:
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Misconfigured(f"SOURCE {text!r} is not a URL: {error}.") from error
    if not host or parts.query or parts.fragment:
        raise Misconfigured(
            f"SOURCE {text!r} is not the URL of a deployment.", hint="Write it as https://host[/prefix]"
        )
    if parts.username or parts.password:
        raise Misconfigured(
            "SOURCE holds credentials, which would show in the list of processes.",
            hint="Set FLASK_FERRY_SOURCE_UID and FLASK_FERRY_SOURCE_PASSWORD (or ..._PASSWORD_FILE) instead.",
        )
    if parts.scheme == "http" and not insecure and not is_loopback(host):
        raise Misconfigured(
            f"SOURCE {text!r} would send the password unencrypted.",
            hint="Use https://, or accept it with --insecure-http",
        )
    standard = {"http": 80, "https": 443}[parts.scheme]
    shown_host = f"[{host}]" if ":" in host else host
    netloc = shown_host if port in (None, standard) else f"{shown_host}:{port}"
    url = urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))
    return SourceSpec(SourceKind.HTTP, url, url, http_url=url)


def _database(text: str, settings: Settings) -> SourceSpec:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Neither the text nor the cause: both may hold a password.
        raise Misconfigured(
            "SOURCE is not a database URL.", hint="Its form is server://user@host:port/database"
        ) from None
    if url.get_backend_name() == "sqlite" and url.database:
        return _sqlite_file(settings.source_base / url.database)
    if url.password is not None and settings.origins["FERRY_SOURCE"] == "option":
        raise Misconfigured(
            "SOURCE holds a password, which would show in the list of processes.",
            hint="Leave it out of the URL and set FLASK_FERRY_SOURCE_PASSWORD (or ..._PASSWORD_FILE), "
            "or give the whole URL as FLASK_FERRY_SOURCE in the environment.",
        )
    url = url.set(
        username=url.username or settings.source_uid,
        password=url.password if url.password is not None else settings.source_password,
    )
    return SourceSpec(
        SourceKind.DATABASE, url.render_as_string(), url.set(password=None).render_as_string(), database=url
    )


def _sqlite_file(path: Path) -> SourceSpec:
    path = path.resolve()
    url = URL.create("sqlite", database=str(path))
    return SourceSpec(SourceKind.DATABASE, str(path), f"sqlite:{path}", database=url, file=path)


def _file(path: Path) -> SourceSpec:
    """Told apart by content, never by name."""
    if not path.is_file():
        raise SnapshotUnusable(
            f"There is no file {path}.", hint="Give a snapshot, a classic data.json or a SQLite file, or a URL."
        )
    try:
        with opened(path) as file:
            start = file.read(16)
    except DAMAGED as error:
        raise SnapshotUnusable(
            f"{path}, line 1: the file ends too early or is damaged ({error}).", hint="Use an intact copy of the file."
        ) from error
    if start == b"SQLite format 3\x00":
        return _sqlite_file(path)
    kind = SourceKind.SNAPSHOT if is_snapshot(path) else SourceKind.CLASSIC_FILE
    if kind is SourceKind.CLASSIC_FILE and start.lstrip()[:1] not in (b"[", b"{"):
        raise SnapshotUnusable(f"{path} is neither a snapshot, nor JSON, nor a SQLite database.")
    return SourceSpec(kind, str(path), f"file:{file_sha256(path)}", file=path)


def file_sha256(path: Path) -> str:
    """The digest of a file's content, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
