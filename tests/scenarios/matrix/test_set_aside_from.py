"""Rows set aside on a server are fixed and loaded while the application writes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.sources.test_set_aside_from import broken, fix  # noqa: F401 # the fixture
from tests.support.places import ServerSite
from tests.support.site import Site
from tests.support.sources.sites import assert_refused, flask, report
from tests.support.writers import Writers

Deploy = Callable[[str], ServerSite]


@pytest.fixture(scope="session")
def at_rest(tmp_path_factory: pytest.TempPathFactory, broken: Path) -> Path:  # noqa: F811 # the fixture
    """A snapshot of the broken rows, at a revision that need not be recognised."""
    site = Site(tmp_path_factory.mktemp("at-rest"))
    assert flask(site, "db-migrate-data", str(broken), "--set-aside", "--yes").status == 0
    return site.snapshot


@pytest.mark.parametrize("name", ["mariadb", "postgresql"])
def test_mended_rows_are_added_under_writers(deployed: Deploy, name: str, at_rest: Path) -> None:
    site = deployed(name)
    done = site.flask("db-migrate-data", str(at_rest), "--set-aside", "--yes")
    assert done.status == 0, done.stderr
    aside = report(site)["aside"]
    file = Path(aside["file"])
    said = json.loads(file.read_text(encoding="utf-8"))
    refused = site.flask("db-migrate-data", "--set-aside-from", str(file), "--yes")
    assert_refused(refused, 22, f"still refuses {aside['rows']} rows", "users: row", "sections: row")
    assert "pbkdf2" not in refused.stderr + done.stderr + done.stdout
    assert "scrypt" not in refused.stderr + done.stderr + done.stdout

    fix(said["rows"])
    _give_another_key(said["rows"])
    file.write_text(json.dumps(said), encoding="utf-8")
    live = site.rows()
    with Writers(site.url, 2, pause_s=0.02) as writers:
        done = site.flask("db-migrate-data", "--set-aside-from", str(file), "--yes")
    assert done.status == 0, done.stderr
    assert writers.failures == []
    now = site.rows()
    for table, rows in live.items():
        assert [row for row in rows if row not in now[table]] == [], table
    names = {row["name"] for row in now["sections"]}
    assert set(writers.acknowledged) <= names
    assert "Fixed" in names
    assert [row["uid"] for row in now["users"] if row["uid"] == "toby-too"] == ["toby-too"]
    assert sum(item["loaded"] for item in report(site)["tables"]) == aside["rows"]
    added = {item["table"]: item["rows"] for item in report(site)["added"]}
    assert added["microblog_reactions"]
    # A key that the server gives out comes behind those that were added.
    user = now["users"][0]["id"]
    blog = now["microblogs"][0]["id"]
    site.execute(f"INSERT INTO microblog_reactions (microblog_id, kind, user_id) VALUES ({blog}, 'since', {user})")
    assert "Nothing to do" in site.flask("db-migrate-data", "--set-aside-from", str(file), "--yes").last_line
    assert "already migrated" in site.flask("db-migrate-data", str(at_rest), "--yes").last_line
    assert len(ledger_entries(site)) == 2
    rolled_back = site.flask("db-rollback", "--yes")
    assert rolled_back.status == 0, rolled_back.stderr
    assert not [row for row in site.rows()["users"] if row["uid"] == "toby-too"]


def _give_another_key(rows: list[dict[str, Any]]) -> None:
    """The writers' sections get the keys behind the largest that is live: that of the section set aside among them."""
    [section] = [item["row"] for item in rows if item["table"] == "sections"]
    former, section["id"] = section["id"], 5000
    for item in rows:
        if item["row"].get("section_id") == former:
            item["row"]["section_id"] = 5000


def ledger_entries(site: ServerSite) -> list[str]:
    """The runs that db-verify knows."""
    shown = site.flask("db-verify", "no-such-run").stderr
    return shown.partition("Runs: ")[2].partition(". Or")[0].split(", ")
