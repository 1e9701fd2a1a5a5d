"""What SOURCE can be, and how two sources are told apart.

Every source ends as a snapshot file. A source's identity is found without contacting it: for a deployment its URL, for
a database its URL without the password (a file: its path), for a snapshot or classic file the digest of its content.
"""

from __future__ import annotations

import os
import re
import shlex
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

from sqlalchemy import URL, make_url
from sqlalchemy.dialects import __all__ as known_to_sqlalchemy
from sqlalchemy.exc import ArgumentError

from ...dialects import SERVERS
from ...dialects.network import is_loopback
from ...dialects.redact import STRAY_AT, has_stray_at, identify, redact, redact_text, secret_keys
from ...errors import Misconfigured, SnapshotUnusable
from ..rows.files import DAMAGED, file_sha256, open_plain
from ..rows.snapshot import is_snapshot
from .settings import Settings, expand_path, possible

SELF = "self"
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
DATABASE_FORM = "Its form is server://user@host:port/database"
HTTP_FORM = "Write it as https://host[/prefix]"
SCHEMES = ("https", "http", *SERVERS)
_FORMAT = re.compile(rb'"format": ?"(ferry-set-aside|ferry-writes-since|flask-ferry-report)"')
_OTHER_FILES = {
    b"ferry-set-aside": ("holds rows that were set aside", "flask db-migrate-data --set-aside-from {}"),
    b"ferry-writes-since": ("lists what was written since a cut-over", "See docs/guide.md, flask db-rollback."),
    b"flask-ferry-report": ("is the report of a run", "Give the snapshot that it names."),
}


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
    if "://" in text and _CONTROL.search(text):
        # urllib would take line breaks out of it without a word.
        raise Misconfigured("SOURCE is not a URL: it has a line break or another control character in it.")
    if text == SELF:
        return SourceSpec(SourceKind.SELF, SELF, SELF)
    if text.startswith(("http://", "https://")):
        return _http(text, insecure=insecure_http)
    if "://" in text:
        _refuse_misspelt(text.partition("://")[0])
        return _database(text, settings)
    return _file(settings.source_base / expand_path(text, "SOURCE"))


def _refuse_misspelt(scheme: str) -> None:
    """:raises Misconfigured: a scheme that nobody has is nearly one that is known here."""
    name = scheme.partition("+")[0].lower()
    if name in SCHEMES or name in known_to_sqlalchemy:
        return
    if close := get_close_matches(name, SCHEMES, n=1, cutoff=0.75):
        raise Misconfigured(f"SOURCE begins with {name[:40]}://, which is nothing; did you mean {close[0]}:// ?")


def _default(settings: Settings) -> SourceSpec:
    if not _exists(settings.snapshot):
        raise Misconfigured(
            "No source. Give an old deployment's URL, a database URL or a file, or set FERRY_SOURCE. "
            "A new app without old data needs: flask db upgrade"
        )
    return _file(settings.snapshot)


def _exists(path: Path) -> bool:
    """:raises SnapshotUnusable: a directory on the way may not be looked into."""
    try:
        return path.exists()
    except OSError as error:
        raise SnapshotUnusable(
            f"{path} cannot be read: {error.strerror}.",
            hint="Fix the permissions, or set FERRY_SOURCE to another path.",
        ) from error


def _http(text: str, *, insecure: bool) -> SourceSpec:
    try:
        parts = urlsplit(text)
        host, port = parts.hostname, parts.port
    except ValueError as error:
        raise Misconfigured(f"{_shorten(text)} is not a URL: {_words(error)}.", hint=HTTP_FORM) from error
    if "@" in parts.netloc:
        raise Misconfigured(
            "SOURCE holds credentials, which would show in the list of processes.",
            hint="Set FLASK_FERRY_SOURCE_UID and FLASK_FERRY_SOURCE_PASSWORD (or ..._PASSWORD_FILE) instead.",
        )
    if not host or parts.query or parts.fragment:
        raise Misconfigured(f"{_shorten(text)} is not the URL of a deployment.", hint=HTTP_FORM)
    import requests  # only where a deployment is named: it takes longer to import than all of this

    try:
        # What this accepts can be asked; of a host in other letters it makes the name that is looked up.
        requests.Request("GET", text).prepare()
    except (ValueError, requests.RequestException) as error:
        raise Misconfigured(f"{_shorten(text)} is not a URL: its host is none.", hint=HTTP_FORM) from error
    if parts.scheme == "http" and not insecure and not is_loopback(host):
        raise Misconfigured(
            f"{_shorten(text)} would send the password unencrypted.",
            hint="Use https://, or accept it with --insecure-http",
        )
    standard = {"http": 80, "https": 443}[parts.scheme]
    shown_host = f"[{host}]" if ":" in host else host
    netloc = shown_host if port in (None, standard) else f"{shown_host}:{port}"
    url = urlunsplit((parts.scheme, netloc, parts.path.rstrip("/"), "", ""))
    return SourceSpec(SourceKind.HTTP, url, url, http_url=url)


