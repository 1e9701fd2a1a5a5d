"""Records that say what nothing can keep: named at once, or set aside, fixed by hand and loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.deployment.runner import Deployment
from tests.support.site import Site
from tests.support.sources.sites import Before, Secrets, assert_refused, flask, ledger, report

SPOILED = {
    "NaN": ('{"n": [1, NaN], "m": 0.1}', "n[1] is NaN"),
    "Infinity": ('{"n": {"deep": -Infinity}, "m": 0.1}', "n.deep is -Infinity"),
    "surrogate": ('{"n": "a \\ud83d b", "m": 0.1}', "n has half of a surrogate pair"),
}
MENDED = {"NaN": [1, None], "Infinity": {"deep": None}, "surrogate": "a \\ud83d b"}


def spoil(deployment: Deployment, text: str) -> int:
    """Put a text into a microblog's JSON, which an old app reads and answers as it is; the row's key."""
    [(number,)] = deployment.execute("SELECT max(id) FROM microblogs WHERE _data IS NOT NULL")
    deployment.execute("UPDATE microblogs SET _data = ? WHERE id = ?", text, number)
    return int(number)


@pytest.mark.parametrize("kind", SPOILED)
def test_the_record_is_named_at_once(filled: Site, wrong: Deployment, kind: str) -> None:
    text, words = SPOILED[kind]
    number = spoil(wrong, text)
    before = Before.of(filled)
    ended = flask(filled, "db-migrate-data", "--yes", **Secrets.of(wrong).source)
    assert_refused(ended, 3, f"microblogs, id {number}: {words}", "--yes --set-aside")
    before.assert_unchanged()
    # Whether there is such an end point, and the page.
    assert len(wrong.requests("/api/export/microblogs")) == 2


@pytest.mark.parametrize("kind", SPOILED)
def test_it_is_set_aside_fixed_and_loaded(filled: Site, wrong: Deployment, kind: str) -> None:
    number = spoil(wrong, SPOILED[kind][0])
    source = Secrets.of(wrong).source
    done = flask(filled, "db-migrate-data", "--yes", "--set-aside", **source)
    assert done.status == 0, done.stderr
    assert filled.query("SELECT count(*) FROM microblogs WHERE id = ?", number) == [(0,)]
    receipt = report(filled)
    assert [(row["table"], SPOILED[kind][1] in row["reason"]) for row in receipt["set_aside"]] == [("microblogs", True)]
    microblogs = next(item for item in receipt["tables"] if item["table"] == "microblogs")
    assert microblogs["rows"] == microblogs["loaded"] + 1
    file = Path(receipt["aside"]["file"])
    rows = json.loads(file.read_text(encoding="utf-8"))
    [item] = rows["rows"]
    data = json.loads(item["row"]["_data"])
    assert data["n"] == MENDED[kind]
    assert data["m"] == 0.1
    assert flask(filled, "db-verify").status == 0
    fixed: dict[str, Any] = {**data, "n": "fixed"}
    item["row"]["_data"] = json.dumps(fixed)
    edited = filled.directory / "fixed.json"
    edited.write_text(json.dumps(rows), encoding="utf-8")
    loaded = flask(filled, "db-migrate-data", "--yes", "--set-aside-from", str(edited))
    assert loaded.status == 0, loaded.stderr
    [(kept,)] = filled.query("SELECT data FROM microblogs WHERE id = ?", number)
    assert json.loads(kept)["n"] == "fixed"


def test_its_snapshot_loads_only_with_the_option(filled: Site, wrong: Deployment, tmp_path: Path) -> None:
    spoil(wrong, SPOILED["NaN"][0])
    flask(filled, "db-migrate-data", "--yes", "--set-aside", **Secrets.of(wrong).source)
    other = Site(tmp_path / "other")
    refused = flask(other, "db-migrate-data", "--yes", str(filled.snapshot))
    assert_refused(refused, 22, "n[1] is NaN", "--set-aside")
    assert flask(other, "db-migrate-data", "--yes", "--set-aside", str(filled.snapshot)).status == 0
    assert len(ledger(other)) == 1


def test_rows_that_refer_to_it_go_with_it(filled: Site, wrong: Deployment) -> None:
    [(number,)] = wrong.execute("SELECT user_id FROM user_sections JOIN users ON id = user_id ORDER BY 1 DESC LIMIT 1")
    wrong.execute("UPDATE users SET _game_profile = ? WHERE id = ?", '{"score": NaN}', number)
    done = flask(filled, "db-migrate-data", "--yes", "--set-aside", **Secrets.of(wrong).source)
    assert done.status == 0, done.stderr
    assert filled.query("SELECT count(*) FROM users WHERE id = ?", number) == [(0,)]
    tables = {row["table"] for row in report(filled)["set_aside"]}
    assert {"users", "user_sections"} <= tables


def test_a_classic_file_has_the_same(filled: Site, wrong: Deployment, tmp_path: Path) -> None:
    everything: dict[str, Any] = wrong.get("/api/export/all").json()
    everything["feedback"][0]["title"] = float("inf")
    file = tmp_path / "old.json"
    file.write_text(json.dumps(everything), encoding="utf-8")
    options = ("--accept-missing", "--yes", str(file))
    refused = flask(filled, "db-migrate-data", *options)
    assert_refused(refused, 3, "Infinity", "line 1", "--set-aside")
    done = flask(filled, "db-migrate-data", "--set-aside", *options)
    assert done.status == 0, done.stderr
    assert [row["table"] for row in report(filled)["set_aside"]] == ["feedbacks"]
