"""Another Ferry deployment: its manifest and its one streamed export, which is a snapshot as it is.

``GET <base>/ferry/manifest``  format, identity of the database, revision, tables with rows and checksums
``GET <base>/ferry/export``    the snapshot of kind ``rows``, Zstandard, with its footer as the end mark
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import zstandard
from requests.auth import _basic_auth_str

from ...errors import SourceIncomplete, Unauthorized
from ..files import write
from ..snapshot import FORMAT, VERSION, check
from ..strictjson import StrictJSONError, loads
from .classic import ClassicSource
from .http import AGAIN, HttpClient, Refused, Transient

MANIFEST = "/ferry/manifest"
EXPORT = "/ferry/export"
PROBE = "/ferry/"
ATTEMPTS = 3


@dataclass(frozen=True)
class Manifest:
    """What a deployment says of its database before it is read."""

    database_uid: str
    revision: str | None
    tables: dict[str, Any]


def speaks_ferry(client: HttpClient) -> bool:
    """Whether the deployment answers the export protocol; asked without credentials.

    :raises SourceIncomplete: no answer at all.
    """
    try:
        said = client.get(PROBE, lambda answer: answer)
    except Refused:
        return False
    if "json" not in said.content_type:
        return False
    try:
        body = loads(said.text())
    except StrictJSONError:
        # Whatever this is: not Ferry's protocol.
        return False
    return isinstance(body, dict) and body.get("format") == FORMAT


class FerrySource:
    """One Ferry deployment; logs in as the classic API does, or by HTTP Basic where there is no such log-in."""

    def __init__(self, client: HttpClient, uid: str, password: str) -> None:
        self._client = client
        self._uid = uid
        self._password = password

    def manifest(self) -> Manifest:
        """Log in and read the manifest.

        :raises Unauthorized: the source refuses the credentials, or the user is no admin there.
        :raises SourceIncomplete: another format version, or no complete answer.
        """
        self._log_in()
        try:
            said = self._client.get(MANIFEST, lambda answer: loads(answer.json_text()))
        except Refused as error:
            raise self._refused(error) from error
        try:
            version, found = said["version"], Manifest(said["database"], said["revision"], said["tables"])
        except (KeyError, TypeError) as error:
            raise SourceIncomplete(
                f"{self._client.base}: what it answers at {MANIFEST} is not a manifest.", hint=AGAIN
            ) from error
        if version != VERSION:
            raise SourceIncomplete(f"{self._client.base} speaks version {version}; this program reads {VERSION}.")
        return found

    def _log_in(self) -> None:
        try:
            ClassicSource(self._client, self._uid, self._password).log_in()
        except SourceIncomplete:
            self._client.headers = {"Authorization": _basic_auth_str(self._uid.encode(), self._password.encode())}

    def _refused(self, error: Refused) -> Unauthorized | SourceIncomplete:
        if error.status in (401, 403):
            return Unauthorized(
                f"{self._client.base}: {self._uid!r} may not read the export (status {error.status}).",
                hint="Set FERRY_SOURCE_UID and FERRY_SOURCE_PASSWORD to an admin of the old deployment.",
            )
        return SourceIncomplete(f"{error}.")

    def write_snapshot(
        self, path: Path, identity: str, progress: Callable[[str, int, int | None], None]
    ) -> Path | None:
        """Stream the export into a file, read it through, and only then let it take its name.

        :param identity: what the snapshot is to name as its source: a deployment does not know its own URL.
        :return: where the former file is kept.
        :raises SourceIncomplete: it broke off three times, or what came is not whole.
        """
        words: Exception | None = None
        for attempt in range(ATTEMPTS):
            try:
                with self._client.stream(EXPORT, identity=identity) as pieces:
                    return write(path, _plain(_counted(pieces, progress)), check=check)
            except Refused as error:
                raise self._refused(error) from error
            except (Transient, SourceIncomplete, zstandard.ZstdError) as error:
                words = error
                time.sleep(self._client.timeout_s / 60 * 2**attempt)
        raise SourceIncomplete(
            f"{self._client.base}: the export failed {ATTEMPTS} times; the last time: {words}."
        ) from words


def _counted(pieces: Iterable[bytes], progress: Callable[[str, int, int | None], None]) -> Iterator[bytes]:
    received = 0
    for piece in pieces:
        received += len(piece)
        progress("bytes", received, None)
        yield piece


def _plain(pieces: Iterable[bytes]) -> Iterator[bytes]:
    decompressor = zstandard.ZstdDecompressor().decompressobj()
    for piece in pieces:
        yield decompressor.decompress(piece)
    if not decompressor.eof:
        raise Transient("the compressed export ends too early")