def _shorten(text: str) -> str:
    """SOURCE for a message: what may be a password, or a token in a query, is left out."""
    return f"SOURCE {redact_text(text)[:200]!r}"


def _words(error: ValueError) -> str:
    """Why a text is no URL; the reasons of ``urllib`` quote parts of it, which may be a password."""
    return "the port is no number from 0 to 65535" if "ort" in str(error) else "its host is none"


def _database(text: str, settings: Settings) -> SourceSpec:
    try:
        url = make_url(text)
    except (ArgumentError, ValueError):
        # Neither the text nor the cause: both may hold a password.
        raise Misconfigured("SOURCE is not a database URL.", hint=DATABASE_FORM) from None
    if url.port is not None and not 0 < url.port < 1 << 16:
        raise Misconfigured("SOURCE is not a database URL: its port is no number from 1 to 65535.", hint=DATABASE_FORM)
    if has_stray_at(url):
        raise Misconfigured(f"SOURCE is not a database URL: {STRAY_AT}.", hint=DATABASE_FORM)
    # Written as %00, they come out here.
    if any(_CONTROL.search(part) for part in (url.host, url.database, url.username) if part):
        raise Misconfigured("SOURCE is not a database URL: it has a control character in it.", hint=DATABASE_FORM)
    if url.get_backend_name() == "sqlite" and url.database:
        return _sqlite_file(settings.source_base / possible(Path(url.database), "SOURCE"))
    if settings.origins["FERRY_SOURCE"] == "option" and (url.password is not None or secret_keys(url)):
        what = "a password" if url.password is not None else f"{', '.join(secret_keys(url))} in its query"
        raise Misconfigured(
            f"SOURCE holds {what}, which would show in the list of processes.",
            hint="Leave it out of the URL and set FLASK_FERRY_SOURCE_PASSWORD (or ..._PASSWORD_FILE), "
            "or give the whole URL as FLASK_FERRY_SOURCE in the environment.",
        )
    url = url.set(
        username=url.username or settings.source_uid,
        password=url.password if url.password is not None else settings.source_password,
    )
    return SourceSpec(SourceKind.DATABASE, redact(url), identify(url), database=url)


def _sqlite_file(path: Path) -> SourceSpec:
    # Path.resolve() fails on links in a circle.
    path = Path(os.path.realpath(path))
    url = URL.create("sqlite", database=str(path))
    return SourceSpec(SourceKind.DATABASE, str(path), f"sqlite:{path}", database=url, file=path)


def _file(path: Path) -> SourceSpec:
    """Told apart by content, never by name."""
    if not _exists(path) or not path.is_file():
        raise SnapshotUnusable(
            f"There is no file {path}.", hint="Give a snapshot, a classic data.json or a SQLite file, or a URL."
        )
    try:
        with open_plain(path) as file:
            start = file.read(256)
    except DAMAGED as error:
        raise SnapshotUnusable(
            f"{path}, line 1: the file ends too early or is damaged ({error}).", hint="Use an intact copy of the file."
        ) from error
    if start.startswith(b"SQLite format 3\x00"):
        return _sqlite_file(path)
    if match := _FORMAT.search(start):
        what, way = _OTHER_FILES[match[1]]
        raise SnapshotUnusable(f"{path} {what}; it is no source.", hint=way.format(shlex.quote(str(path))))
    kind = SourceKind.SNAPSHOT if is_snapshot(path) else SourceKind.CLASSIC_FILE
    if kind is SourceKind.CLASSIC_FILE and start.lstrip()[:1] not in (b"[", b"{"):
        raise SnapshotUnusable(f"{path} is neither a snapshot, nor JSON, nor a SQLite database.")
    return SourceSpec(kind, str(path), f"file:{file_sha256(path)}", file=path)
