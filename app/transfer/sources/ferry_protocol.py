"""Another Ferry deployment: its manifest and its one streamed export, which is a snapshot as it is.

``GET <base>/ferry/manifest``  format, identity of the database, revision, tables with rows and checksums;
                               ``?checksums=no``: without those, for which all rows are read
``GET <base>/ferry/export``    the snapshot of kind ``rows``, Zstandard, with its footer as the end mark;
                               ``?remember=yes``: for a manifest behind it

A deployment that knows no such words answers as it ever did.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import zstandard
from requests.auth import _basic_auth_str

from ...dialects.model import Table, TableChecksum
from ...errors import SourceIncomplete, Unauthorized
from ..endpoints import CookieAuth
from ..rows.encode import Written
from ..rows.expect import Unexpected, a_count, a_text, a_text_or_null, an_object
from ..rows.header import FORMAT, VERSION, Header, NotAHeader, parse_header, read_checksum, table_from_json
from ..rows.received import BeginToTake, write_received
from ..rows.snapshot import MOST_HEADER_BYTES, MOST_LINE_BYTES
from ..rows.strictjson import StrictJSONError, loads
from ..run.throttle import Lane
from .answer import Answer
from .http import AGAIN, MOST_SMALL_BYTES, HttpClient, Refused, Transient
from .log_in import LogIn
from .turns import Headers
from .wire import TooLong, expand

MANIFEST = "/ferry/manifest"
EXPORT = "/ferry/export"
PROBE = "/ferry/"
LOG_IN = CookieAuth("/api/authenticate", uid_field="uid", token_selector="token", expired=(401, 500))  # noqa: S106 # a place
"""The log-in of a host that has one; where it has none, uid and password are sent with each request."""
ATTEMPTS = 3
MORE_LINES = 1_000_000
"""An export may have twice the rows that were announced, and so many besides: rows are written meanwhile."""
MOST_MANIFEST_BYTES = 16 << 20
"""As long as the header of a snapshot may be: it describes the same tables."""


@dataclass(frozen=True)
class Manifest:
    """What a deployment says of its database.

    :ivar rows: of each table.
    :ivar checksums: of each table; None where it does not say.
    :ivar described: the tables themselves; None where it does not say.
    :ivar size: of the database, in bytes; 0 where it does not say.
    """

    database_uid: str
    revision: str | None
    rows: dict[str, int]
    checksums: dict[str, TableChecksum] | None = None
    described: dict[str, Table] | None = None
    size: int = 0


def speaks_ferry(client: HttpClient) -> bool:
    """Whether the deployment answers the export protocol; asked without credentials.

    :raises SourceIncomplete: no answer at all.
    """
    try:
        probe = client.get(PROBE, lambda answer: answer, MOST_SMALL_BYTES)
    except Refused:
        return False
    if "json" not in probe.content_type:
        return False
    try:
        body = loads(probe.text())
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
        self._announced = 0

    def manifest(self, *, with_checksums: bool = True) -> Manifest:
        """Log in and read the manifest.

        :param with_checksums: it is to have them, for which the deployment reads its rows; else it need not.
        :raises Unauthorized: the source refuses the credentials, or the user is no admin there.
        :raises SourceIncomplete: another format version, or no complete answer.
        """
        self._log_in()
        params = {} if with_checksums else {"checksums": "no"}
        parse = partial(self._parse_manifest, with_checksums=with_checksums)
        try:
            manifest = self._client.get(MANIFEST, parse, MOST_MANIFEST_BYTES, **params)
        except Refused as error:
            raise self._explain_refusal(error) from error
        self._announced = sum(manifest.rows.values())
        return manifest

    def _parse_manifest(self, answer: Answer, *, with_checksums: bool) -> Manifest:
        try:
            members = an_object(loads(answer.json_text()), "the answer")
            if (version := a_count(members.get("version"), "version")) != VERSION:
                raise SourceIncomplete(f"{self._client.base} speaks version {version}; this program reads {VERSION}.")
            tables = an_object(members.get("tables"), "tables")
            return Manifest(
                a_text(members.get("database"), "database"),
                a_text_or_null(members.get("revision"), "revision"),
                {name: _read_rows(table, f"tables: {name[:100]}") for name, table in tables.items()},
                _read_checksums(tables) if with_checksums or _all_have("checksum", tables) else None,
                _describe_tables(tables),
                a_count(members.get("size", 0), "size"),
            )
        except Unexpected as error:
            raise SourceIncomplete(
                f"{self._client.base}: what it answers at {MANIFEST} is not a manifest: {error}.", hint=AGAIN
            ) from error

    def _log_in(self) -> None:
        try:
            LogIn(self._client, LOG_IN, self._uid, self._password).log_in()
        except SourceIncomplete:
            basic = _basic_auth_str(self._uid.encode(), self._password.encode())
            self._client.headers = Headers({"Authorization": basic})

    def _explain_refusal(self, error: Refused) -> Unauthorized | SourceIncomplete:
        if error.status in (401, 403):
            return Unauthorized(
                f"{self._client.base}: {self._uid!r} may not read the export (status {error.status}).",
                hint="Set FERRY_SOURCE_UID and FERRY_SOURCE_PASSWORD to an admin of the old deployment.",
            )
        return SourceIncomplete(f"{error}.")

    def header(self) -> Header:
        """What the export would begin with now; no row of it is read.

        :raises SourceIncomplete: it does not answer so.
        """
        try:
            with self._client.stream(EXPORT) as pieces:
                return parse_header(_first_line(expand(pieces)))
        except Refused as error:
            raise self._explain_refusal(error) from error
        except (Transient, NotAHeader, EOFError, zstandard.ZstdError) as error:
            raise SourceIncomplete(f"{self._client.base}: the export does not begin: {error}.", hint=AGAIN) from error

    def write_snapshot(
        self,
        path: Path,
        identity: str,
        progress: Callable[[str, int, int | None], None],
        lane: Lane | None = None,
        also: BeginToTake | None = None,
        *,
        looks_again: bool = False,
    ) -> Written:
        """Stream the export into a file, look at each line, and only then let it take its name.

        :param identity: what the snapshot is to name as its source: a deployment does not know its own URL.
        :param lane: how fast its lines may come.
        :param also: whom it names is given the lines as well, of each attempt.
        :param looks_again: the manifest is asked for behind it.
        :raises SourceIncomplete: it broke off three times, or what came is not whole.
        """
        words: Exception | None = None
        params = {"identity": identity, "remember": "yes"} if looks_again else {"identity": identity}
        for attempt in range(ATTEMPTS):
            try:
                with self._client.stream(EXPORT, **params) as pieces:
                    plain = self._bound_size(expand(_count_rows(pieces, progress)), lane)
                    return write_received(path, plain, also)
            except Refused as error:
                raise self._explain_refusal(error) from error
            except TooLong as error:
                raise SourceIncomplete(
                    f"{self._client.base}: the export is refused: {error}.",
                    hint="Give the old deployment's database, or a snapshot of it: flask db-migrate-data SOURCE",
                ) from error
            except (Transient, SourceIncomplete, EOFError, zstandard.ZstdError) as error:
                words = error
                time.sleep(self._client.timeout_s / 60 * 2**attempt)
        raise SourceIncomplete(
            f"{self._client.base}: the export failed {ATTEMPTS} times; the last time: {words}.", hint=AGAIN
        ) from words

    def _bound_size(self, pieces: Iterable[bytes], lane: Lane | None) -> Iterator[bytes]:
        """The pieces of an export that ends, and whose lines do.

        :raises TooLong: it has far more lines than the manifest announced, or one that nobody could read back.
        """
        most, lines, length = 2 * self._announced + MORE_LINES, 0, 0
        for piece in pieces:
            ends = piece.count(b"\n")
            lines += ends
            length = len(piece) - piece.rfind(b"\n") - 1 if ends else length + len(piece)
            if lines > most:
                raise TooLong(f"it has more than {most:,} lines, and {self._announced:,} rows were announced")
            if length > MOST_LINE_BYTES:
                raise TooLong(f"line {lines + 1:,} is longer than {MOST_LINE_BYTES:,} bytes")
            yield piece
            piece = b""  # let it go before the next one is made
            if lane:
                lane.wait_behind(ends)


def _all_have(member: str, tables: dict[str, Any]) -> bool:
    """:param tables: objects."""
    return all(member in table for table in tables.values())


def _read_rows(table: Any, place: str) -> int:
    return a_count(an_object(table, place).get("rows"), f"{place}: rows")


def _read_checksums(tables: dict[str, Any]) -> dict[str, TableChecksum]:
    return {name: read_checksum(table, f"tables: {name[:100]}") for name, table in tables.items()}


def _describe_tables(tables: dict[str, Any]) -> dict[str, Table] | None:
    """:raises Unexpected: something in it is of another kind."""
    if not _all_have("columns", tables):
        return None
    return {name: table_from_json(table, f"tables: {name[:100]}") for name, table in tables.items()}


def _first_line(pieces: Iterable[bytes]) -> bytes:
    """:raises NotAHeader: it has no end, or is too long to be one."""
    start = b""
    for piece in pieces:
        start += piece
        line, end, _ = start.partition(b"\n")
        if end:
            return line
        if len(start) > MOST_HEADER_BYTES:
            break
    raise NotAHeader("its first line does not end")


def _count_rows(pieces: Iterable[bytes], progress: Callable[[str, int, int | None], None]) -> Iterator[bytes]:
    received = 0
    for piece in pieces:
        received += len(piece)
        progress("bytes", received, None)
        yield piece
