"""A key that looks like one of ours and is none is named."""

from __future__ import annotations

import pytest

from app.errors import Misconfigured
from app.transfer.run.settings import DEFAULTS
from app.transfer.run.unknown_keys import find_unknown_keys, find_unread_keys, refuse_unread_keys


def test_a_misspelt_key_is_named_with_the_one_that_is_meant() -> None:
    lines = find_unknown_keys(
        {"FERRY_KEPP": 3, "FERRY_KEEP": 3, "SECRET_KEY": "x", "FERRY_SOURCE_PASWORD": "s3cret"},
        {"FLASK_FERRY_PROHIBT": "db-init", "FLASK_FERRY_SOURCE_PASWORD": "s3cret", "FLASK_APP": "x", "FERRY_DEMO": "x"},
    )
    assert lines == [
        "FERRY_PROHIBT is not a key of Flask-Ferry and is ignored; did you mean FERRY_PROHIBIT?",
        "FERRY_SOURCE_PASWORD is not a key of Flask-Ferry and is ignored; did you mean FERRY_SOURCE_PASSWORD?",
        "FERRY_KEPP is not a key of Flask-Ferry and is ignored; did you mean FERRY_KEEP?",
    ]
    assert find_unknown_keys({"FERRY_ELSEWHERE": 1}, {}) == [
        "FERRY_ELSEWHERE is not a key of Flask-Ferry and is ignored."
    ]
    assert find_unknown_keys(dict.fromkeys(DEFAULTS), {f"FLASK_{key}": "" for key in DEFAULTS}) == []


def test_each_database_may_have_a_source_of_its_own() -> None:
    keys = {"FERRY_SOURCE": "/any", "FERRY_SOURCE_STATS": "/stats", "FERRY_SOURCE_MY_BIND": "/mine"}
    assert find_unknown_keys(keys, {}, ["default", "stats", "my-bind"]) == []
    assert len(find_unknown_keys(keys, {}, ["stats"])) == 1


def test_a_key_that_nobody_reads_is_refused_with_its_name() -> None:
    environ = {"FERRY_STORAGE": "s3://x", "FERRY_PROHIBIT": "db-init", "FERRY_DEMO": "x", "FLASK_FERRY_KEEP": "1"}
    assert sorted(find_unread_keys({}, environ)) == ["FERRY_PROHIBIT", "FERRY_STORAGE"]
    # A host reads one by itself, and of another one the name with the prefix counts.
    assert find_unread_keys({"FERRY_STORAGE": True}, environ | {"FLASK_FERRY_PROHIBIT": ""}) == []
    assert find_unread_keys({}, {"FERRY_SOURCE_STATS": "x"}, ["default", "stats"]) == ["FERRY_SOURCE_STATS"]
    refuse_unread_keys([])
    with pytest.raises(Misconfigured, match="FERRY_STORAGE in the environment") as refused:
        refuse_unread_keys(["FERRY_STORAGE"])
    assert "Name it FLASK_FERRY_STORAGE." in str(refused.value.hint)
    assert "s3://x" not in str(refused.value)
