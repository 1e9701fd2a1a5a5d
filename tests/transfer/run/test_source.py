"""Any setting and any URL: read, or refused by an error that says where."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import make_url

from app.errors import FerryError, Misconfigured, SnapshotUnusable
from app.transfer.run.settings import DEFAULTS, build_settings
from app.transfer.run.source import SourceKind, parse_source


def refusal_of(read: Callable[[], object]) -> str | None:
    """What an error of ours says, or None where there was none; any other error is a failure of the test."""
    try:
        read()
    except FerryError as error:
        return error.message
    return None


SETTING = (
    st.text(max_size=30)
    | st.text(st.characters(), max_size=5)
    | st.sampled_from(
        ["9" * 5000, "1" + "0" * 30 + "d", "1e300", "-1", "nan", "inf", "\0", "a\0b", "\udcff", "~nosuchuser/x", "~"]
    )
    | st.sampled_from(["a" * 5000, "/" + "a/" * 3000, "http://[x", "http://h:99999", "http://u@", "self"])
    | st.integers()
    | st.just(10**5000)
    | st.floats()
    | st.booleans()
    | st.lists(st.none())
)


@given(st.sampled_from(sorted(DEFAULTS)), SETTING, st.booleans())
def test_any_setting(tmp_path: Path, key: str, value: Any, from_environment: bool) -> None:
    environ = {f"FLASK_{key}": value} if from_environment and isinstance(value, str) else {}
    config = {} if environ else {key: value}
    said = refusal_of(
        lambda: parse_source(build_settings(config, environ, instance=tmp_path, directory=tmp_path, options={}))
    )
    if said and key == "FERRY_SOURCE_PASSWORD" and isinstance(value, str) and len(value) > 8:
        assert value not in said


@pytest.mark.parametrize(
    ("key", "value", "words"),
    [
        ("FERRY_KEEP", "9" * 5000, "FERRY_KEEP"),
        ("FERRY_KEEP", 10**5000, "thousands of digits"),
        ("FERRY_TIMEOUT", "1e300", "of at most 86,400"),
        ("FERRY_FALLBACK", "1" + "0" * 30 + "d", "FERRY_FALLBACK"),
        ("FERRY_FALLBACK", "9" * 5000 + "d", "FERRY_FALLBACK"),
        ("FERRY_SNAPSHOT", "a\0b", "FERRY_SNAPSHOT .* holds a NUL"),
        ("FERRY_SOURCE_UID", "\udcff", "FERRY_SOURCE_UID .* not UTF-8"),
        ("FERRY_BACKUPS", "~nosuchuser/x", "FERRY_BACKUPS .*home directory"),
        ("FERRY_SNAPSHOT", "a" * 5000, "FERRY_SNAPSHOT .* longer than a path"),
        ("FERRY_SOURCE_PASSWORD_FILE", "/dev/zero", "longer than any password"),
    ],
    ids=range(10),
)
def test_a_setting_that_is_refused(tmp_path: Path, key: str, value: Any, words: str) -> None:
    with pytest.raises(Misconfigured, match=words):
        build_settings({key: value}, {}, instance=tmp_path, directory=tmp_path, options={})


URLS = st.builds(
    "".join,
    st.tuples(
        st.sampled_from(["http://", "https://", "mysql://", "postgresql://", "sqlite:///", "x://", "mysql+nope://"]),
        st.sampled_from(["", "u@", "u:p@", ":@", "@@", "[", "[::1]", "%00@"]),
        st.text(max_size=8)
        | st.sampled_from(["h", "münchen.example", "\u2100.x", "a" * 300, "*.x", "a..b", "127.0.0.1"]),
        st.sampled_from(["", ":", ":99999", ":x", ":-1", ":0", ":80", ":" + "9" * 5000]),
        st.sampled_from(
            ["", "/", "/\u00fc", "/%zz", "%00", "/%00", "?q=secret", "#f", "/\n", "/\r\nX: y", "/\ud800", "\0"]
        ),
    ),
)


@given(URLS)
def test_any_url_as_source(tmp_path: Path, url: str) -> None:

    def read() -> None:
        found = build_settings({"FERRY_SOURCE": url}, {}, instance=tmp_path, directory=tmp_path, options={})
        spec = parse_source(found, insecure_http=True)
        assert spec.http_url or spec.database

    assert "secret" not in (refusal_of(read) or "")


# Before SQLAlchemy 2.1 the name of a file is what is written, so that there is no NUL.
NUL = [("sqlite:///a%00b", "control character")] if "\0" in str(make_url("sqlite:///a%00b").database) else []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("http://[x", "is not a URL"),
        ("http://host:99999", "port"),
        ("http://user@", "holds credentials"),
        ("http://user:pw@host", "holds credentials"),
        ("http://host/\nx", "line break"),
        ("mysql://u@h:99999/x", "port"),
        ("mysql://corp/anna:pw@host/x", "an @ in its host or its database"),
        *NUL,
        ("mysql://u%0a@h/x", "control character"),
        ("sqlite:///" + "a" * 5000, "longer than a path"),
        ("postgresql://u@h:port/x", "is not a database URL"),
        ("https://*.x", "is not a URL"),
    ],
    ids=range(11 + len(NUL)),
)
def test_a_url_that_is_refused(tmp_path: Path, url: str, words: str) -> None:
    found = build_settings({"FERRY_SOURCE": url}, {}, instance=tmp_path, directory=tmp_path, options={})
    with pytest.raises(Misconfigured, match=words) as caught:
        parse_source(found, insecure_http=True)
    assert "pw" not in caught.value.message


@pytest.mark.parametrize(
    ("url", "meant"),
    [
        ("htps://old.example.org", "https"),
        ("mysq://u@h/x", "mysql"),
        ("postgress://u@h/x", "postgres"),
        ("postgresqll+psycopg://u:pw@h/x", "postgresql"),
    ],
)
def test_a_misspelt_scheme_is_named(tmp_path: Path, url: str, meant: str) -> None:
    found = build_settings({"FERRY_SOURCE": url}, {}, instance=tmp_path, directory=tmp_path, options={})
    with pytest.raises(Misconfigured, match=rf"did you mean {meant}://") as caught:
        parse_source(found)
    assert "pw" not in caught.value.message


@pytest.mark.parametrize("url", ["mssql://u@h/x", "oracle://u@h/x", "db2://u@h/x", "sqlite:///x"])
def test_another_server_is_no_spelling_mistake(tmp_path: Path, url: str) -> None:
    found = build_settings({"FERRY_SOURCE": url}, {}, instance=tmp_path, directory=tmp_path, options={})
    assert parse_source(found).kind is SourceKind.DATABASE


@pytest.mark.parametrize(
    ("content", "words", "hint"),
    [
        (b'{\n "format": "ferry-set-aside",\n "rows": []}', "set aside", "flask db-migrate-data --set-aside-from '{}'"),
        (b'{"format":"ferry-writes-since"}', "written since", "docs/guide.md"),
        (b'{\n  "format": "flask-ferry-report",\n  "run": "x"\n}', "report of a run", "snapshot"),
    ],
)
def test_other_files_of_ours_are_no_source(tmp_path: Path, content: bytes, words: str, hint: str) -> None:
    file = tmp_path / "a file.json"
    file.write_bytes(content)
    found = build_settings({"FERRY_SOURCE": str(file)}, {}, instance=tmp_path, directory=tmp_path, options={})
    with pytest.raises(SnapshotUnusable, match=words) as caught:
        parse_source(found)
    assert hint.format(file) in str(caught.value.hint)
