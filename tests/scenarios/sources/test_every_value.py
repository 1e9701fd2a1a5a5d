"""Every value of the fifteen tables arrives, or is named as not carried."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.support.deployment.runner import Deployment
from tests.support.site import Result, Site
from tests.support.sources.headrows import ROWS, VALUES, Tables, answered, assert_same, at_head, listed
from tests.support.sources.sites import report, rows_of

OVER_HTTP = (*VALUES, *ROWS)


@pytest.fixture(scope="module")
def classic(paged_database: Path) -> Tables:
    """The rows of the old database, as SQLite gives them."""
    tables = rows_of(paged_database)
    assert len(tables) == 15
    assert all(tables.values())
    return tables


def migrate(site: Site, deployment: Deployment, *options: str) -> Result:
    done = site.flask("db-migrate-data", "--yes", *options, **site.source(deployment), FLASK_FERRY_TIMEOUT="20")
    assert done.status == 0, done.stderr
    return done


@pytest.mark.parametrize("style", ["newer", "fork"])
def test_every_value_of_a_deployment(site: Site, style: str, classic: Tables, request: pytest.FixtureRequest) -> None:
    deployment: Deployment = request.getfixturevalue(style)
    migrate(site, deployment)
    # A fork answers its skill snapshots as rows; the newer style user by user.
    names = [name for name in OVER_HTTP if not (style == "fork" and name == "skill_snapshots.user_id")]
    assert_same(site.database, at_head(answered(classic, *names)), texts=False)
    receipt = report(site)
    # The name of a picture is carried, so no value differs; the picture itself is not.
    assert set(receipt["not_carried"]) == {*OVER_HTTP, "users._pfp"}
    assert {item["type"]: item["received"] for item in receipt["records"]}["posts"] == len(classic["posts"])
    assert [item["identical_repeats"] for item in receipt["records"]] == [0] * len(receipt["records"])


@pytest.mark.parametrize("name", OVER_HTTP)
def test_what_is_named_as_not_carried_really_differs(classic: Tables, name: str) -> None:
    # Else the comparison above would prove nothing about this column.
    assert answered(classic, name) != classic


def test_an_older_deployment(site: Site, older: Deployment, classic: Tables) -> None:
    refused = site.flask("db-migrate-data", "--yes", **site.source(older))
    assert refused.status == 3
    assert "--accept-missing" in refused.stderr
    assert "posts" in refused.stderr
    assert not site.snapshot.exists()
    migrate(site, older, "--accept-missing")
    assert_same(site.database, at_head(listed(classic)), texts=False)
    receipt = report(site)
    missing = {"posts", "microblogs", "topics", "classrooms", "feedbacks", "study", "personas", "skill_snapshots"}
    waived = {item["what"].removeprefix("table "): item["reason"] for item in receipt["waived"]}
    assert missing <= waived.keys()
    assert all("--accept-missing" in waived[table] for table in missing)
    notes = " ".join(receipt["notes"])
    assert "locked" in notes
    assert "section without members" in notes


def test_every_value_of_a_file(site: Site, paged_database: Path, classic: Tables) -> None:
    before = paged_database.read_bytes()
    done = site.flask("db-migrate-data", str(paged_database), "--yes")
    assert done.status == 0, done.stderr
    assert paged_database.read_bytes() == before
    assert_same(site.database, at_head(classic), texts=True)
    receipt = report(site)
    assert receipt["not_carried"] == {}
    assert receipt["waived"] == []
    assert {item["table"]: item["loaded"] for item in receipt["tables"]} == {
        t: len(rows) for t, rows in classic.items()
    }


def test_the_snapshot_of_a_deployment_is_a_source_of_the_same_values(
    site: Site, newer: Deployment, classic: Tables, tmp_path: Path
) -> None:
    migrate(site, newer)
    other = Site(tmp_path / "other")
    other.directory.mkdir()
    done = other.flask("db-migrate-data", str(site.snapshot), "--yes")
    assert done.status == 0, done.stderr
    assert_same(other.database, at_head(answered(classic, *OVER_HTTP)), texts=False)


def test_a_snapshot_holds_the_answers_as_they_were(site: Site, newer: Deployment) -> None:
    newer.execute("UPDATE leaderboard SET _payload = ? WHERE id = 9000", '{"n": 12345678901234567890123, "f": 1e-7}')
    try:
        migrate(site, newer)
    finally:
        newer.execute("UPDATE leaderboard SET _payload = ? WHERE id = 9000", '{"a": 1.50}')
    [stored] = site.query("SELECT payload FROM leaderboard WHERE id = 9000")
    assert json.loads(stored[0]) == {"n": 12345678901234567890123, "f": 1e-7}


def test_values_of_another_type_than_their_column_arrive_from_a_file(site: Site, paged_database: Path) -> None:
    source = site.directory / "odd.db"
    with closing(sqlite3.connect(paged_database)) as former, closing(sqlite3.connect(source)) as copy:
        former.backup(copy)
        odd = {"_sid": b"\x00\xff", "_school": 3.5, "kasm_server_needed": "maybe", "_game_profile": "no json"}
        copy.execute(f"UPDATE users SET {', '.join(f'{name} = ?' for name in odd)} WHERE id = 5", (*odd.values(),))
        copy.execute("UPDATE posts SET _updated_at = 'yesterday' WHERE id = 9000")
        copy.commit()
        stored = copy.execute(f"SELECT {', '.join(odd)} FROM users WHERE id = 5").fetchone()
    done = site.flask("db-migrate-data", str(source), "--yes")
    assert done.status == 0, done.stderr
    [found] = site.query("SELECT sid, school, kasm_server_needed, game_profile FROM users WHERE id = 5")
    assert found == stored
    assert site.query("SELECT updated_at FROM posts WHERE id = 9000") == [("yesterday",)]
