"""The export protocol as a source: any manifest is read, or refused in words."""

from __future__ import annotations

import json
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.classic.api import api
from app.dialects.model import TableChecksum
from app.errors import SourceIncomplete
from app.transfer.sources.ferry_protocol import FerrySource, speaks_ferry
from app.transfer.sources.http import HttpClient
from app.transfer.sources.rest_api import RestSource
from tests.support.sources.loopback import answer, serving

from .foreign import HTML, TEXTS, Said, refusal_of

GOOD_MANIFEST: dict[str, Any] = {
    "format": "ferry-snapshot",
    "version": 1,
    "database": "d",
    "revision": "r",
    "tables": {"t": {"rows": 1, "checksum": "0" * 32}},
}


KEYS = [None, "version", "database", "revision", "tables", "t", "rows", "checksum"]


def spoilt(key: str | None, text: str) -> str:
    """A good manifest, with a text in the place of one value."""
    if key is None:
        return text
    mark = "a mark that is there once"
    changed = json.loads(json.dumps(GOOD_MANIFEST))
    if key in ("rows", "checksum"):
        changed["tables"]["t"][key] = mark
    elif key == "t":
        changed["tables"]["t"] = mark
    else:
        changed[key] = mark
    return json.dumps(changed).replace(f'"{mark}"', text)


@given(st.sampled_from(KEYS), TEXTS)
def test_any_manifest(said: Said, client: HttpClient, key: str | None, text: str) -> None:
    said.answers = {"/api/authenticate": '{"token": "t"}', "/ferry/manifest": spoilt(key, text)}
    source = FerrySource(client, "u", "p")

    def read() -> None:
        manifest = source.manifest()
        assert isinstance(manifest.database_uid, str)
        assert all(0 <= rows < 2**63 for rows in manifest.rows.values())
        sums = manifest.checksums or {}
        assert {name: one.rows for name, one in sums.items()} == manifest.rows
        assert all(0 <= one.total < 2**128 for one in sums.values())

    words = refusal_of(read)
    assert words is None or client.base in words


@pytest.mark.parametrize(
    ("key", "text", "words"),
    [
        ("tables", "[]", "tables is not an object"),
        ("t", "[]", "tables: t is not an object"),
        ("rows", '"1"', "rows is not a count"),
        ("rows", "-1", "rows is not a count"),
        ("rows", "true", "rows is not a count"),
        ("rows", "1e999999999", "rows is not a count"),
        ("rows", "9" * 1_000_000, "rows is not a count"),
        ("checksum", '"zz"', "checksum is not a text of 32 hex digits"),
        ("revision", "{}", "revision is not a text"),
        ("database", "1", "database is not a text"),
        ("version", '"1"', "version is not a count"),
        ("version", "2", "speaks version 2; this program reads 1"),
        (None, "[]", "the answer is not an object"),
    ],
    ids=range(13),
)
def test_a_manifest_that_is_none(said: Said, client: HttpClient, key: str, text: str, words: str) -> None:
    said.answers = {"/api/authenticate": '{"token": "t"}', "/ferry/manifest": spoilt(key, text)}
    with pytest.raises(SourceIncomplete, match=words):
        FerrySource(client, "u", "p").manifest()


@pytest.mark.parametrize(
    ("key", "text"), [("rows", '"1"'), ("rows", "-1"), ("checksum", '"zz"'), ("checksum", "null"), ("t", "[]")]
)
def test_a_manifest_that_is_none_although_no_checksums_are_wanted(
    said: Said, client: HttpClient, key: str, text: str
) -> None:
    said.answers = {"/api/authenticate": '{"token": "t"}', "/ferry/manifest": spoilt(key, text)}
    with pytest.raises(SourceIncomplete, match="is not a manifest"):
        FerrySource(client, "u", "p").manifest(with_checksums=False)


def test_a_manifest_without_checksums_is_one_where_none_are_wanted(said: Said, client: HttpClient) -> None:
    tables = {"t": {"rows": 7}, "u": {"rows": 0}}
    said.answers = {
        "/api/authenticate": '{"token": "t"}',
        "/ferry/manifest": json.dumps(GOOD_MANIFEST | {"tables": tables}),
    }
    manifest = FerrySource(client, "u", "p").manifest(with_checksums=False)
    assert (manifest.rows, manifest.checksums) == ({"t": 7, "u": 0}, None)
    with pytest.raises(SourceIncomplete, match="checksum is not a text of 32 hex digits"):
        FerrySource(client, "u", "p").manifest()


def test_checksums_that_nobody_asked_for_are_taken(said: Said, client: HttpClient) -> None:
    """An older deployment gives them always."""
    said.answers = {"/api/authenticate": '{"token": "t"}', "/ferry/manifest": json.dumps(GOOD_MANIFEST)}
    manifest = FerrySource(client, "u", "p").manifest(with_checksums=False)
    assert (manifest.rows, manifest.checksums) == ({"t": 1}, {"t": TableChecksum(1, 0)})


@given(TEXTS | TEXTS.map(lambda text: f'{{"token": {text}}}'), TEXTS)
def test_any_answer_to_the_log_in_and_to_the_question_of_the_protocol(
    said: Said, client: HttpClient, text: str, other: str
) -> None:
    said.answers = {"/api/authenticate": text, "/ferry/": other}
    words = refusal_of(lambda: RestSource(client, api, "u", "p").log_in())
    assert words is None or client.base in words
    assert speaks_ferry(client) is False


@pytest.mark.parametrize(
    ("said", "speaks"),
    [
        (answer({"format": "ferry-snapshot", "version": 1}), True),
        (answer({"format": "another"}), False),
        (answer(["ferry-snapshot"]), False),
        (answer("{not json"), False),
        (answer(b"\xff"), False),
        (answer("<html>", "Content-Type: text/html"), False),
        (HTML, False),
        (answer("", status="401 No"), False),
    ],
)
def test_who_speaks_the_export_protocol(stack: ExitStack, said: bytes, speaks: bool) -> None:
    server = stack.enter_context(serving(said))
    client = HttpClient(server.url, timeout_s=0.6)
    stack.callback(client.close)
    client.headers["Cookie"] = "kept=back"
    assert speaks_ferry(client) is speaks
    assert [asked.target for asked in server.asked] == ["/ferry/"]
