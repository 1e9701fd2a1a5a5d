"""A connection that is closed behind each byte of an answer: the same rows, or a refusal with its place."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from app.classic.api import api as classic
from app.errors import SourceIncomplete
from app.transfer.endpoints import BearerTokenAuth, Endpoint, PageNumberPaginator, RestApi
from app.transfer.rows.scratch import Keys
from app.transfer.rows.snapshot import SnapshotReader
from app.transfer.sources.ferry_protocol import FerrySource
from app.transfer.sources.http import HttpClient
from app.transfer.sources.rest_api import RestSource
from tests.scenarios.export import otherhost
from tests.support.deployment.runner import Deployment
from tests.support.library import PASSWORD, UID, Library
from tests.support.serving import Server
from tests.support.site import Site
from tests.support.sources.cutting import WHOLE, Cutter, cutting
from tests.support.sources.sites import Before, Secrets, assert_refused

from .test_hostile import MOST_MIB, run

PARTS = 24
"""Each value of a test takes one of so many bytes of the answer; all of them together take each."""

Read = Callable[[], list[bytes]]


@pytest.fixture(autouse=True)
def without_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts follow one another at once."""
    monkeypatch.setattr(HttpClient, "_wait", lambda self, number, error: 0.0)


def at_each_byte(cutter: Cutter, place: str, read: Read, part: int) -> None:
    """Cut the answers to some requests behind each byte: once, and again and again."""
    rows, length, refused = read(), cutter.length_of(place), 0
    assert rows
    assert length < 4000, "not a small answer"
    for at in range(part, length, PARTS):
        cutter.at_byte(at, place, times=1)
        assert read() == rows, f"cut once behind byte {at}"
        assert cutter.cut == 1
        cutter.at_byte(at, place)
        refused += not_fewer(cutter, read, rows, at)
    assert refused >= (length - part) // PARTS - 1, "behind the last chunk's size everything is there"


def not_fewer(cutter: Cutter, read: Read, rows: list[bytes], at: int) -> bool:
    """Whether the rows were refused; where they were not, they are all there."""
    words = refusal_of(lambda: rows_are(read(), rows, at))
    assert words is None or cutter.url in words, f"no place, cut behind byte {at}"
    return words is not None


def rows_are(rows: list[bytes], expected: list[bytes], at: int) -> None:
    assert rows == expected, f"cut behind byte {at}"


def refusal_of(read: Callable[[], object]) -> str | None:
    """What an error of ours says, or None where there was none."""
    try:
        read()
    except SourceIncomplete as error:
        return "\n".join([error.message, *error.details])
    return None


# Classic API, endpoints of an app's own, Ferry's export


def records_of(cutter: Cutter, api: RestApi, uid: str, password: str, directory: Path, prefix: str = "") -> Read:
    """Logs in anew and reads all endpoints of an API."""

    def read() -> list[bytes]:
        client = HttpClient(cutter.url + prefix, timeout_s=3)
        try:
            source = RestSource(client, api, uid, password)
            source.log_in()
            with Keys(directory) as keys:
                parts = [*source.extract(directory, keys, api.endpoints, lambda *_: None)]
            return [line for part in parts for line, _ in part.read()]
        finally:
            client.close()

    return read


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("place", ["POST /api/authenticate", "GET /api/export/sections"])
def test_the_classic_api(wrong: Deployment, tmp_path: Path, place: str, part: int) -> None:
    secrets = Secrets.of(wrong).source
    uid, password = (secrets[f"FLASK_FERRY_SOURCE_{name}"] for name in ("UID", "PASSWORD"))
    [sections] = [endpoint for endpoint in classic.endpoints if endpoint.name == "sections"]
    api = replace(classic, endpoints=(sections,), files=())
    with cutting(wrong.url, again=True) as cutter:
        at_each_byte(cutter, place, records_of(cutter, api, uid, password, tmp_path), part)


