"""The first lines of a snapshot: what its rows are of."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import SnapshotUnusable
from app.transfer.rows.encode import encode
from app.transfer.rows.files import write
from app.transfer.rows.header import AppliedProfile, table_from_json, table_to_json
from app.transfer.rows.snapshot import (
    check,
    is_anonymised,
)

from .foreign import HEADER, JUNK, changed, parts, places, put, refusal_of
from .snapshots import USERS, header, store


def test_the_header_comes_back(tmp_path: Path) -> None:
    head = header(USERS, missing={"posts": "no endpoint"}, notes=("a note",))
    found, footer = check(store(tmp_path / "data.json", head, [[1, "a"]]))
    assert found == head
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", footer.read_until)
    assert table_from_json(orjson.loads(orjson.dumps(table_to_json(USERS)))) == USERS


def test_a_header_says_that_the_rows_are_anonymised(tmp_path: Path) -> None:
    plain, told = tmp_path / "plain.json", tmp_path / "told.json"
    profile = AppliedProfile("anonymous", "d1")
    write(plain, encode(header(), []))
    write(told, encode(header(profile=profile), []))
    assert check(told)[0].profile == profile
    assert (is_anonymised(told), is_anonymised(plain)) == (True, False)
    # The same as ever where there is none; and what is damaged does not say that it is.
    assert b"profile" not in plain.read_bytes()
    told.write_bytes(told.read_bytes().replace(b'"digest"', b'"other"'))
    assert not is_anonymised(told)
    assert profile.identity_of("a") != AppliedProfile("anonymous", "d2").identity_of("a")


def test_no_table_at_all(tmp_path: Path) -> None:
    assert check(store(tmp_path / "data.json", header()))[1].checksums == {}


def without(value: Any, at: tuple[Any, ...]) -> Any:
    """The value without what is at a place."""
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(at) == 1:
        del copy[at[0]]
    else:
        copy[at[0]] = without(value[at[0]], at[1:])
    return copy


@given(st.sampled_from(places(HEADER)), JUNK)
def test_any_header(tmp_path: Path, at: tuple[Any, ...], junk: Any) -> None:
    header, data, footer = parts()
    path = put(tmp_path / "x.json", changed(header, at, junk), data, footer)
    said = refusal_of(lambda: check(path))
    assert said is None or f"{path}, line " in said


@given(st.sampled_from([at for at in places(HEADER) if at]))
def test_any_header_that_lacks_something(tmp_path: Path, at: tuple[Any, ...]) -> None:
    header, data, footer = parts()
    path = put(tmp_path / "x.json", without(header, at), data, footer)
    said = refusal_of(lambda: check(path))
    assert said is None or f"{path}, line " in said


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("version", 2, "format version 2; this program reads 1"),
        ("version", 10**40, "version is not a count"),
        ("version", True, "version is not a count"),
        ("version", {}, "version is not a count"),
        ("kind", "columns", "kind is not one of rows, records"),
        ("tables", {}, "tables is not a list"),
        ("tables", [{}], "name is not a text"),
        ("read_from", "yesterday", "read_from is not an instant"),
        ("notes", "none", "notes is not a list"),
        ("missing", [], "missing is not an object"),
        ("profile", {"name": "x", "digest": 1}, "profile: digest is not a text"),
    ],
)
def test_what_a_header_may_not_say(tmp_path: Path, key: str, value: Any, words: str) -> None:
    header, data, footer = parts()
    with pytest.raises(SnapshotUnusable, match=re.escape(words)) as caught:
        check(put(tmp_path / "x.json", {**header, key: value}, data, footer))
    assert "line 1" in caught.value.message


@pytest.mark.parametrize(
    ("at", "value", "words"),
    [
        (("columns",), 5, "columns is not a list"),
        (("columns", 0, "type"), "geometry", "type is not one of"),
        (("columns", 0, "name"), "name", "not a list of names, each once"),
        (("columns", 0, "scale"), 10**12, "scale is not a whole number"),
        (("primary_key",), ["nothing"], "not a list of columns of this table"),
        (("foreign_keys", 0), [["id"], "users", []], "not as many columns"),
    ],
)
def test_what_a_table_may_not_be(tmp_path: Path, at: tuple[Any, ...], value: Any, words: str) -> None:
    header, data, footer = parts()
    with pytest.raises(SnapshotUnusable, match=words):
        check(put(tmp_path / "x.json", changed(header, ("tables", 0, *at), value), data, footer))


def test_two_tables_of_one_name(tmp_path: Path) -> None:
    header, data, footer = parts()
    with pytest.raises(SnapshotUnusable, match="tables is not a list of names, each once"):
        check(put(tmp_path / "x.json", {**header, "tables": header["tables"] * 2}, data, footer))