@pytest.fixture(scope="module")
def library() -> Iterator[Library]:
    with Library() as library:
        library.control()
        yield library


LOANS = Endpoint(
    "loans",
    "/number/loans",
    "items",
    total_selector="total",
    params={"sort": "id"},
    paginator=PageNumberPaginator(limit_param="size", limit=20, page_selector="page", has_more_path="more"),
)


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("place", ["POST /bearer/login", "page=3"])
def test_endpoints_of_an_app(library: Library, tmp_path: Path, place: str, part: int) -> None:
    log_in = BearerTokenAuth("/login", "user", "pass", token_selector="token.value")
    with cutting(library.url, again=True) as cutter:
        read = records_of(cutter, RestApi((LOANS,), log_in), UID, PASSWORD, tmp_path, "/bearer")
        at_each_byte(cutter, place, read, part)


@pytest.fixture(scope="module")
def exporting(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A deployment that serves the export of a few rows."""
    directory = tmp_path_factory.mktemp("exporting")
    with closing(sqlite3.connect(directory / "live.db")) as connection, connection:
        connection.executescript(
            "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY);"
            "INSERT INTO alembic_version VALUES ('1');"
            "CREATE TABLE things (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO things VALUES (1, 'a'), (2, NULL);"
        )
    environ = Site(directory).env(DATABASE_URL=f"sqlite:///{directory / 'live.db'}", PYTHONWARNINGS="")
    with Server("tests.scenarios.export.otherhost:create_app()", environ, directory / "server.log") as server:
        yield server


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("place", ["GET /ferry/manifest", "GET /ferry/export"])
def test_the_export_of_ferry(exporting: Server, tmp_path: Path, place: str, part: int) -> None:
    path = tmp_path / "snapshot.json"

    def read() -> list[bytes]:
        path.unlink(missing_ok=True)
        client = HttpClient(cutter.url, timeout_s=3)
        try:
            source = FerrySource(client, otherhost.UID, otherhost.PASSWORD)
            source.manifest()
            client.timeout_s = 0.1  # pauses between attempts grow with it
            source.write_snapshot(path, "identity", lambda *_: None)
        finally:
            client.close()
        with SnapshotReader(path) as reader:
            return [line for _, lines in reader.sections() for line, _ in lines]

    with cutting(exporting.url, again=True) as cutter:
        at_each_byte(cutter, place, read, part)
    assert [file.name for file in tmp_path.iterdir()] in ([], [path.name])


# Whole commands


@pytest.mark.parametrize("times", [1, WHOLE], ids=["once", "always"])
@pytest.mark.parametrize("at", [0, 12, 40, 120, 200, -300, -40, -1])
@pytest.mark.parametrize("place", ["POST /api/authenticate", "GET /api/export/sections", "GET /api/export/posts"])
def test_a_command(filled: Site, wrong: Deployment, good_snapshot: Path, place: str, at: int, times: int) -> None:
    """A process of its own, from the log-in to the cut-over, in bounded memory."""
    before, secrets = Before.of(filled), Secrets.of(wrong).source
    with cutting(wrong.url) as cutter:
        cutter.at_byte(at, place, times)
        environ = {**secrets, "FLASK_FERRY_SOURCE": cutter.url, "FLASK_FERRY_TIMEOUT": "1"}
        ended = run(filled, "db-migrate-data", "--yes", **environ)
    assert cutter.cut == 1 or times > 1
    assert ended.peak_mib < MOST_MIB
    if times > 1:
        assert_refused(ended.result, 3, cutter.url)
        before.assert_unchanged()
    else:
        assert ended.result.status == 0, ended.result.stderr
        assert _rows(filled.snapshot) == _rows(good_snapshot)


def _rows(snapshot: Path) -> list[bytes]:
    with SnapshotReader(snapshot) as reader:
        return [line for _, lines in reader.sections() for line, _ in lines]
